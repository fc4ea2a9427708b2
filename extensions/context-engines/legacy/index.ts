import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createLegacyEngine } from './engine.ts';

export default definePluginEntry({
  id: 'legacy',
  name: 'Legacy context engine',
  kind: 'context-engine',
  register(api) {
    api.registerContextEngine('legacy', createLegacyEngine);
  },
});
