import type { Action, CommandSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';

const command = (name: keyof typeof import('../commands/queue.ts')) => async (): Promise<Action> => (await import('../commands/queue.ts'))[name];

/** `durar queue`: messages that are not answered yet and replies that are not sent yet. */
export const QUEUE: CommandSpec = {
  name: 'queue',
  summary: 'show what waits for an answer or for its delivery, and help what got stuck',
  commands: [
    {
      name: 'list',
      summary: 'list accepted messages without an answer and replies that are not sent, those given up first',
      options: [...RPC, { flags: '--limit <count>', text: 'how many of each (200)', number: true }],
      load: command('queueList'),
    },
    {
      name: 'retry',
      summary: 'try again what was given up',
      args: '[id]',
      options: [...RPC, { flags: '--all', text: 'everything that was given up' }],
      examples: [['queue retry --all', 'after the cause is gone']],
      load: command('queueRetry'),
    },
    {
      name: 'drop',
      summary: 'take a message or a reply out for good; a run that answers it is stopped',
      args: '<id>',
      options: RPC,
      load: command('queueDrop'),
    },
  ],
};
