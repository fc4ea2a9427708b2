import {
  type CompactResult,
  durarError,
  emptyUsage,
  errorCode,
  type HookContext,
  reportError,
  type SessionPatch,
  type SessionRecord,
} from '../../sdk/index.ts';
import { divideWindow } from './budget/tokens.ts';
import type { EngineTurn } from './engine/engine.ts';
import { type LendingTurn, runtimeContext } from './engine/runtime-context.ts';
import { createContextInspection, type InspectContext } from './ledger/context-inspection.ts';
import type { TurnRecord, TurnSummary } from './ledger/ledger.ts';
import { chooseModelRef } from './models/model-choice.ts';
import { profileWish, withoutUsedProfile } from './models/profile-use.ts';
import type { Lanes } from './queue/lanes.ts';
import { createToolCatalog } from './tools/tool-catalog.ts';
import { compactSession } from './turn/compaction.ts';
import type { TurnDeps } from './turn/turn-state.ts';

/** What is done to a whole session, between its turns. */
export interface SessionWork {
  /** Through the selected engine, whether it seems needed or not. Throws `DUR_SESSION_UNKNOWN`, `DUR_ENGINE_*`, `DUR_MODEL_*`, `DUR_PROVIDER_*`. */
  compact(params: { sessionKey: string; instructions?: string }): Promise<CompactResult>;
  /** What the session's context is made of; waits for nothing. */
  readonly inspect: InspectContext;
  /** What the session's turns were, newest first. */
  turns(params: { sessionKey: string; limit?: number | undefined }): { key: string; turns: TurnSummary[] };
  /** One of them with each part of its last request. Throws `DUR_TURN_UNKNOWN`. */
  turn(params: { sessionKey: string; turn?: string | undefined }): TurnRecord;
  /** Ends the session's runs, then starts it over. An unknown one begins. Throws `DUR_SESSION_BUSY`. */
  reset(params: { sessionKey: string; reason: 'new' | 'reset' }): Promise<SessionRecord>;
  /** Ends the session's runs, then removes it. Throws `DUR_SESSION_BUSY`. */
  remove(params: { sessionKey: string; deleteTranscript?: boolean; quiet?: boolean }): Promise<{ deleted: boolean; archived: string[] }>;
}

/** Counts of a session that has said nothing yet; it will ask for the same model. */
function unused({ model, modelProvider, contextTokens }: SessionRecord): SessionPatch {
  return {
    inputTokens: 0,
    outputTokens: 0,
    totalTokens: 0,
    abortedLastRun: false,
    ...(model === undefined ? {} : { model }),
    ...(modelProvider === undefined ? {} : { modelProvider }),
    ...(contextTokens === undefined ? {} : { contextTokens }),
  };
}

/** How long a turn may take to end after its abort, milliseconds. */
const SETTLE_MS = 15_000;

export function createSessionWork(params: {
  deps: TurnDeps;
  lanes: Lanes;
  defaultLane: string;
  abort(sessionKey: string): void;
  /** Opens the session of a key. */
  open(sessionKey: string): Promise<SessionRecord>;
}): SessionWork {
  const { deps, lanes, abort, open } = params;
  const { sessions, source } = deps;

  /** Alone in the session. */
  async function settled<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    abort(key);
    const late = AbortSignal.timeout(SETTLE_MS);
    try {
      return await lanes.run(`session:${key}`, work, late);
    } catch (error) {
      throw error === late.reason ? durarError('DUR_SESSION_BUSY', { key }) : error;
    }
  }

  const contextOf = ({ agentId, key, sessionId }: SessionRecord): HookContext => ({ agentId, sessionKey: key, sessionId });

  /** Tells the hooks that this session's conversation is over. */
  async function farewell(session: SessionRecord, reason?: string): Promise<void> {
    const { hooks } = source.current();
    const { sessionId, key: sessionKey } = session;
    const isReset = reason !== undefined && hooks.has('before_reset');
    if (!isReset && !hooks.has('session_end')) return;
    const { messages } = await sessions.context(session);
    const sessionFile = await sessions.sessionFile(session);
    const file = sessionFile === undefined ? {} : { sessionFile };
    if (isReset) hooks.emit('before_reset', { ...file, messages: [...messages], reason }, contextOf(session));
    hooks.emit(
      'session_end',
      { sessionId, sessionKey, messageCount: messages.length, durationMs: Math.max(0, deps.now() - session.createdAt) },
      contextOf(session),
    );
  }

  /** The session is gone whatever the engine makes of it. */
  async function engineFarewell({ sessionId, key: sessionKey }: SessionRecord, reason: 'deleted' | 'reset'): Promise<void> {
    const lease = source.lease();
    try {
      const signal = AbortSignal.any([deps.closing, lease.expired]);
      await deps.engines.sessionEnded({ sessionId, sessionKey, reason }, { generation: lease.generation, signal });
    } catch (error) {
      const { message, owner, code } = reportError(error);
      deps.log.error(message, { ...owner, code, sessionKey });
    } finally {
      lease.release();
    }
  }

  async function compactNow(key: string, instructions: string | undefined, answer: (result: CompactResult) => void): Promise<void> {
    const session = await sessions.get(key);
    if (session === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key });
    const lease = source.lease();
    try {
      const { generation } = lease;
      const signal = AbortSignal.any([deps.closing, lease.expired]);
      const { agentId } = session;
      const hookContext: HookContext = { ...contextOf(session), trigger: 'user', signal };
      await sessions.repair(session);
      const engine = await deps.engines.open({ generation, session, context: hookContext, signal, isHeartbeat: false });
      const ref = chooseModelRef({ config: generation.config, agentId, session });
      const model = await deps.models.resolve(generation, ref, profileWish(session, ref));
      const { contextTokens, compaction } = generation.config.agents.defaults;
      const { messages: tokenBudget } = divideWindow({
        window: Math.min(model.entry.contextWindow, contextTokens ?? Number.POSITIVE_INFINITY),
        reserveTokens: compaction.reserveTokens,
        floor: compaction.reserveTokensFloor,
        overhead: 0,
        factor: deps.correction.factor(model.ref),
      });
      const { messages } = await sessions.context(session);
      const totals = { text: '', texts: [], usage: emptyUsage(), calls: [], compactions: 0, attempts: [], estimatedTokens: 0, problems: [] };
      // no run of its own: nobody follows its events
      const run = { emit: () => undefined };
      const result = await compactSession(
        { deps, run, session, generation, engine, model, hookContext, totals },
        { trigger: 'manual', tokenBudget, currentTokenCount: deps.estimator.messages(messages), signal, instructions },
      );
      if (result.compacted) {
        const totalTokens = totalAfter(session.totalTokens, result.result);
        await sessions.patch(key, { compactionCount: (session.compactionCount ?? 0) + 1, totalTokens });
      }
      answer(result);
      await maintain(engine, { deps, session, generation, hookContext, model }, signal);
    } finally {
      lease.release();
    }
  }

  /** Holds the session, but nobody who waits for a compaction. */
  async function maintain(engine: EngineTurn, turn: LendingTurn, signal: AbortSignal): Promise<void> {
    try {
      await engine.maintain({ succeeded: false, runtimeContext: runtimeContext(turn) }, signal);
    } catch (error) {
      const problem = reportError(error);
      engine.keepProblem(problem);
      deps.log.error(problem.message, { ...problem.owner, code: problem.code, sessionKey: turn.session.key });
    }
  }

  return {
    compact({ sessionKey, instructions }) {
      const key = sessions.canonicalKey(sessionKey);
      return new Promise((resolve, reject) => {
        const work = () => lanes.run(params.defaultLane, () => compactNow(key, instructions, resolve), deps.closing);
        lanes.run(`session:${key}`, work, deps.closing).catch(reject);
      });
    },

    inspect: createContextInspection({ deps, tools: createToolCatalog(deps) }),

    turns({ sessionKey, limit }) {
      const key = sessions.canonicalKey(sessionKey);
      return { key, turns: deps.ledger.list(key, limit) };
    },

    turn: ({ sessionKey, turn }) => deps.ledger.find({ sessionKey: sessions.canonicalKey(sessionKey), turn }),

    reset({ sessionKey, reason }) {
      const key = sessions.canonicalKey(sessionKey);
      return settled(key, async () => {
        const old = await sessions.get(key);
        if (old === undefined) return open(key);
        await farewell(old, reason);
        await sessions.reset(key, reason);
        await engineFarewell(old, 'reset');
        const session = await sessions.patch(key, { ...unused(old), ...withoutUsedProfile(old) }, { touch: false });
        const { hooks } = source.current();
        if (hooks.has('session_start')) hooks.emit('session_start', { sessionId: session.sessionId, sessionKey: key }, contextOf(session));
        return session;
      });
    },

    remove({ sessionKey, deleteTranscript, quiet = false }) {
      const key = sessions.canonicalKey(sessionKey);
      return settled(key, async () => {
        const session = await sessions.get(key);
        if (session === undefined) return { deleted: false, archived: [] };
        if (!quiet) await farewell(session);
        try {
          const result = await sessions.delete(key, deleteTranscript === undefined ? {} : { deleteTranscript });
          deps.ledger.forget(key);
          await engineFarewell(session, 'deleted');
          return result;
        } catch (error) {
          if (errorCode(error) === 'DUR_SESSION_UNKNOWN') return { deleted: false, archived: [] };
          throw error;
        }
      });
    },
  };
}

/** Prompt and tools stay as they were; only what was given up is taken off. Each engine counts in its own way, so its figure is the least. */
function totalAfter(total: number | undefined, result: CompactResult['result']): number | null {
  if (result?.tokensAfter === undefined) return null;
  const { tokensBefore, tokensAfter } = result;
  return Math.max(tokensAfter, (total ?? 0) - Math.max(0, tokensBefore - tokensAfter));
}
