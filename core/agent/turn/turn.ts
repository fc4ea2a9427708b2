import { durarError, emptyUsage, type SessionPatch, type SessionRecord } from '../../../sdk/index.ts';
import { INTERNAL_CHANNEL } from '../../../sdk/protocol/clients.ts';
import type { Lease } from '../../kernel/generation.ts';
import { appendUsage } from '../directives/usage-line.ts';
import { recordTurn } from '../ledger/ledger-record.ts';
import { openInjections } from '../queue/injections.ts';
import type { Run } from '../run.ts';
import type { RunRequest, RunResult } from '../run-request.ts';
import { finishTurn } from './after-turn.ts';
import { prepareTurn } from './prepare.ts';
import { runLoop } from './turn-loop.ts';
import { turnResult } from './turn-result.ts';
import type { TurnDeps, TurnState } from './turn-state.ts';

export interface FinishedTurn {
  /** undefined: the generation's time was up before the turn ended; run it again with `resume`, under the next one. */
  result: RunResult | undefined;
  /** What is left when the reply is out: the engine's end of the turn. Ends the lease; call it once, whatever happened. Never rejects. */
  after(): Promise<void>;
}

/**
 * Runs one turn from its lease to its result. A failure is a result; rejects only when no lease can be had. `resume`: an earlier attempt has
 * written the user entry, so the turn goes on from the transcript.
 */
export async function runTurn(deps: TurnDeps, run: Run, resume: boolean): Promise<FinishedTurn> {
  const { sessions, now } = deps;
  const { sessionKey } = run.accepted;
  const startedAt = now();
  const lease = deps.source.lease();
  const attempt = attemptOf(run, AbortSignal.any([run.signal, lease.expired]));
  const { preface = [] } = run.request;
  const state: TurnState = {
    totals: { text: preface.join('\n\n'), texts: [...preface], usage: emptyUsage(), calls: [], compactions: 0, attempts: [], estimatedTokens: 0, problems: [] },
  };
  const timer = startTimer(run, lease);
  const injections = openInjections(run.steering);
  let failure: unknown;
  try {
    if (!resume) run.emit('lifecycle', { phase: 'start', startedAt, ...run.request.shown });
    const session = await sessions.get(sessionKey);
    if (session === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key: sessionKey });
    state.session = session;
    await sessions.patch(sessionKey, { status: 'running', startedAt, endedAt: null, abortedLastRun: false, ...lastTalk(session, run.request) });
    const turn = await prepareTurn(deps, attempt, lease, state, session, resume);
    if (turn !== undefined) {
      await runLoop(turn, run.request.message, injections);
      appendUsage(turn);
    }
  } catch (error) {
    failure = attempt.signal.aborted ? attempt.signal.reason : error;
  } finally {
    clearTimeout(timer);
    injections.close();
  }
  if (failure !== undefined && lease.expired.aborted && !run.signal.aborted) {
    return { result: undefined, after: async () => lease.release() };
  }
  const result = await turnResult({ deps, run, state, failure, startedAt, generation: lease.generation });
  return {
    result,
    async after() {
      try {
        recordTurn(deps, state, result);
        const { length } = state.totals.attempts;
        await finishTurn(deps, state, failure, AbortSignal.any([deps.closing, lease.expired]));
        if (state.totals.attempts.length > length) recordTurn(deps, state, result);
      } finally {
        lease.release();
      }
    },
  };
}

/** Where the session last talked, for answers that nobody waits for. The host's own chat does not take the place of a channel. */
function lastTalk({ lastChannel, chatType, extra }: SessionRecord, { channel, to, accountId, threadId, keepsRoute }: RunRequest): SessionPatch {
  if (channel === undefined || keepsRoute === true || (channel === INTERNAL_CHANNEL && lastChannel !== undefined)) return {};
  return {
    ...(channel === INTERNAL_CHANNEL && chatType === undefined ? { chatType: 'direct' } : {}),
    ...(channel === lastChannel ? {} : { lastChannel: channel, lastTo: null, lastAccountId: null }),
    ...(to === undefined ? {} : { lastTo: to }),
    ...(accountId === undefined ? {} : { lastAccountId: accountId }),
    ...(threadId === undefined ? {} : { extra: { ...extra, lastThreadId: threadId } }),
  };
}

/** The run as one attempt sees it: ended by the run's own abort or by the end of the generation's time. */
function attemptOf(run: Run, signal: AbortSignal): Run {
  return {
    get request() {
      return run.request;
    },
    get accepted() {
      return run.accepted;
    },
    signal,
    steering: run.steering,
    get abortOrigin() {
      return run.abortOrigin;
    },
    emit: run.emit,
    abort: run.abort,
    get answers() {
      return run.answers;
    },
    takeIn: run.takeIn,
    handOver: run.handOver,
  };
}

function startTimer(run: Run, lease: Lease): NodeJS.Timeout | undefined {
  const seconds = run.request.timeoutSeconds ?? lease.generation.config.agents.defaults.timeoutSeconds;
  if (seconds === 0) return undefined;
  // a timer cannot be set further ahead than this
  const ms = Math.min(seconds * 1000, 2 ** 31 - 1);
  return setTimeout(() => run.abort('timeout', durarError('DUR_RUN_TIMEOUT', { seconds })), ms);
}
