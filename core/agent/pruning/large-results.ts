import type { AgentMessage, ToolResultMessage } from '../../../sdk/index.ts';
import type { TokenEstimator } from '../budget/tokens.ts';
import { trim } from './pruning-pass.ts';

const CHARS_PER_TOKEN = 4;
/** Of the room, what is filled: the marks of the cuts and the frames of the messages need some. */
const FILLED = 0.9;
/** The beginning of a text says more than its end. */
const HEAD = 2 / 3;
/** A result is not cut below this, tokens. */
const LEAST = 64;

/**
 * The last resort of a turn whose tool results are too large for the model, and that no compaction can mend: the largest are shown with their
 * beginning and end. For one request; the transcript keeps them whole. Returns the same array when that would not help.
 */
export function shortenLargeResults(messages: AgentMessage[], estimator: TokenEstimator, room: number): AgentMessage[] {
  const results = messages.filter(isText);
  const sizes = results.map(estimator.message);
  const others = estimator.messages(messages) - sizes.reduce((sum, size) => sum + size, 0);
  const fitting = capOf(sizes, room * FILLED - others);
  if (fitting < LEAST) return messages;
  // in steps, so that the next turns show the same
  const cap = 2 ** Math.floor(Math.log2(fitting));
  const chars = cap * CHARS_PER_TOKEN;
  const headChars = Math.floor(chars * HEAD);
  return messages.map((message) =>
    isText(message) && estimator.message(message) > fitting ? trim(message, { how: 'soft', headChars, tailChars: chars - headChars }) : message,
  );
}

/** One with a picture is left as it is. */
function isText(message: AgentMessage): message is ToolResultMessage {
  return message.role === 'toolResult' && message.content.every(({ type }) => type === 'text');
}

/** The size to which the largest are cut so that all together fit; 0: they fit, or cannot. */
function capOf(sizes: readonly number[], room: number): number {
  let left = room;
  const sorted = [...sizes].sort((a, b) => a - b);
  for (const [place, size] of sorted.entries()) {
    const share = left / (sorted.length - place);
    if (size > share) return share;
    left -= size;
  }
  return 0;
}
