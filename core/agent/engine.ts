import {
  type AfterTurnParams,
  type AgentMessage,
  type AssembleParams,
  type AssembleResult,
  type CompactParams,
  type CompactResult,
  type ContextEngine,
  durarError,
  type HookContext,
  type SessionRecord,
  type StoredEntry,
  type SubagentEndedParams,
} from '../../sdk/index.ts';
import type { Generation, HookDispatcher } from '../kernel/generation.ts';
import type { SessionService } from '../sessions/service.ts';
import type { State } from '../state/state.ts';
import { createEngineCall, type EngineObservation, type EngineTimeouts } from './engine-call.ts';
import { createDelivery } from './engine-delivery.ts';
import { RESULT_CHECKS } from './engine-result.ts';

export { ENGINE_TIMEOUTS, type EngineObservation, type EngineTimeouts } from './engine-call.ts';

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
  /** Tells the selected engine that a sub-agent is over. Throws `DUR_SLOT_*`, `DUR_ENGINE_*`. */
  subagentEnded(params: SubagentEndedParams, at: { generation: Generation; signal: AbortSignal }): Promise<void>;
}

export function createEngines(options: EnginesOptions): Engines {
  const { cursors, sessions, timeouts, slot: name = 'contextEngine' } = options;
  /** Sessions that an engine has been given `bootstrap` for, in this process. */
  const bootstrapped = new WeakMap<ContextEngine, Set<string>>();

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
    const delivery = createDelivery({ engine, id, call, hooks, context, cursors, sessions, session, isHeartbeat, signal: opening.signal, history: opening.history });

    async function bootstrap(): Promise<void> {
      const history = opening.history ?? (await sessions.context(session));
      const sessionFile = await file(sessions, session);
      await hooks.call('context.bootstrap', { ...ids, ...sessionFile }, context, async () => {
        if (engine.bootstrap === undefined) return;
        await call('bootstrap', opening.signal, async (signal) => engine.bootstrap?.({ ...ids, ...sessionFile, messages: [...history.messages], signal }));
      });
      if (engine.bootstrap !== undefined) cursors.acknowledge(id, session.sessionId, history.lastSeq);
    }

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
      ownsCompaction: engine.info.ownsCompaction === true,
      hasAfterTurn,

      deliver: delivery.deliver,

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
        await delivery.finish(signal);
        const params: AfterTurnParams = { ...given, ...ids, ...heartbeat };
        const { messages, prePromptMessageCount } = params;
        if (!hasAfterTurn) return;
        await hooks.call('context.afterTurn', { ...ids, messages, prePromptMessageCount }, context, async () => {
          if (engine.afterTurn !== undefined) await call('afterTurn', signal, async (inner) => engine.afterTurn?.({ ...params, signal: inner }));
        });
      },
    };
  }

  return {
    open,

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
