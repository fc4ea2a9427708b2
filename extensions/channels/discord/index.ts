import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createDiscord } from './channel.ts';

export default definePluginEntry({
  id: 'discord',
  name: 'Discord',
  register(api) {
    api.registerChannel(createDiscord(() => api.runtime.state));
  },
});
