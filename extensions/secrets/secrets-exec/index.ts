import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createExecSecrets } from './provider.ts';

export default definePluginEntry({
  id: 'secrets-exec',
  name: 'Secrets from a command',
  register(api) {
    api.registerSecretsProvider(createExecSecrets());
  },
});
