import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { createEnvSecrets } from './provider.ts';

export default definePluginEntry({
  id: 'secrets-env',
  name: 'Secrets from the environment',
  register(api) {
    api.registerSecretsProvider(createEnvSecrets(process.env));
  },
});
