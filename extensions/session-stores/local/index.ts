import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createLocalStore } from './store.ts';

export default definePluginEntry({
  id: 'local',
  register(api) {
    api.registerSessionStore('local', () => createLocalStore({ stateDir: api.runtime.state.resolveStateDir(), log: api.logger }));
  },
});
