import type { SecretsProvider } from 'Durar/plugin-sdk/core';

/** Names of variables; the product's own begin with its name in mixed case. */
const NAME = /^(?:Durar_)?[A-Z][A-Z0-9_]{0,127}$/;

/** Serves the source `env`. `env` is what the process has; the host may hand over a fuller one with each call. */
export function createEnvSecrets(env: Readonly<Record<string, string | undefined>>): SecretsProvider {
  return {
    source: 'env',
    async resolve({ config, ids, env: effective = env }) {
      const { allowlist } = config;
      const values: Record<string, unknown> = Object.create(null);
      const errors: Record<string, string> = Object.create(null);
      for (const id of ids) {
        const value = Object.hasOwn(effective, id) ? effective[id] : undefined;
        if (!NAME.test(id)) errors[id] = 'the id is not the name of an environment variable';
        else if (allowlist !== undefined && !(Array.isArray(allowlist) && allowlist.includes(id))) errors[id] = `the allowlist does not have ${id}`;
        else if (value === undefined) errors[id] = `the environment variable ${id} is not set`;
        else if (value === '') errors[id] = `the environment variable ${id} is empty`;
        else values[id] = value;
      }
      return { values, errors };
    },
  };
}
