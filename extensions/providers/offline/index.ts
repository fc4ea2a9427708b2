import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createOfflineProvider } from './provider.ts';

export default definePluginEntry({
  id: 'offline',
  name: 'Offline model',
  register(api) {
    api.registerProvider(createOfflineProvider(api.pluginConfig));
  },
});
