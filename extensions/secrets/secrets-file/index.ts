import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createFileSecrets } from './provider.ts';

export default definePluginEntry({
  id: 'secrets-file',
  name: 'Secrets from a file',
  register(api) {
    api.registerSecretsProvider(createFileSecrets({ stateDir: () => api.runtime.state.resolveStateDir() }));
  },
});
