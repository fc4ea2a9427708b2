import type { CommandSpec } from '../command.ts';
import { ENTER, RPC } from '../rpc-options.ts';

const CHANNEL = { flags: '--channel <id>', text: 'the channel, instead of the first word' };
const ACCOUNT = { flags: '--account <id>', text: "one of the channel's accounts (its default one)" };

/** `durar channels`: what connects the gateway to people. */
export const CHANNELS: CommandSpec = {
  name: 'channels',
  summary: 'add channels, and see how they and their accounts do',
  commands: [
    {
      name: 'list',
      summary: 'list the channels with their accounts; with --json also the auth profiles',
      options: RPC,
      load: async () => (await import('../commands/channels.ts')).channelsList,
    },
    {
      name: 'status',
      summary: 'show which accounts run and are connected; exit code 1 when one is not, or does not answer',
      options: [...RPC, { flags: '--probe', text: 'ask each service who the account is' }],
      examples: [['channels status --probe', 'whether the tokens work']],
      load: async () => (await import('../commands/channels.ts')).channelsStatus,
    },
    {
      name: 'add',
      summary: 'set up a channel, or one more account of it: asks for what it needs, or takes it from flags',
      args: '[channel]',
      options: [
        CHANNEL,
        { flags: '--account <id>', text: 'the account; the values of a first one move to accounts.default' },
        { flags: '--name <text>', text: 'what the account is called in lists' },
        { flags: '--set <key=value>', text: 'a value that is no secret', repeat: true },
        { flags: '--secret-env <key=NAME>', text: 'a secret that stays in this variable', repeat: true },
        { flags: '--token-env <NAME>', text: "the same for the channel's first secret" },
        { flags: '--use-env', text: "the channel's own variables, those that are set" },
      ],
      examples: [
        ['channels add telegram', 'asks for the token, which is not shown'],
        ['channels add telegram --account work --token-env WORK_BOT', 'a second bot, its token in a variable'],
        ['channels add irc --set host=irc.libera.chat --set nick=durar', 'no questions'],
      ],
      load: async () => (await import('../commands/channels-add.ts')).channelsAdd,
    },
    {
      name: 'remove',
      summary: 'switch a channel or an account off, or delete it from the configuration',
      args: '[channel]',
      options: [CHANNEL, ACCOUNT, { flags: '--delete', text: 'take it out of the configuration' }, { flags: '-y, --yes', text: 'do not ask' }],
      load: async () => (await import('../commands/channels-remove.ts')).channelsRemove,
    },
    {
      name: 'login',
      summary: 'log in to a service that is not configured by a token',
      args: '[channel]',
      options: [CHANNEL, ACCOUNT],
      load: async () => (await import('../commands/channels-login.ts')).channelsLogin,
    },
    {
      name: 'logout',
      summary: 'end an account and forget its login',
      args: '[channel]',
      options: [CHANNEL, ACCOUNT, ...RPC],
      load: async () => (await import('../commands/channels-login.ts')).channelsLogout,
    },
    {
      name: 'logs',
      summary: 'print what the running gateway logged of its channels',
      args: '[channel]',
      options: [
        ...ENTER,
        CHANNEL,
        { flags: '-f, --follow', text: 'go on with what is written from now on' },
        { flags: '--lines <count>', text: 'look at so many lines of the log (500)', number: true },
      ],
      load: async () => (await import('../commands/logs.ts')).channelLogs,
    },
    {
      name: 'resolve',
      summary: 'tell the ids of people and rooms by their names, where the channel can look them up',
      args: '[names...]',
      options: [CHANNEL, ACCOUNT, { flags: '--kind <kind>', text: 'what the names are of', choices: ['user', 'group', 'auto'] }],
      load: async () => (await import('../commands/channels-lookup.ts')).channelsResolve,
    },
    {
      name: 'capabilities',
      summary: 'show what the channels can do',
      args: '[channel]',
      options: [CHANNEL],
      load: async () => (await import('../commands/channels-lookup.ts')).channelsCapabilities,
    },
  ],
};
