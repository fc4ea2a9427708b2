import { isDeepStrictEqual } from 'node:util';
import type { AgentMessage } from '../../../sdk/index.ts';
import type { History } from '../turn/recorder.ts';

/** Where a message comes from. */
export interface Origin {
  /** Place in the history. */
  index: number;
  /** false: it was made of that entry's message, but says something else. */
  isSame: boolean;
}

/** Messages with one timestamp that are looked through; histories from elsewhere may have a single one for all. */
const TIES = 32;

/**
 * Finds the entries of messages that an engine returned: handed through, or as copies. Ask from the last message to the first: then those in the
 * order of the history cost one look each, and any other a search among the timestamps. Cost does not grow with the history.
 */
export function createEntryFinder({ messages }: Pick<History, 'messages'>): (message: AgentMessage) => Origin | undefined {
  let next = messages.length - 1;

  function at(index: number, message: AgentMessage): boolean {
    const one = messages[index];
    return one !== undefined && (one === message || isCopy(one, message));
  }

  /** Index of the first message that is not older. The first of all may be a summary, which is newer than what follows it. */
  function notOlder(timestamp: number): number {
    let low = Math.min(1, messages.length);
    let high = messages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((messages[middle]?.timestamp ?? 0) < timestamp) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function search(message: AgentMessage): Origin | undefined {
    if (at(0, message)) return { index: 0, isSame: true };
    const start = notOlder(message.timestamp);
    let kin: number | undefined;
    for (let index = start; index < Math.min(start + TIES, messages.length); index += 1) {
      const one = messages[index];
      if (one === undefined || one.timestamp !== message.timestamp) break;
      if (at(index, message)) return { index, isSame: true };
      if (isKin(one, message)) kin ??= index;
    }
    return kin === undefined ? undefined : { index: kin, isSame: false };
  }

  return (message) => {
    const found = at(next, message) ? { index: next, isSame: true } : search(message);
    if (found !== undefined) next = found.index - 1;
    return found;
  };
}

function isCopy(one: AgentMessage, other: AgentMessage): boolean {
  return one.timestamp === other.timestamp && isKin(one, other) && isDeepStrictEqual(one.content, other.content);
}

/** Said by the same, at the same place of the conversation. */
function isKin(one: AgentMessage, other: AgentMessage): boolean {
  if (one.role !== other.role) return false;
  return one.role !== 'toolResult' || other.role !== 'toolResult' || one.toolCallId === other.toolCallId;
}
