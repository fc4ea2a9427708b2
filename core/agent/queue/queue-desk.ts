import { durarError } from '../../../sdk/index.ts';
import type { Inbox, InboxState, Outbox } from '../../state/state.ts';
import type { Runs } from '../run.ts';
import type { RunResult } from '../run-request.ts';
import type { Backlog } from './backlog.ts';
import type { LaneState, Lanes } from './lanes.ts';
import { deadResult, givenUp, keptIn, type RunBook } from './run-book.ts';

/** How much waits, and for how long. */
export interface QueueState {
  /** Runs by lane; those of all sessions together, as there may be many. */
  lanes: LaneState[];
  sessions: { busy: number; waiting: number; oldestWaitMs?: number };
  /** Messages that wait for their session's next turn. */
  queued: number;
  /** Messages of earlier processes that are not taken up yet. */
  backlog: number;
  inbox: Record<InboxState, number>;
  outbox: { pending: number; sending: number; dead: number };
}

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

/** Looks into the inbox and the outbox, and helps what got stuck there. */
export interface QueueDesk {
  state(): QueueState;
  /** The longest waiting first, those that were given up before the others. */
  list(limit: number): QueueEntry[];
  /** What was given up is tried again, one or all; returns the ids. Throws `DUR_QUEUE_UNKNOWN`, `DUR_QUEUE_NOT_DEAD`. */
  retry(id: string | undefined): string[];
  /** Takes it out for good; a turn that answers it is aborted. Throws `DUR_QUEUE_UNKNOWN`. */
  drop(id: string): void;
  /** As in the service. */
  wait(runId: string, timeoutMs: number): Promise<RunResult | undefined>;
}

const SESSION_LANE = 'session:';
const TEXT_CHARS = 120;
/** What one call retries at most. */
const MOST_RETRIED = 10_000;

export function createQueueDesk(options: {
  inbox: Inbox;
  outbox: Outbox;
  book: RunBook;
  runs: Runs;
  lanes: Lanes;
  backlog: Backlog;
  /** Messages that wait in the queues of their sessions. */
  waiting(): number;
  now: () => number;
}): QueueDesk {
  const { inbox, outbox, book, runs, lanes, backlog, waiting, now } = options;

  function retryMessage(id: string): boolean {
    const message = inbox.get(id);
    if (message === undefined || !inbox.retry(id)) return false;
    runs.forget(id);
    backlog.add(message);
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
    state() {
      const all = lanes.list();
      const own = all.filter(({ lane }) => lane.startsWith(SESSION_LANE));
      const waits = own.flatMap(({ oldestWaitMs }) => oldestWaitMs ?? []);
      return {
        lanes: all.filter(({ lane }) => !lane.startsWith(SESSION_LANE)),
        sessions: {
          busy: own.length,
          waiting: own.reduce((sum, lane) => sum + lane.waiting, 0),
          ...(waits.length === 0 ? {} : { oldestWaitMs: waits.reduce((most, ms) => Math.max(most, ms), 0) }),
        },
        queued: waiting(),
        backlog: backlog.counts().waiting,
        inbox: inbox.counts(),
        outbox: outbox.counts(),
      };
    },

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
      const isRunning = runs.abort({ runId: id, origin: 'rpc' }).length > 0;
      if (inbox.drop(id) || isRunning || outbox.drop(id)) return;
      throw durarError('DUR_QUEUE_UNKNOWN', { id });
    },

    async wait(runId, timeoutMs) {
      const begin = now();
      if (runs.accepted(runId) === undefined) {
        const fate = book.find(runId);
        if (fate !== undefined && 'kept' in fate) {
          const { accepted } = fate.kept;
          if (fate.isDead) return deadResult(accepted, givenUp(inbox.get(accepted.runId)?.attempts ?? 0), now());
          await runs.arrival(accepted.runId, timeoutMs);
          if (runs.accepted(accepted.runId) === undefined) return undefined;
          return await runs.wait(accepted.runId, Math.max(0, timeoutMs - (now() - begin)));
        }
        if (fate?.result !== undefined) return fate.result;
      }
      return await runs.wait(runId, timeoutMs);
    },
  };
}

/** The beginning of a text, on one line. */
function brief(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= TEXT_CHARS ? line : `${line.slice(0, TEXT_CHARS - 1)}…`;
}
