import type { CommandSpec } from './command.ts';
import { RPC } from './rpc-options.ts';

/** `durar secrets`: what the gateway does with references. */
export const SECRETS: CommandSpec = {
  name: 'secrets',
  summary: 'renew the secrets that the running gateway uses',
  commands: [
    {
      name: 'reload',
      summary: 'resolve every reference again and swap the secrets in, all or none',
      options: RPC,
      examples: [['secrets reload', 'after a secret was changed where it is kept']],
      load: async () => (await import('./commands/secrets-reload.ts')).secretsReload,
    },
  ],
};
