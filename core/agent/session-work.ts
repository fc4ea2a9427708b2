import { type CompactResult, durarError, emptyUsage, errorCode, type HookContext, type SessionPatch, type SessionRecord } from '../../sdk/index.ts';
import { compactSession } from './compaction.ts';
import { createContextInspection, type InspectContext } from './context-inspection.ts';
import type { Lanes } from './lanes.ts';
import { chooseModelRef } from './model-choice.ts';
import { divideWindow } from './tokens.ts';
import { createToolCatalog } from './tool-catalog.ts';
import type { TurnDeps } from './turn-state.ts';

/** What is done to a whole session, between its turns. */
export interface SessionWork {
  /** Through the selected engine, whether it seems needed or not. Throws `DUR_SESSION_UNKNOWN`, `DUR_ENGINE_*`, `DUR_MODEL_*`, `DUR_PROVIDER_*`. */
  compact(params: { sessionKey: string; instructions?: string }): Promise<CompactResult>;
  /** What the session's context is made of; waits for nothing. */
  readonly inspect: InspectContext;
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

  async function compactNow(key: string, instructions: string | undefined): Promise<CompactResult> {
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
      const model = await deps.models.resolve(generation, chooseModelRef({ config: generation.config, agentId, session }));
      const { contextTokens, compaction } = generation.config.agents.defaults;
      const { messages: tokenBudget } = divideWindow({
        window: Math.min(model.entry.contextWindow, contextTokens ?? Number.POSITIVE_INFINITY),
        reserveTokens: compaction.reserveTokens,
        floor: compaction.reserveTokensFloor,
        overhead: 0,
      });
      const { messages } = await sessions.context(session);
      const totals = { text: '', texts: [], usage: emptyUsage(), compactions: 0, estimatedTokens: 0, problems: [] };
      // no run of its own: nobody follows its events
      const run = { emit: () => undefined };
      const result = await compactSession(
        { deps, run, session, generation, engine, model, hookContext, totals },
        { trigger: 'manual', tokenBudget, currentTokenCount: deps.estimator.messages(messages), signal, instructions },
      );
      if (result.compacted) {
        const totalTokens = result.result?.tokensAfter ?? null;
        await sessions.patch(key, { compactionCount: (session.compactionCount ?? 0) + 1, totalTokens });
      }
      return result;
    } finally {
      lease.release();
    }
  }

  return {
    compact({ sessionKey, instructions }) {
      const key = sessions.canonicalKey(sessionKey);
      return lanes.run(`session:${key}`, () => lanes.run(params.defaultLane, () => compactNow(key, instructions), deps.closing), deps.closing);
    },

    inspect: createContextInspection({ deps, tools: createToolCatalog(deps) }),

    reset({ sessionKey, reason }) {
      const key = sessions.canonicalKey(sessionKey);
      return settled(key, async () => {
        const old = await sessions.get(key);
        if (old === undefined) return open(key);
        await farewell(old, reason);
        await sessions.reset(key, reason);
        const session = await sessions.patch(key, unused(old), { touch: false });
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
          return await sessions.delete(key, deleteTranscript === undefined ? {} : { deleteTranscript });
        } catch (error) {
          if (errorCode(error) === 'DUR_SESSION_UNKNOWN') return { deleted: false, archived: [] };
          throw error;
        }
      });
    },
  };
}
