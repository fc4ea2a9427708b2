import type { CommandSpec, OptionSpec } from '../command.ts';

const DRY_RUN: readonly OptionSpec[] = [
  { flags: '--dry-run', text: 'check it, tell what it would do, and write nothing' },
  { flags: '--allow-exec', text: 'with --dry-run: run the commands of exec references too' },
];

const BUILDERS: readonly OptionSpec[] = [
  { flags: '--ref-provider <alias>', text: 'set a secret reference: its alias under secrets.providers' },
  { flags: '--ref-source <source>', text: 'its source: env, file, exec, or that of an extension' },
  { flags: '--ref-id <id>', text: 'what the provider looks up' },
  { flags: '--provider-source <source>', text: 'set a block of secrets.providers: its source' },
  { flags: '--provider-timeout-ms <ms>', text: 'how long it may take', number: true },
  { flags: '--provider-allowlist <name>', text: 'env: a variable that may be read; may be given more than once', repeat: true },
  { flags: '--provider-path <file>', text: 'file: the file' },
  { flags: '--provider-mode <mode>', text: 'file: what it holds', choices: ['singleValue', 'json'] },
  { flags: '--provider-max-bytes <bytes>', text: 'file: its largest size', number: true },
  { flags: '--provider-command <file>', text: 'exec: the program, an absolute path' },
  { flags: '--provider-arg <word>', text: 'exec: an argument; may be given more than once', repeat: true },
  { flags: '--provider-no-output-timeout-ms <ms>', text: 'exec: how long it may be silent', number: true },
  { flags: '--provider-max-output-bytes <bytes>', text: 'exec: its longest answer', number: true },
  { flags: '--provider-json-only', text: 'exec: the answer must be JSON' },
  { flags: '--provider-env <NAME=value>', text: 'exec: a variable for it; may be given more than once', repeat: true },
  { flags: '--provider-pass-env <name>', text: 'exec: a variable of the gateway that it gets; may be given more than once', repeat: true },
  { flags: '--provider-trusted-dir <folder>', text: 'exec: where the program must lie; may be given more than once', repeat: true },
  { flags: '--provider-allow-insecure-path', text: 'file, exec: accept a path that others can write' },
  { flags: '--provider-allow-symlink-command', text: 'exec: accept a link' },
];

/** `durar config`. */
export const CONFIG: CommandSpec = {
  name: 'config',
  summary: 'read and change the configuration',
  commands: [
    { name: 'get', summary: 'print a value', args: '[path]', load: async () => (await import('../commands/config-get.ts')).configGet },
    {
      name: 'set',
      summary: 'set a value, keeping comments and order',
      args: '[path] [value]',
      options: [
        { flags: '--strict-json', text: 'the value must be JSON5; without it anything else is a text' },
        ...DRY_RUN,
        { flags: '--batch-json <json>', text: 'set several: a list of {path, value | ref | provider}' },
        { flags: '--batch-file <file>', text: 'the same, from a file' },
        ...BUILDERS,
      ],
      examples: [
        ['config set agents.defaults.model offline/echo', 'choose a model'],
        ['config set plugins.slots.contextEngine my-engine', 'the next turn is served by it'],
        ['config set gateway.auth.token --ref-provider default --ref-source env --ref-id GATEWAY_TOKEN', 'a reference instead of a text'],
        ['config set secrets.providers.vault --provider-source file --provider-path ~/vault.json --provider-mode json', 'a secret provider'],
        ['config set gateway.port 19000 --dry-run', 'what would that do?'],
      ],
      load: async () => (await import('../commands/config-set.ts')).configSet,
    },
    {
      name: 'unset',
      summary: 'remove a value, so that its default counts',
      args: '<path>',
      options: DRY_RUN,
      load: async () => (await import('../commands/config-set.ts')).configUnset,
    },
    {
      name: 'validate',
      summary: 'list every error of the configuration, and what the running gateway does not use yet',
      load: async () => (await import('../commands/config-validate.ts')).configValidate,
    },
    { name: 'file', summary: 'print the path of the configuration file', load: async () => (await import('../commands/config-get.ts')).configFile },
    { name: 'schema', summary: 'print the JSON Schema of the configuration', load: async () => (await import('../commands/config-get.ts')).configSchema },
  ],
};
