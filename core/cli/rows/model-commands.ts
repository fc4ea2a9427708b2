import type { CommandSpec, OptionSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';

const AGENT: OptionSpec = { flags: '--agent <id>', text: 'whose credentials (the default agent)' };
const PROVIDER: OptionSpec = { flags: '--provider <id>', text: 'the model provider' };
const NAME: OptionSpec = { flags: '--profile-id <name>', text: 'name of the profile (<provider>:default)' };
const STATUS: readonly OptionSpec[] = [
  AGENT,
  { flags: '--check', text: 'exit code 1 when a credential is missing or expired, 2 when one expires within a day' },
];

const auth = async () => import('../commands/models-auth.ts');
const order = async () => import('../commands/models-auth-order.ts');

const AUTH: CommandSpec = {
  name: 'auth',
  summary: 'keep credentials of model providers, several of one where wanted',
  commands: [
    {
      name: 'list',
      summary: 'list the stored credentials of an agent, in the order in which they are tried; shows no secret',
      options: [AGENT, { flags: '--provider <id>', text: 'only those of one provider' }],
      load: async () => (await auth()).authList,
    },
    {
      name: 'add',
      summary: 'store an API key, read from the terminal or from standard input, or a reference to one',
      options: [PROVIDER, NAME, AGENT, { flags: '--ref <source:alias:id>', text: 'a secret reference in place of the key' }],
      examples: [
        ['models auth add --provider openai', 'asks for the key and does not show it'],
        ['models auth add --provider openai --profile-id work < key.txt', 'a second key of the same provider'],
        ['models auth add --provider openai --ref env:default:OPENAI_API_KEY', 'nothing secret is stored'],
      ],
      load: async () => (await auth()).authAdd,
    },
    {
      name: 'paste-token',
      summary: 'store a token, read from the terminal or from standard input',
      options: [
        PROVIDER,
        { ...NAME, text: 'name of the profile (<provider>:manual)' },
        AGENT,
        { flags: '--expires-in <duration>', text: 'how long it is valid, for example 365d or 12h' },
      ],
      load: async () => (await auth()).authPasteToken,
    },
    {
      name: 'remove',
      summary: 'delete a stored credential',
      args: '<profile>',
      options: [AGENT],
      load: async () => (await auth()).authRemove,
    },
    {
      name: 'order',
      summary: 'decide which credential of a provider is tried first',
      commands: [
        { name: 'get', summary: 'show the order and who made it', options: [PROVIDER, AGENT], load: async () => (await order()).orderGet },
        {
          name: 'set',
          summary: "set this agent's own order; profiles that are left out are not used",
          args: '<profiles...>',
          options: [PROVIDER, AGENT],
          examples: [['models auth order set --provider openai openai:work openai:default', 'the key of work first']],
          load: async () => (await order()).orderSet,
        },
        {
          name: 'clear',
          summary: 'remove it: auth.order counts, else they take turns',
          options: [PROVIDER, AGENT],
          load: async () => (await order()).orderClear,
        },
      ],
    },
  ],
};

/** `durar models`: which there are, and how they are paid for. */
export const MODELS: CommandSpec = {
  name: 'models',
  summary: 'see models, and the credentials that pay for them',
  options: STATUS,
  load: async () => (await import('../commands/models-status.ts')).modelsStatus,
  commands: [
    {
      name: 'status',
      summary: 'tell which model and which credential an agent uses; shows no secret, needs no gateway',
      options: STATUS,
      load: async () => (await import('../commands/models-status.ts')).modelsStatus,
    },
    {
      name: 'list',
      summary: 'list the models that agents can use',
      options: [...RPC, { flags: '--provider <id>', text: 'only those of one provider' }],
      load: async () => (await import('../commands/models.ts')).modelsList,
    },
    AUTH,
  ],
};
