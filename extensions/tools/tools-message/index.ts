import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createMessageTool } from './tool.ts';

export default definePluginEntry({
  id: 'tools-message',
  name: 'Message tool',
  register(api) {
    api.registerTool((context) => createMessageTool(api.runtime, context), { names: ['message'] });
  },
});
