import type { Action, CommandSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';

type PairingActions = typeof import('../commands/pairing.ts');
const load = (name: keyof PairingActions) => async (): Promise<Action> => (await import('../commands/pairing.ts'))[name];
const ACCOUNT = { flags: '--account <id>', text: "of one of the channel's accounts alone" };

/** `durar pairing`: how people and devices come in. */
export const PAIRING: CommandSpec = {
  name: 'pairing',
  summary: 'let in people who write to a channel, and new devices',
  commands: [
    {
      name: 'list',
      summary: 'list who waits to be let in by a code, and who was',
      args: '[channel]',
      options: [...RPC, ACCOUNT],
      load: load('pairingList'),
    },
    {
      name: 'approve',
      summary: 'let in the person who was given a code; the channel may be left out',
      args: '<channel> [code]',
      options: [...RPC, ACCOUNT, { flags: '--notify', text: 'tell them, through the channel' }],
      examples: [['pairing approve telegram ABCD2345 --notify', 'let somebody in and say so']],
      load: load('pairingApprove'),
    },
    {
      name: 'reject',
      summary: 'forget a request; the channel may be left out',
      args: '<channel> [code]',
      options: [...RPC, ACCOUNT],
      load: load('pairingReject'),
    },
    {
      name: 'revoke',
      summary: 'take back that somebody was let in by a code',
      args: '<channel> <sender>',
      options: [...RPC, ACCOUNT],
      load: load('pairingRevoke'),
    },
    {
      name: 'bootstrap',
      summary: 'print a setup code, by which one device pairs itself as a node within ten minutes',
      options: [...RPC, { flags: '--public-url <ws-url>', text: 'where the device reaches the gateway' }],
      load: async () => (await import('../commands/pairing-bootstrap.ts')).pairingBootstrap,
    },
  ],
};
