import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createIrc } from './channel.ts';

export default definePluginEntry({
  id: 'irc',
  name: 'IRC',
  register(api) {
    api.registerChannel(createIrc());
  },
});
