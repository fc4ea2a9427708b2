import { type RuntimeContext, reportError } from '../../../sdk/index.ts';
import { type LendingTurn, runtimeContext } from '../engine/runtime-context.ts';
import { compactSession } from './compaction.ts';
import type { Turn, TurnDeps, TurnState } from './turn-state.ts';

/**
 * The end of a turn that nobody waits for: compaction when the context came near the window, then the engine's own end of turn and its
 * maintenance. Failures are logged, shown with the session's next run, and change nothing. Never rejects.
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
    await engine.finish(engine.hasAfterTurn ? await turnFacts(deps, state as Turn, signal) : { messages: [], prePromptMessageCount: 0 }, signal);
  } catch (error) {
    report(deps, state, error);
  }
  try {
    if (totals.compactions > before) {
      await deps.sessions.patch(session.key, { compactionCount: (session.compactionCount ?? 0) + totals.compactions }, { touch: false });
    }
    await engine.maintain({ succeeded: failure === undefined, runtimeContext: runtimeContext({ ...(state as LendingTurn), deps }) }, signal);
  } catch (error) {
    report(deps, state, error);
  }
}

/** The larger of what the engine (as the provider would count it) and the provider say the context costs decides. */
async function compactNearWindow(turn: Turn, signal: AbortSignal): Promise<void> {
  const { budget, estimatedTokens, lastUsage } = turn.totals;
  if (budget === undefined) return;
  const used = Math.max(Math.ceil(estimatedTokens * budget.factor) + (lastUsage?.output ?? 0) + budget.overhead, lastUsage?.totalTokens ?? 0);
  if (used <= budget.window - budget.reserve) return;
  await compactSession(turn, { trigger: 'threshold', tokenBudget: budget.messages, currentTokenCount: used, signal });
}

async function turnFacts(deps: TurnDeps, turn: Turn, signal: AbortSignal) {
  const { session, recorder, totals } = turn;
  const { messages, entryIds } = await deps.sessions.context(session);
  const sessionFile = await deps.sessions.sessionFile(session);
  const ofTurn = new Set(recorder.entries.map((entry) => entry.id));
  return {
    messages: [...messages],
    prePromptMessageCount: entryIds.filter((id) => !ofTurn.has(id)).length,
    runtimeContext: counting(turn, runtimeContext({ ...turn, deps }, signal)),
    ...(sessionFile === undefined ? {} : { sessionFile }),
    ...(totals.summary === undefined ? {} : { autoCompactionSummary: totals.summary }),
    ...(totals.budget === undefined ? {} : { tokenBudget: totals.budget.messages }),
  };
}

/** A compaction that the engine asks the host for at the end of a turn is one of the session's like any other. */
function counting({ totals }: Turn, { compactSession: compact, ...rest }: RuntimeContext): RuntimeContext {
  if (compact === undefined) return rest;
  return {
    ...rest,
    async compactSession(params) {
      const result = await compact(params);
      if (result.compacted) totals.compactions += 1;
      return result;
    },
  };
}

function report(deps: TurnDeps, { run, session, engine }: Partial<Turn>, error: unknown): void {
  const problem = reportError(error);
  const { message, owner, code } = problem;
  engine?.keepProblem(problem);
  deps.log.error(message, { ...owner, code, runId: run?.accepted.runId, sessionKey: session?.key });
}
