import { type AgentEvent, durarError } from '../../sdk/index.ts';
import type { Credentials } from '../auth/credentials.ts';
import type { GenerationSource } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import type { SessionService } from '../sessions/service.ts';
import type { Outgoing, State } from '../state/state.ts';
import { createTokenCorrection } from './budget/token-correction.ts';
import { createTokenEstimator } from './budget/tokens.ts';
import { createIntake, type Intake } from './directives/intake.ts';
import { isStopWord } from './directives/stop-words.ts';
import { createEngines, ENGINE_TIMEOUTS, type EngineTimeouts } from './engine/engine.ts';
import { createLedger } from './ledger/ledger.ts';
import { createModelAccess, type ModelAccess } from './models/model-access.ts';
import { createModels } from './models/models.ts';
import { createBootstrapFiles } from './prompt/bootstrap-files.ts';
import { createPruning } from './pruning/pruning.ts';
import { createAdmission } from './queue/admission.ts';
import { createBacklog } from './queue/backlog.ts';
import { createDispatch, DEFAULT_LANE } from './queue/dispatch.ts';
import { createLanes } from './queue/lanes.ts';
import { createQueueDesk, type QueueDesk } from './queue/queue-desk.ts';
import { createRunBook } from './queue/run-book.ts';
import { type AbortOrigin, createRuns, type Run } from './run.ts';
import type { AcceptedRun, RunRequest, RunResult } from './run-request.ts';
import { createSessionOpening, type SessionOpening } from './session-opening.ts';
import { createSessionWork, type SessionWork } from './session-work.ts';
import { type AgentPaths, agentWorkspaceDir, defaultAgentId } from './settings.ts';
import { createShadow, type Shadow } from './shadow/shadow.ts';
import { createSubagents, type Subagents, withSubagents } from './subagents/subagents.ts';
import type { DeliverReply } from './subagents/subagents-announcer.ts';
import { createToolCalls } from './tools/tool-call.ts';
import { createToolCatalog, type ToolCatalog, type ToolInfo } from './tools/tool-catalog.ts';
import type { TurnDeps } from './turn/turn-state.ts';
import { createWorkspaces } from './workspace.ts';

export type { AcceptedRun, RunRequest, RunResult, ToolInfo };
export { isStopWord };

/** Accepts, queues and runs agent turns; one active run per session, sessions in parallel. */
export interface AgentService {
  /** Resolves when the run is accepted and its session is open; the run itself goes on. Throws `DUR_SESSION_KEY`, `DUR_AGENT_UNKNOWN`, `DUR_HOST_STOPPED`. */
  accept(request: RunRequest): Promise<AcceptedRun>;
  /** Resolves at the run's end or after `timeoutMs`; a timeout never stops the run. The newest results outlive the process. Throws `DUR_RUN_UNKNOWN`. */
  wait(runId: string, timeoutMs: number): Promise<RunResult | undefined>;
  /** What the same request was accepted as before, in this process or an earlier one; then nothing is started for it again. */
  known(request: Pick<RunRequest, 'runId' | 'dedupeKey' | 'sessionKey' | 'agentId'>): AcceptedRun | undefined;
  /** Takes up what earlier processes accepted and did not answer; to be called when replies can be delivered. */
  resume(): void;
  readonly queue: QueueDesk;
  /**
   * Accepts a run that does not wait its turn: while the session's running turn is among its tools it takes the message over, pending calls
   * skipped; else the session's runs are aborted and this one follows. Throws as `accept`.
   */
  steer(request: RunRequest): Promise<{ run: AcceptedRun; interrupted: boolean }>;
  /** Aborts one run or all runs of a session, queued ones and those of its sub-agents included. */
  abort(params: { sessionKey?: string; runId?: string; origin: 'rpc' | 'stop' | 'timeout' | 'shutdown' }): { aborted: boolean; runIds: string[] };
  active(sessionKey?: string): AcceptedRun[];
  isActive(runId: string): boolean;
  /** Every event of every run, in order. Listeners must not throw. */
  onEvent(listener: (event: AgentEvent) => void): () => void;
  /** Opens the session of a key, as a run would. Throws `DUR_SESSION_KEY`, `DUR_AGENT_UNKNOWN`. */
  readonly session: SessionOpening['session'];
  /** Waits for the session's turns, then compacts it. */
  readonly compact: SessionWork['compact'];
  readonly inspect: SessionWork['inspect'];
  readonly turns: SessionWork['turns'];
  readonly turn: SessionWork['turn'];
  readonly reset: SessionWork['reset'];
  readonly remove: SessionWork['remove'];
  readonly compareEngines: Shadow['compare'];
  readonly subagents: Subagents;
  readonly startOver: Intake['startOver'];
  readonly isCommand: Intake['isCommand'];
  /** Refuses new runs, waits up to `ms` for the running ones, then aborts them. */
  drain(ms: number): Promise<void>;
  /** What can be asked without a run. */
  readonly models: ModelAccess;
  readonly tools: ToolCatalog;
  /** Absolute path of an agent's working folder; absent: the default agent's. Throws `DUR_AGENT_UNKNOWN`. */
  workspaceDir(agentId?: string): string;
}

export interface AgentServiceOptions {
  source: GenerationSource;
  sessions: SessionService;
  cursors: State['cursors'];
  kv: State['kv'];
  turns: State['turns'];
  shadowTurns: State['shadow'];
  subagents: State['subagents'];
  inbox: State['inbox'];
  outbox: State['outbox'];
  /** What is to be sent for a result; on disk in the moment in which the message counts as answered. */
  replies?: (request: RunRequest, result: RunResult) => readonly Outgoing[];
  /** Sends what a run that nobody waits for has said; absent: it stays in its session. */
  deliver?: DeliverReply;
  paths: AgentPaths;
  log: Logger;
  version: string;
  /** epoch ms */
  now?: () => number;
  /** The effective environment, with the providers' credentials; asked anew each time. */
  env?: () => Readonly<Record<string, string | undefined>>;
  /** Those that are stored; absent: none. */
  credentials?: Pick<Credentials, 'credentialFor'>;
  /** milliseconds; each has a default */
  limits?: { engine?: Partial<EngineTimeouts>; stall?: number; tool?: number };
}

/** Silence of a provider that counts as a stall; a large prompt on a slow machine takes minutes to its first token. */
const STALL_MS = 300_000;
/** The last resort for a tool without a limit of its own; longer than a half hour for an approval and a half hour for the command together. */
const TOOL_TIMEOUT_MS = 3_900_000;
const SUBAGENT_LANE = 'subagent';
const CRON_LANE = 'cron';

export function createAgentService(options: AgentServiceOptions): AgentService {
  const { source, sessions, paths, log, limits = {} } = options;
  const now = options.now ?? Date.now;
  const runs = createRuns({ now, log });
  const closing = new AbortController();
  const { env, credentials } = options;
  const models = createModels({ log, ...(env === undefined ? {} : { env }), ...(credentials === undefined ? {} : { credentials }) });
  const stallMs = limits.stall ?? STALL_MS;
  const estimator = createTokenEstimator();
  const timeouts = { ...ENGINE_TIMEOUTS, ...limits.engine };
  const shadow = createShadow({ ...options, now, estimator, timeouts });
  const deps: TurnDeps = {
    source,
    sessions,
    engines: shadow.beside(createEngines({ cursors: options.cursors, sessions, timeouts })),
    models,
    estimator,
    correction: createTokenCorrection(options.kv),
    ledger: createLedger(options.turns),
    pruning: createPruning({ now, measure: estimator.message }),
    toolCalls: createToolCalls({ now, timeoutMs: limits.tool ?? TOOL_TIMEOUT_MS }),
    workspaces: createWorkspaces(paths),
    bootstrapFiles: createBootstrapFiles(),
    paths,
    log,
    version: options.version,
    now,
    stallMs,
    closing: closing.signal,
  };
  const lanes = createLanes((lane) => {
    const { config } = source.current();
    const { defaults } = config.agents;
    if (lane === DEFAULT_LANE) return defaults.maxConcurrent;
    if (lane === CRON_LANE) return config.cron?.maxConcurrentRuns ?? 1;
    return lane === SUBAGENT_LANE ? defaults.subagents.maxConcurrent : 1;
  }, now);
  const book = createRunBook({ ...options, now });
  const tasks = new Set<Promise<void>>();

  const { session, open } = createSessionOpening({ source, sessions, paths, now });

  const access = createModelAccess({ source, models, closing: closing.signal, stallMs, now });
  const sessionWork = createSessionWork({
    deps,
    lanes,
    defaultLane: DEFAULT_LANE,
    abort: (sessionKey) => void stop(sessionKey, 'rpc'),
    open: async (sessionKey) => (await session({ sessionKey })).session,
  });
  function track(task: Promise<void>): void {
    tasks.add(task);
    void task.finally(() => tasks.delete(task));
  }

  function start(run: Run): void {
    const { preface = [], lane = DEFAULT_LANE } = run.request;
    runs.announce(run, { lane });
    if (preface.length > 0) run.emit('assistant', { text: preface.join('\n\n'), delta: preface.join('\n\n') });
    if (!backlog.holds(run)) dispatch.start(run);
  }

  /** Aborts all of a session, what waits on disk included. */
  function stop(sessionKey: string, origin: AbortOrigin): string[] {
    const runIds = [...runs.abort({ sessionKey, origin }), ...backlog.drop(sessionKey)];
    dispatch.forget(sessionKey);
    return runIds;
  }

  const subagents = createSubagents({
    ...{ deps, runs, session, track, deliver: options.deliver },
    table: options.subagents,
    models: access,
    remove: sessionWork.remove,
    // they are in a book of their own
    begin: (request) => admission.accept({ ...request, isBooked: true }),
    steer: (request) => admission.steer({ ...request, isBooked: true }),
    alone: (key, task) => lanes.run(`session:${key}`, task, closing.signal),
  });
  const work = withSubagents(sessionWork, subagents, sessions.canonicalKey);
  const intake = createIntake({ ...deps, models: access, runs, book, work, subagents, open, track });
  const dispatch = createDispatch({ deps, runs, lanes, book, log, note: intake.note, track });
  const backlog = createBacklog({ inbox: options.inbox, book, runs, dispatch, sessions, log, now });
  const admission = createAdmission({
    ...{ runs, book, intake, start, canonicalKey: sessions.canonicalKey },
    ended: (run, result) => book.end(run, result, () => result),
  });
  const desk = createQueueDesk({ ...options, runs, lanes, backlog, book, now, waiting: dispatch.waiting });

  return {
    accept: admission.accept,
    steer: admission.steer,
    session,
    known: admission.known,
    wait: desk.wait,
    resume: () => backlog.resume(),
    queue: desk,

    abort({ sessionKey, runId, origin }) {
      const key = sessionKey === undefined ? undefined : sessions.canonicalKey(sessionKey);
      const stopped = key ?? (runId === undefined ? undefined : runs.get(runId)?.accepted.sessionKey);
      const runIds = runId === undefined ? (key === undefined ? [] : stop(key, origin)) : runs.abort({ sessionKey: key, runId, origin });
      if (stopped !== undefined) runIds.push(...subagents.stop(stopped));
      return { aborted: runIds.length > 0, runIds };
    },

    active: (sessionKey) => runs.active(sessionKey === undefined ? undefined : sessions.canonicalKey(sessionKey)),
    isActive: (runId) => runs.get(runId) !== undefined,
    onEvent: (listener) => runs.onEvent(listener),
    ...work,
    compareEngines: shadow.compare,
    subagents,
    startOver: intake.startOver,
    isCommand: intake.isCommand,

    async drain(ms) {
      subagents.close();
      backlog.close();
      await admission.close();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms);
      });
      await Promise.race([Promise.all(tasks), late]);
      clearTimeout(timer);
      runs.abort({ origin: 'shutdown' });
      closing.abort(durarError('DUR_HOST_STOPPED'));
      await Promise.all(tasks);
      await shadow.drain(ms);
    },

    models: access,

    tools: createToolCatalog({ source, paths, log }),

    workspaceDir(agentId) {
      const { config } = source.current();
      return agentWorkspaceDir(config, agentId ?? defaultAgentId(config), paths);
    },
  };
}
