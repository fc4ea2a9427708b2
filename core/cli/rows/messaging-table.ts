import type { CommandSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';

/** Commands about messages to the world outside. */
export const MESSAGING: readonly CommandSpec[] = [
  {
    name: 'message',
    summary: 'send messages through the configured channels',
    commands: [
      {
        name: 'send',
        summary: 'send one message; no model is asked',
        options: [
          { flags: '-t, --target <to>', text: 'who gets it, as the channel names people and rooms' },
          { flags: '-m, --message <text>', text: 'the text' },
          { flags: '--channel <id>', text: 'the channel (the only one that is configured)' },
          { flags: '--account <id>', text: "the channel's account (its first)" },
          { flags: '--media <url>', text: 'a file to send, for channels that can', repeat: true },
          { flags: '--thread-id <id>', text: 'the thread' },
          { flags: '--dry-run', text: 'print the request and send nothing' },
          ...RPC,
        ],
        examples: [['message send --channel irc --target "#ops" --message "deployed"', 'a line in a room']],
        load: async () => (await import('../commands/message-send.ts')).messageSend,
      },
    ],
  },
];
