import { type AgentEvent, durarError, errorText } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import type { AcceptedRun, RunRequest, RunResult } from './run-request.ts';

export type AbortOrigin = 'rpc' | 'stop' | 'timeout' | 'shutdown';

/** A run that takes a running turn over. */
export interface Successor {
  request: RunRequest;
  accepted: AcceptedRun;
  /** Called right before its message is written to the transcript. */
  before(): void;
  /** Called when it is, with the run whose turn it takes and what that one came to. */
  taken(from: Run, result: RunResult): void;
}

/** A message that becomes part of a running turn. */
export interface Injection {
  request: RunRequest;
  /** Aborted: nobody wants it any more. */
  signal: AbortSignal;
  /** The messages of the inbox that it holds. */
  runIds: readonly string[];
  /** Called right before it is written to the transcript. */
  before(): void;
  /** Called when it is. */
  taken(): void;
}

/** Where a running turn can be given a new message. */
export interface Steering {
  /**
   * There from the turn's begin to its last reply. A tool that runs is left to end, calls behind it are skipped, and the next model
   * call has the message; false when the turn ended before that.
   */
  inject?: (message: Injection) => Promise<boolean>;
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
  /** The messages of the inbox that its end answers, in their order. */
  readonly answers: readonly string[];
  /** Who aborted it. */
  readonly abortOrigin: AbortOrigin | undefined;
  emit(stream: AgentEvent['stream'], data: Record<string, unknown>): void;
  abort(origin: AbortOrigin, reason: Error): void;
  /** It answers these too; `request`: what it asks from here on. */
  takeIn(ids: readonly string[], request?: RunRequest): void;
  /** From here on the run goes by the successor's id; under its old one it ends with this result. */
  handOver(next: Successor, result: RunResult): void;
}

/** All runs of the process: those under way and, for a while, what became of the others. */
export interface Runs {
  /** `answers`: messages of the inbox beside its own. */
  begin(request: RunRequest, accepted: AcceptedRun, answers?: readonly string[]): Run;
  /** Tells the listeners that it waits for its turn; an event before all others. */
  announce(run: Run, data: Record<string, unknown>): void;
  finish(run: Run, result: RunResult): void;
  /** What `accept` answered for this id, while the run or its result is known. */
  accepted(runId: string): AcceptedRun | undefined;
  wait(runId: string, timeoutMs: number): Promise<RunResult | undefined>;
  /** Its result is asked for no more: it is to run again. */
  forget(runId: string): void;
  /** Resolves when a run of that id has begun, or after `ms`. */
  arrival(runId: string, ms: number): Promise<void>;
  abort(params: { sessionKey?: string | undefined; runId?: string | undefined; origin: AbortOrigin }): string[];
  active(sessionKey?: string): AcceptedRun[];
  get(runId: string): Run | undefined;
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
const MAX_RESULTS = 5_000;

/** The messages of the inbox that a request is. */
export function inboxIds({ runId, isBooked }: RunRequest): string[] {
  return isBooked === true ? [] : [runId];
}

export function createRuns(options: { now: () => number; log: Logger }): Runs {
  const { now, log } = options;
  const live = new Map<string, Live>();
  /** The same by session; a backlog is large, a session's part of it is not. */
  const bySession = new Map<string, Set<Live>>();
  /** In the order in which they ended, so that the expired ones come first. */
  const ended = new Map<string, { accepted: AcceptedRun; result: RunResult; at: number }>();
  const listeners = new Set<(event: AgentEvent) => void>();
  const arrivals = new Map<string, Set<() => void>>();

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
      if (kept.at > oldest && ended.size <= MAX_RESULTS) return;
      ended.delete(runId);
    }
  }

  function enter(run: Run): void {
    const { promise, resolve } = Promise.withResolvers<RunResult>();
    const { runId, sessionKey } = run.accepted;
    const entry = { run, ended: promise, end: resolve };
    live.set(runId, entry);
    bySession.set(sessionKey, (bySession.get(sessionKey) ?? new Set()).add(entry));
    const waiting = arrivals.get(runId);
    if (waiting === undefined) return;
    arrivals.delete(runId);
    for (const arrived of waiting) arrived();
  }

  function finish(run: Run, result: RunResult): void {
    const { runId, sessionKey } = run.accepted;
    const entry = live.get(runId);
    live.delete(runId);
    const others = bySession.get(sessionKey);
    if (entry !== undefined && others?.delete(entry) === true && others.size === 0) bySession.delete(sessionKey);
    sweep();
    ended.set(runId, { accepted: run.accepted, result, at: now() });
    entry?.end(result);
  }

  function matching({ sessionKey, runId }: { sessionKey?: string | undefined; runId?: string | undefined }): Iterable<Live> {
    if (runId === undefined) return sessionKey === undefined ? live.values() : (bySession.get(sessionKey) ?? []);
    const entry = live.get(runId);
    return entry === undefined || (sessionKey !== undefined && entry.run.accepted.sessionKey !== sessionKey) ? [] : [entry];
  }

  return {
    begin(firstRequest, firstAccepted, given) {
      let answers = given ?? inboxIds(firstRequest);
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
        get answers() {
          return answers;
        },
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
        takeIn(ids, merged) {
          answers = [...answers, ...ids];
          if (merged !== undefined) request = merged;
        },
        handOver(next, result) {
          run.emit('lifecycle', { phase: 'end', aborted: true, stopReason: result.meta.stopReason, startedAt: result.startedAt, endedAt: result.endedAt });
          finish(run, result);
          ({ request, accepted } = next);
          answers = inboxIds(request);
          seq = 0;
          enter(run);
          run.emit('lifecycle', { phase: 'start', startedAt: now() });
        },
      };
      enter(run);
      return run;
    },

    finish,

    announce({ accepted: { runId, sessionKey } }, data) {
      publish({ runId, seq: 0, stream: 'lifecycle', ts: now(), data: { phase: 'queued', ...data }, sessionKey });
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

    forget: (runId) => void ended.delete(runId),

    async arrival(runId, ms) {
      if (live.has(runId) || ended.has(runId)) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const waiting = arrivals.get(runId) ?? new Set();
      arrivals.set(runId, waiting.add(resolve));
      const timer = setTimeout(resolve, ms);
      await promise;
      clearTimeout(timer);
      waiting.delete(resolve);
      if (waiting.size === 0 && arrivals.get(runId) === waiting) arrivals.delete(runId);
    },

    abort({ sessionKey, runId, origin }) {
      const aborted: string[] = [];
      for (const { run } of [...matching({ sessionKey, runId })]) {
        if (run.signal.aborted) continue;
        run.abort(origin, durarError(origin === 'shutdown' ? 'DUR_HOST_STOPPED' : 'DUR_RUN_ABORTED'));
        aborted.push(run.accepted.runId);
      }
      return aborted;
    },

    active: (sessionKey) => Array.from(matching({ sessionKey }), ({ run }) => run.accepted),

    get: (runId) => live.get(runId)?.run,

    steerable(sessionKey) {
      for (const { run } of matching({ sessionKey })) if (run.steering.offer !== undefined && !run.signal.aborted) return run;
      return undefined;
    },

    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
