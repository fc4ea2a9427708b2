import { type AgentEvent, durarError, errorText } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import type { AcceptedRun, RunRequest, RunResult } from './run-request.ts';

export type AbortOrigin = 'rpc' | 'stop' | 'timeout' | 'shutdown';

/** One accepted run, until its result is known. */
export interface Run {
  readonly request: RunRequest;
  readonly accepted: AcceptedRun;
  readonly signal: AbortSignal;
  /** Who aborted it. */
  readonly abortOrigin: AbortOrigin | undefined;
  emit(stream: AgentEvent['stream'], data: Record<string, unknown>): void;
  abort(origin: AbortOrigin, reason: Error): void;
}

/** All runs of the process: those under way and, for a while, what became of the others. */
export interface Runs {
  begin(request: RunRequest, accepted: AcceptedRun): Run;
  finish(run: Run, result: RunResult): void;
  /** What `accept` answered for this id, while the run or its result is known. */
  accepted(runId: string): AcceptedRun | undefined;
  wait(runId: string, timeoutMs: number): Promise<RunResult | undefined>;
  abort(params: { sessionKey?: string | undefined; runId?: string | undefined; origin: AbortOrigin }): string[];
  active(sessionKey?: string): AcceptedRun[];
  onEvent(listener: (event: AgentEvent) => void): () => void;
}

interface Live {
  run: Run;
  ended: Promise<RunResult>;
  end(result: RunResult): void;
}

const KEEP_RESULTS_MS = 600_000;

export function createRuns(options: { now: () => number; log: Logger }): Runs {
  const { now, log } = options;
  const live = new Map<string, Live>();
  /** In the order in which they ended, so that the expired ones come first. */
  const ended = new Map<string, { accepted: AcceptedRun; result: RunResult; at: number }>();
  const listeners = new Set<(event: AgentEvent) => void>();

  function publish(event: AgentEvent): void {
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (error) {
        log.error(`a listener of run events threw: ${errorText(error)}`, { runId: event.runId });
      }
    }
  }

  function sweep(): void {
    const oldest = now() - KEEP_RESULTS_MS;
    for (const [runId, kept] of ended) {
      if (kept.at > oldest) return;
      ended.delete(runId);
    }
  }

  return {
    begin(request, accepted) {
      const { runId, sessionKey } = accepted;
      const controller = new AbortController();
      let seq = 0;
      let origin: AbortOrigin | undefined;
      const run: Run = {
        request,
        accepted,
        signal: controller.signal,
        get abortOrigin() {
          return origin;
        },
        emit(stream, data) {
          seq += 1;
          publish({ runId, seq, stream, ts: now(), data, sessionKey });
        },
        abort(by, reason) {
          origin ??= by;
          controller.abort(reason);
        },
      };
      const { promise, resolve } = Promise.withResolvers<RunResult>();
      live.set(runId, { run, ended: promise, end: resolve });
      return run;
    },

    finish(run, result) {
      const { runId } = run.accepted;
      const entry = live.get(runId);
      live.delete(runId);
      sweep();
      ended.set(runId, { accepted: run.accepted, result, at: now() });
      entry?.end(result);
    },

    accepted(runId) {
      sweep();
      return live.get(runId)?.run.accepted ?? ended.get(runId)?.accepted;
    },

    async wait(runId, timeoutMs) {
      sweep();
      const kept = ended.get(runId);
      if (kept !== undefined) return kept.result;
      const entry = live.get(runId);
      if (entry === undefined) throw durarError('DUR_RUN_UNKNOWN', { runId });
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<undefined>((resolve) => {
        timer = setTimeout(resolve, timeoutMs, undefined);
      });
      try {
        return await Promise.race([entry.ended, late]);
      } finally {
        clearTimeout(timer);
      }
    },

    abort({ sessionKey, runId, origin }) {
      const aborted: string[] = [];
      for (const { run } of live.values()) {
        if (runId !== undefined && run.accepted.runId !== runId) continue;
        if (sessionKey !== undefined && run.accepted.sessionKey !== sessionKey) continue;
        if (run.signal.aborted) continue;
        run.abort(origin, durarError(origin === 'shutdown' ? 'DUR_HOST_STOPPED' : 'DUR_RUN_ABORTED'));
        aborted.push(run.accepted.runId);
      }
      return aborted;
    },

    active(sessionKey) {
      const all = [...live.values()].map(({ run }) => run.accepted);
      return sessionKey === undefined ? all : all.filter((accepted) => accepted.sessionKey === sessionKey);
    },

    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
