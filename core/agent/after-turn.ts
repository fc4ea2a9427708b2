import { reportError } from '../../sdk/index.ts';
import { compactSession, runFacts } from './compaction.ts';
import type { Turn, TurnDeps, TurnState } from './turn-state.ts';

/**
 * The end of a turn that nobody waits for: compaction when the context came near the window, then the engine's own end of turn. Failures are
 * logged and change nothing. Never rejects.
 */
export async function finishTurn(deps: TurnDeps, state: TurnState, failure: unknown, signal: AbortSignal): Promise<void> {
  const { engine, session, recorder, totals, run } = state;
  if (engine === undefined || session === undefined || recorder === undefined || run === undefined) return;
  const before = totals.compactions;
  try {
    if (failure === undefined && state.model !== undefined) await compactNearWindow(state as Turn, signal);
  } catch (error) {
    report(deps, state, error);
  }
  try {
    if (totals.compactions > before) {
      await deps.sessions.patch(session.key, { compactionCount: (session.compactionCount ?? 0) + totals.compactions }, { touch: false });
    }
    await engine.finish(engine.hasAfterTurn ? await turnFacts(deps, state as Turn) : { messages: [], prePromptMessageCount: 0 }, signal);
  } catch (error) {
    report(deps, state, error);
  }
}

/** The larger of what the engine and the provider say the context costs decides. */
async function compactNearWindow(turn: Turn, signal: AbortSignal): Promise<void> {
  const { budget, estimatedTokens, lastUsage } = turn.totals;
  if (budget === undefined) return;
  const used = Math.max(estimatedTokens + (lastUsage?.output ?? 0) + budget.overhead, lastUsage?.totalTokens ?? 0);
  if (used <= budget.window - budget.reserve) return;
  await compactSession(turn, { trigger: 'threshold', tokenBudget: budget.messages, currentTokenCount: used, signal });
}

async function turnFacts(deps: TurnDeps, turn: Turn) {
  const { session, recorder, totals } = turn;
  const { messages, entryIds } = await deps.sessions.context(session);
  const sessionFile = await deps.sessions.sessionFile(session);
  const ofTurn = new Set(recorder.entries.map((entry) => entry.id));
  return {
    messages: [...messages],
    prePromptMessageCount: entryIds.filter((id) => !ofTurn.has(id)).length,
    ...(turn.model === undefined ? {} : { runtimeContext: runFacts(turn) }),
    ...(sessionFile === undefined ? {} : { sessionFile }),
    ...(totals.summary === undefined ? {} : { autoCompactionSummary: totals.summary }),
    ...(totals.budget === undefined ? {} : { tokenBudget: totals.budget.messages }),
  };
}

function report(deps: TurnDeps, { run, session }: Partial<Turn>, error: unknown): void {
  const { message, owner, code } = reportError(error);
  deps.log.error(message, { ...owner, code, runId: run?.accepted.runId, sessionKey: session?.key });
}
