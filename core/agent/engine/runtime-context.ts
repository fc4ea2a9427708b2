import {
  type CompactParams,
  type CompactResult,
  errorCode,
  errorText,
  type MaintainResult,
  type RuntimeContext,
  type SessionRecord,
} from '../../../sdk/index.ts';
import { summarize } from '../turn/summarize.ts';
import type { Turn, TurnDeps } from '../turn/turn-state.ts';
import { unchanged } from './lending.ts';

/** What a turn lends its engine. */
export type LendingTurn = Pick<Turn, 'deps' | 'session' | 'generation' | 'hookContext'> & Partial<Pick<Turn, 'model'>>;

/** Who the engine works for, the model in use, and what it may change of the session. `signal` ends the host's own compaction. */
export function runtimeContext(turn: LendingTurn, signal?: AbortSignal): RuntimeContext {
  const { deps, session, hookContext, model } = turn;
  return {
    agentId: session.agentId,
    workspaceDir: hookContext.workspaceDir,
    ...(model === undefined ? {} : { provider: model.entry.provider, model: model.entry.id }),
    ...(signal === undefined || model === undefined ? {} : { compactSession: hostCompaction({ ...turn, model }, signal) }),
    rewriteTranscriptEntries: (params) => rewrite(deps, session, params),
  };
}

/** The host's own summary, by the model that is set for it. */
export function hostCompaction({ deps, session, generation, model }: LendingTurn & Pick<Turn, 'model'>, signal: AbortSignal) {
  return async (params: CompactParams): Promise<CompactResult> => {
    const settings = generation.config.agents.defaults.compaction;
    const writer = settings.model === undefined ? model : await deps.models.resolve(generation, settings.model, { agentId: session.agentId });
    const { sessions, estimator, correction, stallMs, now } = deps;
    return summarize({ sessions, session, model: writer, settings, estimator, factor: correction.factor(writer.ref), signal, stallMs, now }, params);
  };
}

async function rewrite(
  { sessions, log }: TurnDeps,
  session: SessionRecord,
  params: Parameters<NonNullable<RuntimeContext['rewriteTranscriptEntries']>>[0],
): Promise<MaintainResult> {
  if (!Array.isArray(params?.replacements)) return unchanged("'replacements' is not an array");
  try {
    const done = await sessions.rewrite(
      session,
      params.replacements.map(({ entryId, message }) => ({ id: entryId, message })),
    );
    return { changed: done.rewrittenEntries > 0, ...done };
  } catch (error) {
    if (errorCode(error) !== 'DUR_SESSION_REWRITE') throw error;
    log.warn(errorText(error), { code: 'DUR_SESSION_REWRITE', sessionKey: session.key });
    return unchanged(errorText(error));
  }
}
