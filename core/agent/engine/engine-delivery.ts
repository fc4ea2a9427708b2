import type { AgentMessage, ContextEngine, HookContext, SessionRecord, StoredEntry } from '../../../sdk/index.ts';
import type { HookDispatcher } from '../../kernel/generation.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { State } from '../../state/state.ts';
import type { EngineCall } from './engine-call.ts';

/** Gives one engine the entries of one session for one turn: each once, in order, acknowledged on disk. */
export interface Delivery {
  /** Queues what the engine has not acknowledged and delivers it: after a crash, a failed call or turns under another engine. */
  catchUp(): Promise<void>;
  /** Entries of the turn. What is left over by an abort or a failure goes out later, flagged. */
  deliver(entries: readonly StoredEntry[]): Promise<void>;
  /** What is left, unless an earlier delivery failed. */
  finish(signal: AbortSignal): Promise<void>;
}

export interface DeliveryOptions {
  engine: ContextEngine;
  /** The engine's id. */
  id: string;
  call: EngineCall;
  hooks: HookDispatcher;
  context: HookContext;
  cursors: State['cursors'];
  sessions: Pick<SessionService, 'context' | 'read'>;
  session: SessionRecord;
  isHeartbeat: boolean;
  signal: AbortSignal;
  /** Where to stop catching up; the log's end where it is absent. */
  history?: { lastSeq: number } | undefined;
}

interface Pending {
  entry: StoredEntry;
  replay: boolean;
}

const PAGE = 500;
/** During a replay the cursor is written every so many entries. */
const REPLAY_STEP = 64;

export function createDelivery(options: DeliveryOptions): Delivery {
  const { engine, id, call, hooks, context, cursors, sessions, session } = options;
  const ids = { sessionId: session.sessionId, sessionKey: session.key };
  const heartbeat = options.isHeartbeat ? { isHeartbeat: true } : {};
  /** Who gets the turn's messages: `ingest` as each is written, or `ingestBatch` at its end. */
  const isBatch = engine.ingestBatch !== undefined;
  const queue: Pending[] = [];
  /** Of the first entry that this turn has not queued. */
  let nextSeq = 1;
  let failed = false;

  /** Entries of the turn, and before them what somebody else put into the session meanwhile. */
  async function withForeign(entries: readonly StoredEntry[]): Promise<readonly StoredEntry[]> {
    const first = entries[0]?.seq ?? nextSeq;
    const missed = first <= nextSeq ? [] : (await sessions.read(session, { fromSeq: nextSeq, limit: first - nextSeq })).entries;
    nextSeq = Math.max(nextSeq, (entries.at(-1)?.seq ?? 0) + 1);
    return missed.length === 0 ? entries : [...missed.filter(({ seq }) => seq < first), ...entries];
  }

  async function drainEach(signal: AbortSignal): Promise<void> {
    let done = 0;
    let acknowledged = 0;
    try {
      for (const next of queue) {
        const { entry } = next;
        if (entry.type === 'message') {
          const { replay } = next;
          // from here on nobody can know whether the engine has it
          next.replay = true;
          await ingest(entry, entry.message, replay, signal);
        }
        done += 1;
        if (done === queue.length || done % REPLAY_STEP === 0) {
          cursors.acknowledge(id, session.sessionId, entry.seq);
          acknowledged = done;
        }
      }
    } finally {
      const last = queue[done - 1];
      if (last !== undefined && acknowledged < done) cursors.acknowledge(id, session.sessionId, last.entry.seq);
      queue.splice(0, done);
    }
  }

  async function ingest(entry: StoredEntry, message: AgentMessage, replay: boolean, signal: AbortSignal): Promise<void> {
    const flag = replay ? { replay } : {};
    await hooks.call('context.ingest', { ...ids, entryId: entry.id, seq: entry.seq, message, replay, ...heartbeat }, context, async () => {
      await call('ingest', signal, (inner) => engine.ingest({ ...ids, message, entryId: entry.id, seq: entry.seq, ...flag, ...heartbeat, signal: inner }));
    });
  }

  async function drainBatch(signal: AbortSignal): Promise<void> {
    const last = queue.at(-1);
    if (last === undefined) return;
    const messages: AgentMessage[] = [];
    const entries: Array<{ entryId: string; seq: number }> = [];
    const replay = queue.some((pending) => pending.replay) ? { replay: true } : {};
    for (const { entry } of queue) {
      if (entry.type !== 'message') continue;
      messages.push(entry.message);
      entries.push({ entryId: entry.id, seq: entry.seq });
    }
    for (const pending of queue) pending.replay = true;
    if (messages.length > 0) {
      await call('ingestBatch', signal, async (inner) => engine.ingestBatch?.({ ...ids, messages, entries, ...replay, ...heartbeat, signal: inner }));
    }
    cursors.acknowledge(id, session.sessionId, last.entry.seq);
    queue.length = 0;
  }

  const drain = (signal: AbortSignal): Promise<void> => (isBatch ? drainBatch(signal) : drainEach(signal));

  /** Observers see each message when it is written, whatever the engine's way of taking it. */
  async function observe(entries: readonly StoredEntry[]): Promise<void> {
    if (!isBatch || !hooks.has('context.ingest')) return;
    for (const entry of entries) {
      if (entry.type !== 'message') continue;
      await hooks.call('context.ingest', { ...ids, entryId: entry.id, seq: entry.seq, message: entry.message, replay: false, ...heartbeat }, context);
    }
  }

  return {
    async catchUp() {
      const { lastSeq } = options.history ?? (await sessions.context(session));
      nextSeq = lastSeq + 1;
      let seen = cursors.get(id, session.sessionId);
      if (seen > lastSeq) {
        // the log was cut back by a repair; a cursor moves backwards only this way
        cursors.reset(id, session.sessionId);
        cursors.acknowledge(id, session.sessionId, lastSeq);
        return;
      }
      while (seen < lastSeq) {
        const { entries } = await sessions.read(session, { fromSeq: seen + 1, limit: Math.min(PAGE, lastSeq - seen) });
        const last = entries.at(-1);
        if (last === undefined) return;
        for (const entry of entries) queue.push({ entry, replay: true });
        await drain(options.signal);
        seen = last.seq;
      }
    },

    async deliver(given) {
      const entries = await withForeign(given);
      for (const entry of entries) queue.push({ entry, replay: false });
      await observe(entries);
      if (isBatch || failed || options.signal.aborted) return;
      try {
        await drainEach(options.signal);
      } catch (error) {
        failed ||= !options.signal.aborted;
        throw error;
      }
    },

    async finish(signal) {
      if (!failed) await drain(signal);
    },
  };
}
