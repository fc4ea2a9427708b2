import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional, text } from '../define.ts';

const Lane = open({ lane: Type.String(), running: Type.Integer(), waiting: Type.Integer(), oldestWaitMs: optional(Type.Number()) });

/** How much waits, and for how long. */
export const QueueState = open(
  {
    lanes: Type.Array(Lane),
    sessions: open({ busy: Type.Integer(), waiting: Type.Integer(), oldestWaitMs: optional(Type.Number()) }),
    /** Messages that wait for their session's next turn. */
    queued: Type.Integer(),
    /** Messages of an earlier process that are not taken up yet. */
    backlog: Type.Integer(),
    inbox: open({ waiting: Type.Integer(), started: Type.Integer(), dead: Type.Integer() }),
    outbox: open({ pending: Type.Integer(), sending: Type.Integer(), dead: Type.Integer() }),
  },
  'QueueState',
);

/** One message that is not answered, or one reply that is not sent. */
export const QueueEntry = open(
  {
    id: Type.String(),
    box: Type.Union([Type.Literal('inbox'), Type.Literal('outbox')]),
    /** Inbox: waiting, started, dead. Outbox: pending, sending, dead. */
    state: Type.String(),
    sessionKey: optional(Type.String()),
    channel: optional(Type.String()),
    to: optional(Type.String()),
    /** Its beginning. */
    text: Type.String(),
    attempts: Type.Integer(),
    /** epoch ms */
    since: Type.Number(),
    lastError: optional(Type.String()),
  },
  'QueueEntry',
);

export const QUEUE_METHODS = defineMethods({
  'queue.list': {
    scope: 'operator.read',
    params: closed({ limit: optional(Type.Integer({ minimum: 1, maximum: 1000 })) }),
    result: open({ state: QueueState, entries: Type.Array(QueueEntry) }),
  },
  /** One of those that were given up, or all of them, are tried again. */
  'queue.retry': {
    scope: 'operator.admin',
    sideEffecting: true,
    params: closed({ id: optional(text()), all: optional(Type.Boolean()) }),
    result: open({ ids: Type.Array(Type.String()) }),
  },
  'queue.drop': {
    scope: 'operator.admin',
    sideEffecting: true,
    params: closed({ id: text() }),
    result: open({ id: Type.String() }),
  },
});
