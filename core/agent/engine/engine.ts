import {
  type AfterTurnParams,
  type AgentMessage,
  type AssembleParams,
  type AssembleResult,
  type CompactParams,
  type CompactResult,
  type ContextEngine,
  durarError,
  type ErrorReport,
  type HookContext,
  type MaintainParams,
  type RuntimeContext,
  type SessionRecord,
  type StoredEntry,
  type SubagentEndedParams,
} from '../../../sdk/index.ts';
import type { Generation, HookDispatcher } from '../../kernel/generation.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { EndedSession, State } from '../../state/state.ts';
import { createEngineCall, type EngineCall, type EngineObservation, type EngineTimeouts } from './engine-call.ts';
import { createDelivery } from './engine-delivery.ts';
import { RESULT_CHECKS } from './engine-result.ts';
import { lend } from './lending.ts';

export { ENGINE_TIMEOUTS, type EngineObservation, type EngineTimeouts } from './engine-call.ts';

/** What the model shall see. */
export interface Assembled extends AssembleResult {
  /** What the engine itself said, where interceptors came after it. */
  own?: AssembleResult;
}

/** The selected engine, for one turn of one session. */
export interface EngineTurn {
  readonly id: string;
  /** extension that brought it */
  readonly owner: string;
  readonly version: string | undefined;
  /** The engine that repeats the turn without effect when its reply is out. */
  readonly shadow?: string;
  readonly ownsCompaction: boolean;
  /** True when `finish` has work beyond what was delivered. */
  readonly hasAfterTurn: boolean;
  /** Gives the engine entries that are on disk, in order, each once. What is left over by an abort or a failure goes out later, flagged. */
  deliver(entries: readonly StoredEntry[]): Promise<void>;
  assemble(params: Omit<AssembleParams, 'sessionId' | 'sessionKey' | 'signal'>): Promise<Assembled>;
  /** `base` replaces the engine's own `compact` (the host's compaction between turns); hooks come before either. */
  compact(params: Omit<CompactParams, 'sessionId' | 'sessionKey'>, base?: (params: CompactParams) => Promise<CompactResult>): Promise<CompactResult>;
  /** After the reply: what is left to deliver, then `afterTurn`. `signal` is not the run's, which may be aborted by now. */
  finish(params: Omit<AfterTurnParams, 'sessionId' | 'sessionKey' | 'signal'>, signal: AbortSignal): Promise<void>;
  /** What nobody waits for: `maintain` for what this turn did, and words about sessions that ended while the engine was not selected. */
  maintain(params: MaintainRequest, signal: AbortSignal): Promise<void>;
  /** What failed behind earlier turns of the session since it was last asked. */
  takeProblems(): ErrorReport[];
  /** Keeps a failure that no run can show any more for the next one. */
  keepProblem(problem: ErrorReport): void;
}

export interface MaintainRequest {
  /** The turn ended with a reply. */
  succeeded: boolean;
  runtimeContext?: RuntimeContext;
}

export interface EngineOpening {
  generation: Generation;
  session: SessionRecord;
  context: HookContext;
  signal: AbortSignal;
  isHeartbeat: boolean;
  /** Where the session stood when the turn began, for an engine that gets the turn later. */
  history?: { messages: readonly AgentMessage[]; lastSeq: number };
  onCall?: (call: EngineObservation) => void;
}

export interface EnginesOptions {
  cursors: State['cursors'];
  sessions: Pick<SessionService, 'context' | 'read' | 'sessionFile'>;
  timeouts: EngineTimeouts;
  slot?: 'contextEngine' | 'contextEngineShadow';
  /** In place of the generation's own. */
  hooks?: HookDispatcher;
}

/** The one place that calls context engines. */
export interface Engines {
  /** Throws `DUR_SLOT_*` or `DUR_ENGINE_*`; there is no other engine to fall back to. */
  open(opening: EngineOpening): Promise<EngineTurn>;
  /**
   * A session was deleted or reset: its cursors go, the selected engine is told, and the others that had one are when they are next selected.
   * Throws `DUR_SLOT_*`, `DUR_ENGINE_*`.
   */
  sessionEnded(ended: EndedSession, at: { generation: Generation; signal: AbortSignal }): Promise<void>;
  /** Tells the selected engine that a sub-agent is over. Throws `DUR_SLOT_*`, `DUR_ENGINE_*`. */
  subagentEnded(params: SubagentEndedParams, at: { generation: Generation; signal: AbortSignal }): Promise<void>;
}

type MaintainReason = NonNullable<MaintainParams['reason']>;
/** Failures of one session that wait, at most. */
const MAX_PROBLEMS = 5;

export function createEngines(options: EnginesOptions): Engines {
  const { cursors, sessions, timeouts, slot: name = 'contextEngine' } = options;
  /** Sessions that an engine has been given `bootstrap` for, in this process. */
  const bootstrapped = new WeakMap<ContextEngine, Set<string>>();
  /** By session id: failures of off-line work that wait for the next run. */
  const problems = new Map<string, ErrorReport[]>();

  /** Engines that were told of all sessions that ended before they were selected. */
  const caughtUp = new WeakSet<ContextEngine>();

  /** Throws the first failure; what was not told stays owed. */
  async function tellEnded({ id, engine, call, signal }: { id: string; engine: ContextEngine; call: EngineCall; signal: AbortSignal }): Promise<void> {
    for (const ended of cursors.ended(id)) {
      if (engine.onSessionEnded !== undefined) await call('onSessionEnded', signal, async (inner) => engine.onSessionEnded?.({ ...ended, signal: inner }));
      cursors.told(id, ended.sessionId);
    }
    caughtUp.add(engine);
  }

  async function open(opening: EngineOpening): Promise<EngineTurn> {
    const { generation, session, context, isHeartbeat } = opening;
    const hooks = options.hooks ?? generation.hooks;
    const slot = await generation.slot(name);
    if (slot === undefined) throw durarError('DUR_SLOT_EMPTY', { slot: name, key: generation.config.plugins.slots[name] });
    const { key: id, owner } = slot;
    const engine = slot.instance as ContextEngine;
    const ids = { sessionId: session.sessionId, sessionKey: session.key };
    const heartbeat = isHeartbeat ? { isHeartbeat } : {};
    const call = createEngineCall({ id, owner, timeouts, onCall: opening.onCall });
    const delivery = createDelivery({
      engine,
      id,
      call,
      hooks,
      context,
      cursors,
      sessions,
      session,
      isHeartbeat,
      signal: opening.signal,
      history: opening.history,
    });

    async function bootstrap(): Promise<void> {
      const history = opening.history ?? (await sessions.context(session));
      const sessionFile = await file(sessions, session);
      await hooks.call('context.bootstrap', { ...ids, ...sessionFile }, context, async () => {
        if (engine.bootstrap === undefined) return;
        await call('bootstrap', opening.signal, async (signal) => engine.bootstrap?.({ ...ids, ...sessionFile, messages: [...history.messages], signal }));
      });
      if (engine.bootstrap === undefined) return;
      cursors.acknowledge(id, session.sessionId, history.lastSeq);
      due.push('bootstrap');
    }

    const due: MaintainReason[] = [];
    const sessionsSeen = bootstrapped.get(engine) ?? new Set<string>();
    bootstrapped.set(engine, sessionsSeen);
    if (!sessionsSeen.has(session.sessionId)) {
      if (engine.bootstrap !== undefined || hooks.has('context.bootstrap')) await bootstrap();
      sessionsSeen.add(session.sessionId);
    }
    await delivery.catchUp();

    const hasAfterTurn = engine.afterTurn !== undefined || hooks.has('context.afterTurn');
    return {
      id,
      owner,
      version: engine.info.version ?? generation.plan.extensions.get(owner)?.entry.version,
      ownsCompaction: engine.info.ownsCompaction === true,
      hasAfterTurn,

      deliver: delivery.deliver,

      async assemble(given) {
        const params: AssembleParams = { ...given, ...ids, signal: opening.signal };
        const untouched: AssembleResult & { readonly params: AssembleParams } = { messages: params.messages, estimatedTokens: 0, params };
        let own: AssembleResult | undefined;
        const result = await hooks.call('context.assemble', untouched, context, async () => {
          own = await call('assemble', opening.signal, (signal) => engine.assemble({ ...params, signal }));
          return own;
        });
        const reason = RESULT_CHECKS.assemble(result);
        if (reason !== undefined || result === undefined)
          throw durarError('DUR_ENGINE_RESULT', { engine: id, method: 'assemble', reason: reason ?? 'nothing' });
        return own === undefined || own === result ? result : { ...result, own };
      },

      async compact(given, base) {
        const params: CompactParams = { ...given, ...ids };
        const own = () =>
          call('compact', given.signal ?? opening.signal, (signal) =>
            lend(params.runtimeContext, (lent) => engine.compact({ ...withRuntime(params, lent), signal })),
          );
        const result = await hooks.call('context.compact', params, context, () => (base === undefined ? own() : base(params)));
        const reason = RESULT_CHECKS.compact(result);
        if (reason !== undefined || result === undefined) throw durarError('DUR_ENGINE_RESULT', { engine: id, method: 'compact', reason: reason ?? 'nothing' });
        if (result.compacted) due.push('compaction');
        return result;
      },

      async finish(given, signal) {
        await delivery.finish(signal);
        const params: AfterTurnParams = { ...given, ...ids, ...heartbeat };
        const { messages, prePromptMessageCount } = params;
        if (!hasAfterTurn) return;
        await hooks.call('context.afterTurn', { ...ids, messages, prePromptMessageCount }, context, async () => {
          if (engine.afterTurn !== undefined) {
            await call('afterTurn', signal, (inner) =>
              lend(params.runtimeContext, async (lent) => engine.afterTurn?.({ ...withRuntime(params, lent), signal: inner })),
            );
          }
        });
      },

      async maintain({ succeeded, runtimeContext }, signal) {
        if (!caughtUp.has(engine)) await tellEnded({ id, engine, call, signal });
        if (engine.maintain === undefined) return;
        const sessionFile = await file(sessions, session);
        for (const reason of succeeded ? [...due, 'turn' as const] : due) {
          await call('maintain', signal, (inner) =>
            lend(runtimeContext, async (lent) => engine.maintain?.(withRuntime({ ...ids, ...sessionFile, reason, signal: inner }, lent))),
          );
        }
      },

      takeProblems() {
        const kept = problems.get(session.sessionId) ?? [];
        problems.delete(session.sessionId);
        return kept;
      },

      keepProblem(problem) {
        problems.set(session.sessionId, [...(problems.get(session.sessionId) ?? []), problem].slice(-MAX_PROBLEMS));
      },
    };
  }

  return {
    open,

    async sessionEnded(ended, { generation, signal }) {
      problems.delete(ended.sessionId);
      cursors.end(ended, generation.config.plugins.slots.contextEngine);
      const slot = await generation.slot('contextEngine');
      if (slot === undefined) return;
      const engine = slot.instance as ContextEngine;
      bootstrapped.get(engine)?.delete(ended.sessionId);
      const call = createEngineCall({ id: slot.key, owner: slot.owner, timeouts });
      await tellEnded({ id: slot.key, engine, call, signal });
    },

    async subagentEnded(params, { generation, signal }) {
      const slot = await generation.slot('contextEngine');
      const engine = slot?.instance as ContextEngine | undefined;
      if (slot === undefined || engine?.onSubagentEnded === undefined) return;
      const call = createEngineCall({ id: slot.key, owner: slot.owner, timeouts });
      await call('onSubagentEnded', signal, async () => engine.onSubagentEnded?.({ ...params }));
    },
  };
}

async function file(sessions: EnginesOptions['sessions'], session: SessionRecord): Promise<{ sessionFile?: string }> {
  const path = await sessions.sessionFile(session);
  return path === undefined ? {} : { sessionFile: path };
}

function withRuntime<Params extends object>(params: Params, runtimeContext: RuntimeContext | undefined): Params {
  return runtimeContext === undefined ? params : { ...params, runtimeContext };
}
