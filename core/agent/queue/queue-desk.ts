import type { Inbox, InboxState, Outbox } from '../../state/state.ts';
import type { Runs } from '../run.ts';
import type { RunResult } from '../run-request.ts';
import type { Backlog } from './backlog.ts';
import type { LaneState, Lanes } from './lanes.ts';
import { createQueueBoxes, type QueueBoxes } from './queue-boxes.ts';
import { deadResult, givenUp, type RunBook } from './run-book.ts';

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

/** Looks into the inbox and the outbox, and helps what got stuck there. */
export interface QueueDesk extends QueueBoxes {
  state(): QueueState;
  /** As in the service. */
  wait(runId: string, timeoutMs: number): Promise<RunResult | undefined>;
}

const SESSION_LANE = 'session:';

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

    ...createQueueBoxes({
      inbox,
      outbox,
      now,
      onRetry(message) {
        runs.forget(message.id);
        backlog.add(message);
      },
      abort: (id) => runs.abort({ runId: id, origin: 'rpc' }).length > 0,
    }),

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
