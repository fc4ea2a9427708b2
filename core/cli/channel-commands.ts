import type { CommandSpec } from './command.ts';
import { RPC } from './rpc-options.ts';

/** `durar channels`: what connects the gateway to people. */
export const CHANNELS: CommandSpec = {
  name: 'channels',
  summary: 'see how the channels and their accounts do',
  commands: [
    {
      name: 'list',
      summary: 'list the channels with their accounts',
      options: RPC,
      load: async () => (await import('./commands/channels.ts')).channelsList,
    },
    {
      name: 'status',
      summary: 'show which accounts run and are connected; exit code 1 when one is not, or does not answer',
      options: [...RPC, { flags: '--probe', text: 'ask each service who the account is' }],
      examples: [['channels status --probe', 'whether the tokens work']],
      load: async () => (await import('./commands/channels.ts')).channelsStatus,
    },
  ],
};
