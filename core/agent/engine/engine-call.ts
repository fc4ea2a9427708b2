import { type DurarError, durarError, errorText } from '../../../sdk/index.ts';
import { withDeadline } from '../deadline.ts';
import { type EngineMethod, RESULT_CHECKS } from './engine-result.ts';

/** How long each engine call may take, milliseconds. */
export type EngineTimeouts = Record<EngineMethod, number>;

export const ENGINE_TIMEOUTS: EngineTimeouts = {
  bootstrap: 60_000,
  ingest: 15_000,
  ingestBatch: 60_000,
  assemble: 30_000,
  compact: 900_000,
  afterTurn: 120_000,
  maintain: 120_000,
  onSessionEnded: 15_000,
  onSubagentEnded: 15_000,
};

/** Runs one engine method: under its time limit, its result checked, its failure named. Throws `DUR_ENGINE_*`, or why the signal was aborted. */
export type EngineCall = <Result>(method: EngineMethod, signal: AbortSignal, work: (signal: AbortSignal) => Promise<Result>) => Promise<Result>;

/** How one call went. Those that were aborted are not told. */
export type EngineObservation = { method: EngineMethod; ms: number } & ({ result: unknown; error?: never } | { error: unknown; result?: never });

export interface EngineCallOptions {
  id: string;
  owner: string;
  timeouts: EngineTimeouts;
  onCall?: ((call: EngineObservation) => void) | undefined;
}

export function createEngineCall({ id, owner, timeouts, onCall }: EngineCallOptions): EngineCall {
  const run: EngineCall = async (method, signal, work) => {
    const at = { owner: { extension: owner, hook: `context.${method}` } };
    const ms = timeouts[method];
    let result: Awaited<ReturnType<typeof work>>;
    try {
      result = await withDeadline({ ms, signal, expired: () => durarError('DUR_ENGINE_TIMEOUT', { engine: id, method, ms }, at) }, work);
    } catch (error) {
      if (signal.aborted || isTimeout(error)) throw error;
      throw durarError('DUR_ENGINE_FAILED', { engine: id, method, reason: errorText(error) }, { ...at, cause: error });
    }
    const reason = RESULT_CHECKS[method](result);
    if (reason !== undefined) throw durarError('DUR_ENGINE_RESULT', { engine: id, method, reason }, at);
    return result;
  };
  if (onCall === undefined) return run;
  return async (method, signal, work) => {
    const begun = performance.now();
    try {
      const result = await run(method, signal, work);
      onCall({ method, ms: performance.now() - begun, result });
      return result;
    } catch (error) {
      if (!signal.aborted) onCall({ method, ms: performance.now() - begun, error });
      throw error;
    }
  };
}

function isTimeout(error: unknown): error is DurarError {
  return error instanceof Error && 'code' in error && error.code === 'DUR_ENGINE_TIMEOUT';
}
