import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { answer } from './command.ts';

export default definePluginEntry({
  id: 'config-command',
  name: 'Configuration in a chat',
  register(api) {
    api.registerCommand({
      name: 'config',
      description: 'show and change the configuration (show|get|set|unset)',
      acceptsArgs: true,
      handler: (context) => answer(context, api.runtime.config),
    });
  },
});
