import type { AgentMessage, ToolResultMessage } from '../../sdk/index.ts';
import { trim } from './pruning-pass.ts';
import type { TokenEstimator } from './tokens.ts';

const CHARS_PER_TOKEN = 4;
/** Of the room, what is filled: the marks of the cuts and the frames of the messages need some. */
const FILLED = 0.9;
/** The beginning of a text says more than its end. */
const HEAD = 2 / 3;
/** A result is not cut below this. */
const LEAST_CHARS = 400;

/**
 * The last resort of a turn whose newest results alone are too large for the model, which no compaction can mend: the largest of them are shown
 * with their beginning and end. For one request; the transcript keeps them whole. Returns the same array when that would not help.
 */
export function shortenNewestResults(messages: AgentMessage[], estimator: TokenEstimator, room: number): AgentMessage[] {
  const results = newestResults(messages);
  const sizes = results.map(({ message }) => estimator.message(message));
  const others = estimator.messages(messages) - sizes.reduce((sum, size) => sum + size, 0);
  const cap = capOf(sizes, room * FILLED - others) * CHARS_PER_TOKEN;
  if (cap < LEAST_CHARS) return messages;
  const headChars = Math.floor(cap * HEAD);
  const shortened = [...messages];
  let isChanged = false;
  for (const [place, { message, index }] of results.entries()) {
    if ((sizes[place] ?? 0) * CHARS_PER_TOKEN <= cap) continue;
    shortened[index] = trim(message, { how: 'soft', headChars, tailChars: Math.floor(cap) - headChars });
    isChanged = true;
  }
  return isChanged ? shortened : messages;
}

/** Those that no reply has answered; one with a picture is left as it is. */
function newestResults(messages: readonly AgentMessage[]): Array<{ message: ToolResultMessage; index: number }> {
  const start = messages.findLastIndex(({ role }) => role !== 'toolResult') + 1;
  return messages
    .slice(start)
    .flatMap((message, place) =>
      message.role === 'toolResult' && message.content.every(({ type }) => type === 'text') ? [{ message, index: start + place }] : [],
    );
}

/** The size to which the largest are cut so that all together fit. */
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
