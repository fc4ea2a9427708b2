import { errorCode } from '../../sdk/errors.ts';
import type { AcceptedRun, RunResult } from '../agent/service.ts';
import type { GatewayContext } from './context.ts';

/** The longest delay a timer can have. */
const FOREVER_MS = 2_147_483_647;

/** The end of an accepted run, however long it takes. */
export async function untilEnd(context: GatewayContext, runId: string): Promise<RunResult> {
  for (;;) {
    const result = await context.agent.wait(runId, FOREVER_MS);
    if (result !== undefined) return result;
  }
}

/**
 * A run that was accepted under this key, by an earlier process or too long ago to be remembered here, and what came of it; a result that is too
 * old to be kept is an empty one. undefined: nobody knows of any.
 */
export function acceptedBefore({ agent }: GatewayContext, runId: string): { run: AcceptedRun; result: Promise<RunResult | undefined> } | undefined {
  const run = agent.known?.({ runId });
  if (run === undefined) return undefined;
  const result = agent.wait(run.runId, 0).catch((error: unknown): RunResult => {
    if (errorCode(error) !== 'DUR_RUN_UNKNOWN') throw error;
    const { sessionKey, sessionId, acceptedAt: at } = run;
    const meta = { durationMs: 0, aborted: false, agentMeta: { sessionId } };
    return { runId: run.runId, sessionKey, sessionId, status: 'ok', startedAt: at, endedAt: at, payloads: [], meta };
  });
  return { run, result };
}

/** An unknown run may still be on its way: the whole time is waited before giving up. */
export async function waitForRun(context: GatewayContext, runId: string, timeoutMs: number, signal: AbortSignal): Promise<RunResult | undefined> {
  const begin = Date.now();
  const coming = context.idempotency.get<AcceptedRun, unknown>(`agent:${runId}`) ?? context.idempotency.get(`chat:${runId}`);
  if (coming !== undefined) await coming.accepted;
  const isUnknown = (error: unknown) => {
    if (errorCode(error) === 'DUR_RUN_UNKNOWN') return undefined;
    throw error;
  };
  const result = await context.agent.wait(runId, Math.min(timeoutMs, FOREVER_MS)).catch(isUnknown);
  const left = timeoutMs - (Date.now() - begin);
  if (result !== undefined || left <= 0) return result;
  await pause(left, signal);
  return await context.agent.wait(runId, 0).catch(isUnknown);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, FOREVER_MS)).unref();
    signal.addEventListener('abort', done);
  });
}
