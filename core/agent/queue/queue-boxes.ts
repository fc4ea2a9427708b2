import { durarError } from '../../../sdk/index.ts';
import type { Inbox, InboxMessage, Outbox } from '../../state/state.ts';
import { keptIn } from './run-book.ts';

/** One message that is not answered, or one reply that is not sent. */
export interface QueueEntry {
  id: string;
  box: 'inbox' | 'outbox';
  state: string;
  sessionKey?: string;
  channel?: string;
  to?: string;
  text: string;
  attempts: number;
  /** epoch ms */
  since: number;
  lastError?: string;
}

/** The inbox and the outbox, with or without a process that works on them. */
export interface QueueBoxes {
  /** The longest waiting first, those that were given up before the others. */
  list(limit: number): QueueEntry[];
  /** What was given up is tried again, one or all; returns the ids. Throws `DUR_QUEUE_UNKNOWN`, `DUR_QUEUE_NOT_DEAD`. */
  retry(id: string | undefined): string[];
  /** Takes it out for good; a turn that answers it is aborted. Throws `DUR_QUEUE_UNKNOWN`. */
  drop(id: string): void;
}

const TEXT_CHARS = 120;
/** What one call retries at most. */
const MOST_RETRIED = 10_000;

export function createQueueBoxes(options: {
  inbox: Inbox;
  outbox: Outbox;
  now: () => number;
  /** Takes up a message that was given up before. */
  onRetry?(message: InboxMessage): void;
  /** Ends the turn that answers a message; false when there is none. */
  abort?(id: string): boolean;
}): QueueBoxes {
  const { inbox, outbox, now, onRetry, abort } = options;

  function retryMessage(id: string): boolean {
    const message = inbox.get(id);
    if (message === undefined || !inbox.retry(id)) return false;
    onRetry?.(message);
    return true;
  }

  function inboxEntries(limit: number): QueueEntry[] {
    const open = inbox.lines({ limit }).flatMap(({ id }) => inbox.get(id) ?? []);
    return [...inbox.dead(limit), ...open].slice(0, limit).map((message) => {
      const { request } = keptIn(message);
      return {
        id: message.id,
        box: 'inbox',
        state: message.state,
        sessionKey: message.sessionKey,
        ...(request.channel === undefined ? {} : { channel: request.channel }),
        ...(request.to === undefined ? {} : { to: request.to }),
        text: brief(request.message),
        attempts: message.attempts,
        since: message.acceptedAt,
        ...(message.lastError === undefined ? {} : { lastError: message.lastError }),
      };
    });
  }

  function outboxEntries(limit: number): QueueEntry[] {
    return [...outbox.dead(limit), ...outbox.pending(0, limit)].slice(0, limit).map(({ id, state, sessionKey, channel, to, payload, ...message }) => ({
      id,
      box: 'outbox',
      state,
      ...(sessionKey === undefined ? {} : { sessionKey }),
      channel,
      to,
      text: brief(String((payload as { text?: unknown } | null)?.text ?? '')),
      attempts: message.attempts,
      since: message.createdAt,
      ...(message.lastError === undefined ? {} : { lastError: message.lastError }),
    }));
  }

  return {
    list: (limit) => [...inboxEntries(limit), ...outboxEntries(limit)],

    retry(id) {
      if (id === undefined) {
        const messages = inbox.dead(MOST_RETRIED).map((message) => message.id);
        const replies = outbox.dead(MOST_RETRIED).map((message) => message.id);
        return [...messages.filter(retryMessage), ...replies.filter((reply) => outbox.retry(reply, now()))];
      }
      if (retryMessage(id) || outbox.retry(id, now())) return [id];
      throw inbox.get(id) === undefined && outbox.get(id) === undefined ? durarError('DUR_QUEUE_UNKNOWN', { id }) : durarError('DUR_QUEUE_NOT_DEAD', { id });
    },

    drop(id) {
      const isRunning = abort?.(id) === true;
      if (inbox.drop(id) || isRunning || outbox.drop(id)) return;
      throw durarError('DUR_QUEUE_UNKNOWN', { id });
    },
  };
}

/** The beginning of a text, on one line. */
function brief(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= TEXT_CHARS ? line : `${line.slice(0, TEXT_CHARS - 1)}…`;
}
