import {
  type AfterTurnParams,
  type AgentMessage,
  type AssembleParams,
  type AssembleResult,
  type CompactParams,
  type CompactResult,
  type ContextEngine,
  type DurarError,
  durarError,
  errorText,
  type HookContext,
  type SessionRecord,
  type StoredEntry,
} from '../../sdk/index.ts';
import type { Generation } from '../kernel/generation.ts';
import type { SessionService } from '../sessions/service.ts';
import type { State } from '../state/state.ts';
import { withDeadline } from './deadline.ts';
import { type EngineMethod, RESULT_CHECKS } from './engine-result.ts';

/** How long each engine call may take, milliseconds. */
export type EngineTimeouts = Record<EngineMethod, number>;

export const ENGINE_TIMEOUTS: EngineTimeouts = {
  bootstrap: 60_000,
  ingest: 15_000,
  ingestBatch: 60_000,
  assemble: 30_000,
  compact: 900_000,
  afterTurn: 120_000,
};

/** The selected engine, for one turn of one session. */
export interface EngineTurn {
  readonly id: string;
  /** extension that brought it */
  readonly owner: string;
  readonly ownsCompaction: boolean;
  /** True when `finish` has work beyond what was delivered. */
  readonly hasAfterTurn: boolean;
  /** Gives the engine entries that are on disk, in order, each once. What is left over by an abort or a failure goes out later, flagged. */
  deliver(entries: readonly StoredEntry[]): Promise<void>;
  assemble(params: Omit<AssembleParams, 'sessionId' | 'sessionKey' | 'signal'>): Promise<AssembleResult>;
  /** `base` replaces the engine's own `compact` (the host's compaction between turns); hooks come before either. */
  compact(params: Omit<CompactParams, 'sessionId' | 'sessionKey'>, base?: (params: CompactParams) => Promise<CompactResult>): Promise<CompactResult>;
  /** After the reply: what is left to deliver, then `afterTurn`. `signal` is not the run's, which may be aborted by now. */
  finish(params: Omit<AfterTurnParams, 'sessionId' | 'sessionKey' | 'signal'>, signal: AbortSignal): Promise<void>;
}

export interface EngineOpening {
  generation: Generation;
  session: SessionRecord;
  context: HookContext;
  signal: AbortSignal;
  isHeartbeat: boolean;
}

/** The one place that calls context engines. */
export interface Engines {
  /** Throws `DUR_SLOT_*` or `DUR_ENGINE_*`; there is no other engine to fall back to. */
  open(opening: EngineOpening): Promise<EngineTurn>;
}

/** Who gets the turn's messages: `ingest` as each is written, or `ingestBatch` at its end. */
type Delivery = 'each' | 'batch';

interface Pending {
  entry: StoredEntry;
  replay: boolean;
}

const PAGE = 500;
/** During a replay the cursor is written every so many entries. */
const REPLAY_STEP = 64;

export function createEngines(options: { cursors: State['cursors']; sessions: SessionService; timeouts: EngineTimeouts }): Engines {
  const { cursors, sessions, timeouts } = options;
  /** Sessions that an engine has been given `bootstrap` for, in this process. */
  const bootstrapped = new WeakMap<ContextEngine, Set<string>>();

  async function open(opening: EngineOpening): Promise<EngineTurn> {
    const { generation, session, context, isHeartbeat } = opening;
    const { hooks } = generation;
    const slot = await generation.slot('contextEngine');
    if (slot === undefined) throw durarError('DUR_SLOT_EMPTY', { slot: 'contextEngine', key: generation.config.plugins.slots.contextEngine });
    const { key: id, owner } = slot;
    const engine = slot.instance as ContextEngine;
    const delivery: Delivery = engine.ingestBatch === undefined ? 'each' : 'batch';
    const ids = { sessionId: session.sessionId, sessionKey: session.key };
    const heartbeat = isHeartbeat ? { isHeartbeat } : {};
    const queue: Pending[] = [];
    /** Of the first entry that this turn has not queued. */
    let nextSeq = 1;

    /** Runs one engine method: under its time limit, its result checked, its failure named. */
    async function call<Result>(method: EngineMethod, signal: AbortSignal, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
      const at = { owner: { extension: owner, hook: `context.${method}` } };
      const ms = timeouts[method];
      let result: Result;
      try {
        result = await withDeadline({ ms, signal, expired: () => durarError('DUR_ENGINE_TIMEOUT', { engine: id, method, ms }, at) }, work);
      } catch (error) {
        if (signal.aborted || isTimeout(error)) throw error;
        throw durarError('DUR_ENGINE_FAILED', { engine: id, method, reason: errorText(error) }, { ...at, cause: error });
      }
      const reason = RESULT_CHECKS[method](result);
      if (reason !== undefined) throw durarError('DUR_ENGINE_RESULT', { engine: id, method, reason }, at);
      return result;
    }

    async function bootstrap(): Promise<void> {
      const history = await sessions.context(session);
      const sessionFile = await file(sessions, session);
      await hooks.call('context.bootstrap', { ...ids, ...sessionFile }, context, async () => {
        if (engine.bootstrap === undefined) return;
        await call('bootstrap', opening.signal, async (signal) => engine.bootstrap?.({ ...ids, ...sessionFile, messages: [...history.messages], signal }));
      });
      if (engine.bootstrap !== undefined) cursors.acknowledge(id, session.sessionId, history.lastSeq);
    }

    /** Queues what the engine has not acknowledged: after a crash, a failed call or turns under another engine. */
    async function catchUp(): Promise<void> {
      const { lastSeq } = await sessions.context(session);
      nextSeq = lastSeq + 1;
      let seen = cursors.get(id, session.sessionId);
      if (seen > lastSeq) {
        // the log was cut back by a repair; a cursor moves backwards only this way
        cursors.reset(id, session.sessionId);
        cursors.acknowledge(id, session.sessionId, lastSeq);
        return;
      }
      while (seen < lastSeq) {
        const { entries } = await sessions.read(session, { fromSeq: seen + 1, limit: PAGE });
        const last = entries.at(-1);
        if (last === undefined) return;
        for (const entry of entries) queue.push({ entry, replay: true });
        await drain(opening.signal);
        seen = last.seq;
      }
    }

    /** Entries of the turn, and before them what somebody else put into the session meanwhile. */
    async function withForeign(entries: readonly StoredEntry[]): Promise<readonly StoredEntry[]> {
      const first = entries[0]?.seq ?? nextSeq;
      const missed = first <= nextSeq ? [] : (await sessions.read(session, { fromSeq: nextSeq, limit: first - nextSeq })).entries;
      nextSeq = Math.max(nextSeq, (entries.at(-1)?.seq ?? 0) + 1);
      return missed.length === 0 ? entries : [...missed.filter(({ seq }) => seq < first), ...entries];
    }

    async function drain(signal: AbortSignal): Promise<void> {
      if (delivery === 'batch') await drainBatch(signal);
      else await drainEach(signal);
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

    /** Observers see each message when it is written, whatever the engine's way of taking it. */
    async function observe(entries: readonly StoredEntry[]): Promise<void> {
      if (delivery === 'each' || !hooks.has('context.ingest')) return;
      for (const entry of entries) {
        if (entry.type === 'message') {
          await hooks.call('context.ingest', { ...ids, entryId: entry.id, seq: entry.seq, message: entry.message, replay: false, ...heartbeat }, context);
        }
      }
    }

    const sessionsSeen = bootstrapped.get(engine) ?? new Set<string>();
    bootstrapped.set(engine, sessionsSeen);
    if (!sessionsSeen.has(session.sessionId)) {
      if (engine.bootstrap !== undefined || hooks.has('context.bootstrap')) await bootstrap();
      sessionsSeen.add(session.sessionId);
    }
    await catchUp();

    const hasAfterTurn = engine.afterTurn !== undefined || hooks.has('context.afterTurn');
    let failed = false;
    return {
      id,
      owner,
      ownsCompaction: engine.info.ownsCompaction === true,
      hasAfterTurn,

      async deliver(given) {
        const entries = await withForeign(given);
        for (const entry of entries) queue.push({ entry, replay: false });
        await observe(entries);
        if (delivery !== 'each' || failed || opening.signal.aborted) return;
        try {
          await drainEach(opening.signal);
        } catch (error) {
          failed ||= !opening.signal.aborted;
          throw error;
        }
      },

      async assemble(given) {
        const params: AssembleParams = { ...given, ...ids, signal: opening.signal };
        const untouched: AssembleResult & { readonly params: AssembleParams } = { messages: params.messages, estimatedTokens: 0, params };
        const result = await hooks.call('context.assemble', untouched, context, () =>
          call('assemble', opening.signal, (signal) => engine.assemble({ ...params, signal })),
        );
        const reason = RESULT_CHECKS.assemble(result);
        if (reason !== undefined || result === undefined)
          throw durarError('DUR_ENGINE_RESULT', { engine: id, method: 'assemble', reason: reason ?? 'nothing' });
        return result;
      },

      async compact(given, base) {
        const params: CompactParams = { ...given, ...ids };
        const own = () => call('compact', given.signal ?? opening.signal, (signal) => engine.compact({ ...params, signal }));
        const result = await hooks.call('context.compact', params, context, () => (base === undefined ? own() : base(params)));
        const reason = RESULT_CHECKS.compact(result);
        if (reason !== undefined || result === undefined) throw durarError('DUR_ENGINE_RESULT', { engine: id, method: 'compact', reason: reason ?? 'nothing' });
        return result;
      },

      async finish(given, signal) {
        if (!failed) await drain(signal);
        const params: AfterTurnParams = { ...given, ...ids, ...heartbeat };
        const { messages, prePromptMessageCount } = params;
        if (!hasAfterTurn) return;
        await hooks.call('context.afterTurn', { ...ids, messages, prePromptMessageCount }, context, async () => {
          if (engine.afterTurn !== undefined) await call('afterTurn', signal, async (inner) => engine.afterTurn?.({ ...params, signal: inner }));
        });
      },
    };
  }

  return { open };
}

function isTimeout(error: unknown): error is DurarError {
  return error instanceof Error && 'code' in error && error.code === 'DUR_ENGINE_TIMEOUT';
}

async function file(sessions: SessionService, session: SessionRecord): Promise<{ sessionFile?: string }> {
  const path = await sessions.sessionFile(session);
  return path === undefined ? {} : { sessionFile: path };
}
