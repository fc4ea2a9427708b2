import { join } from 'node:path';
import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createStore } from './store.ts';

export default definePluginEntry({
  id: '__ID__',
  register(api) {
    api.registerSessionStore('__ID__', () => createStore('__ID__', join(api.runtime.state.resolveStateDir(), '__ID__')));
  },
});
