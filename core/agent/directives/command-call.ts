import type { CommandReply, SessionRecord } from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';
import type { RunRequest } from '../run-request.ts';
import type { Sender } from './sender.ts';

/** A command under way: whose, where, and on which generation. */
export interface CommandCall {
  generation: Generation;
  session: SessionRecord;
  sender: Sender;
  request: RunRequest;
  args: string;
}

export type Answer = (call: CommandCall) => Promise<CommandReply> | CommandReply;
