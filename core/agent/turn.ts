import { durarError, emptyUsage } from '../../sdk/index.ts';
import type { Lease } from '../kernel/generation.ts';
import { finishTurn } from './after-turn.ts';
import { prepareTurn } from './prepare.ts';
import type { Run } from './run.ts';
import type { RunResult } from './run-request.ts';
import { runLoop } from './turn-loop.ts';
import { turnResult } from './turn-result.ts';
import type { TurnDeps, TurnState } from './turn-state.ts';

export interface FinishedTurn {
  result: RunResult;
  /** What is left when the reply is out: the engine's end of the turn. Ends the lease; call it once, whatever happened. Never rejects. */
  after(): Promise<void>;
}

/** Runs one turn from its lease to its result. Never rejects: a failure is a result. */
export async function runTurn(deps: TurnDeps, run: Run): Promise<FinishedTurn> {
  const { sessions, now } = deps;
  const { sessionKey } = run.accepted;
  const startedAt = now();
  const lease = deps.source.lease();
  const state: TurnState = { totals: { text: '', texts: [], usage: emptyUsage(), compactions: 0, estimatedTokens: 0, problems: [] } };
  const timer = startTimer(run, lease);
  let failure: unknown;
  try {
    run.emit('lifecycle', { phase: 'start', startedAt });
    const session = await sessions.get(sessionKey);
    if (session === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key: sessionKey });
    state.session = session;
    await sessions.patch(sessionKey, { status: 'running', startedAt, endedAt: null });
    const turn = await prepareTurn(deps, run, lease, session, state);
    if (turn !== undefined) await runLoop(turn, run.request.message);
  } catch (error) {
    failure = run.signal.aborted ? run.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
  const result = await turnResult({ deps, run, state, failure, startedAt, generation: lease.generation });
  return {
    result,
    async after() {
      try {
        await finishTurn(deps, state, failure);
      } finally {
        lease.release();
      }
    },
  };
}

function startTimer(run: Run, lease: Lease): NodeJS.Timeout | undefined {
  const seconds = run.request.timeoutSeconds ?? lease.generation.config.agents.defaults.timeoutSeconds;
  if (seconds === 0) return undefined;
  // a timer cannot be set further ahead than this
  const ms = Math.min(seconds * 1000, 2 ** 31 - 1);
  return setTimeout(() => run.abort('timeout', durarError('DUR_RUN_TIMEOUT', { seconds })), ms);
}
