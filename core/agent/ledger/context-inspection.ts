import { durarError, type SessionRecord } from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';
import { chooseModelRef } from '../models/model-choice.ts';
import { agentWorkspaceDir } from '../settings.ts';
import type { ToolCatalog } from '../tools/tool-catalog.ts';
import { buildRunPrompt } from '../turn/run-prompt.ts';
import type { TurnDeps } from '../turn/turn-state.ts';
import { type ContextInspection, type RunContextReport, storedReport } from './context-report.ts';
import { createReport } from './run-report.ts';

/**
 * What a session's context is made of: as its last run sent it, else as one would send it now (without what hooks and the engine would add).
 * Throws `DUR_SESSION_UNKNOWN`, and what a run could not begin for.
 */
export type InspectContext = (params: { sessionKey: string }) => Promise<ContextInspection>;

export function createContextInspection({ deps, tools }: { deps: TurnDeps; tools: ToolCatalog }): InspectContext {
  const { sessions, source, models, estimator, correction, paths } = deps;

  async function estimate(generation: Generation, session: SessionRecord): Promise<RunContextReport> {
    const { config } = generation;
    const { agentId } = session;
    const ref = chooseModelRef({ config, agentId, session });
    const entry = await models.find(generation, ref);
    const schemas = tools.schemas(session);
    const workspaceDir = agentWorkspaceDir(config, agentId, paths);
    const prompt = await buildRunPrompt(deps, { generation, session, agentId, workspaceDir, modelRef: `${entry.provider}/${entry.id}`, tools: schemas });
    const { messages } = await sessions.context(session);
    return createReport({
      source: 'estimate',
      session,
      generation,
      prompt,
      sent: { request: { systemPrompt: prompt.text, messages, tools: await schemas }, parts: prompt.parts },
      estimator,
      provider: entry.provider,
      model: entry.id,
      contextWindow: Math.min(entry.contextWindow, config.agents.defaults.contextTokens ?? Number.POSITIVE_INFINITY),
      factor: correction.factor(`${entry.provider}/${entry.id}`),
      now: deps.now(),
    });
  }

  return async ({ sessionKey }) => {
    const key = sessions.canonicalKey(sessionKey);
    const session = await sessions.get(key);
    if (session === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key });
    const lease = source.lease();
    try {
      const report = storedReport(session) ?? (await estimate(lease.generation, session));
      return { key, report, session: { totalTokens: session.totalTokens ?? null, contextTokens: report.contextWindow } };
    } finally {
      lease.release();
    }
  };
}
