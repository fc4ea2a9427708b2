import { type AgentEvent, durarError, errorText } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import type { AcceptedRun, RunRequest, RunResult } from './run-request.ts';

export type AbortOrigin = 'rpc' | 'stop' | 'timeout' | 'shutdown';

/** A run that takes a running turn over. */
export interface Successor {
  request: RunRequest;
  accepted: AcceptedRun;
}

/** Where a running turn can be given a new message. */
export interface Steering {
  /** There while tools run. Ends the tool, skips the calls behind it and goes on with the successor's message; false when the turn ended first. */
  offer?: (next: Successor) => Promise<boolean>;
}

/** One accepted run, until its result is known. */
export interface Run {
  /** Request and acceptance of the successor, once it took over. */
  readonly request: RunRequest;
  readonly accepted: AcceptedRun;
  readonly signal: AbortSignal;
  readonly steering: Steering;
  /** Who aborted it. */
  readonly abortOrigin: AbortOrigin | undefined;
  emit(stream: AgentEvent['stream'], data: Record<string, unknown>): void;
  abort(origin: AbortOrigin, reason: Error): void;
  /** From here on the run goes by the successor's id; under its old one it ends with this result. */
  handOver(next: Successor, result: RunResult): void;
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
  /** The session's running turn, when it can take a message now. */
  steerable(sessionKey: string): Run | undefined;
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

  function enter(run: Run): void {
    const { promise, resolve } = Promise.withResolvers<RunResult>();
    live.set(run.accepted.runId, { run, ended: promise, end: resolve });
  }

  function finish(run: Run, result: RunResult): void {
    const { runId } = run.accepted;
    const entry = live.get(runId);
    live.delete(runId);
    sweep();
    ended.set(runId, { accepted: run.accepted, result, at: now() });
    entry?.end(result);
  }

  return {
    begin(firstRequest, firstAccepted) {
      let request = firstRequest;
      let accepted = firstAccepted;
      const controller = new AbortController();
      let seq = 0;
      let origin: AbortOrigin | undefined;
      const run: Run = {
        get request() {
          return request;
        },
        get accepted() {
          return accepted;
        },
        signal: controller.signal,
        steering: {},
        get abortOrigin() {
          return origin;
        },
        emit(stream, data) {
          seq += 1;
          publish({ runId: accepted.runId, seq, stream, ts: now(), data, sessionKey: accepted.sessionKey });
        },
        abort(by, reason) {
          origin ??= by;
          controller.abort(reason);
        },
        handOver(next, result) {
          run.emit('lifecycle', { phase: 'end', aborted: true, stopReason: result.meta.stopReason, startedAt: result.startedAt, endedAt: result.endedAt });
          finish(run, result);
          ({ request, accepted } = next);
          seq = 0;
          enter(run);
          run.emit('lifecycle', { phase: 'start', startedAt: now() });
        },
      };
      enter(run);
      return run;
    },

    finish,

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

    steerable(sessionKey) {
      for (const { run } of live.values()) {
        if (run.accepted.sessionKey === sessionKey && run.steering.offer !== undefined && !run.signal.aborted) return run;
      }
      return undefined;
    },

    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
