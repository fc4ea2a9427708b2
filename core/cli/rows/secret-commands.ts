import type { CommandSpec, OptionSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';

const ALLOW_EXEC: OptionSpec = { flags: '--allow-exec', text: 'run the commands of exec references to check them' };

/** `durar secrets`: where secrets stand, how they become references, and what the gateway does with those. */
export const SECRETS: CommandSpec = {
  name: 'secrets',
  summary: 'find secrets in plain text, move them to a source, renew those that the gateway uses',
  commands: [
    {
      name: 'audit',
      summary: 'look for secrets in plain text, references that fail, credentials that hide a reference, and leftovers; changes nothing',
      options: [{ flags: '--check', text: 'exit code 1 with findings, 2 with references that do not resolve' }, ALLOW_EXEC],
      examples: [['secrets audit --check', 'before and after a move, or in a script']],
      load: async () => (await import('../commands/secrets-audit.ts')).secretsAudit,
    },
    {
      name: 'configure',
      summary: 'ask where secrets are to be kept, and move them there; needs a terminal',
      options: [
        { flags: '--apply', text: 'write it at the end; the last question stays, see --yes' },
        { flags: '--yes', text: 'write it at the end without asking' },
        { flags: '--plan-out <file>', text: 'save the plan, for `secrets apply`; it holds no secret' },
        { flags: '--providers-only', text: 'only add, edit and remove providers' },
        { flags: '--skip-provider-setup', text: 'begin with the fields' },
        { flags: '--agent <id>', text: 'whose stored credentials are offered (the default agent)' },
        { flags: '--allow-exec', text: 'run the commands of exec references, to check and to apply them' },
      ],
      examples: [
        ['secrets configure --allow-exec', 'move a key from the configuration to pass'],
        ['secrets configure --plan-out plan.json', 'decide now, apply later'],
      ],
      load: async () => (await import('../commands/secrets-configure.ts')).secretsConfigure,
    },
    {
      name: 'apply',
      summary: 'carry out a plan that `secrets configure` made; one way, no old text is kept',
      options: [
        { flags: '--from <file>', text: 'the plan' },
        { flags: '--dry-run', text: 'check everything and write nothing' },
        { flags: '--allow-exec', text: 'run the commands of exec references; a plan with any is not written without it' },
      ],
      examples: [
        ['secrets apply --from plan.json --dry-run', 'which files would change, and whether it would work'],
        ['secrets apply --from plan.json --allow-exec', 'a plan whose secrets are kept by a command such as pass'],
      ],
      load: async () => (await import('../commands/secrets-apply.ts')).secretsApply,
    },
    {
      name: 'reload',
      summary: 'resolve every reference again and swap the secrets in, all or none',
      options: RPC,
      examples: [['secrets reload', 'after a secret was changed where it is kept']],
      load: async () => (await import('../commands/secrets-reload.ts')).secretsReload,
    },
  ],
};
