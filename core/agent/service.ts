import type { AgentEvent, ErrorReport, ThinkingLevel, Usage } from '../../sdk/index.ts';

/** One request for a run. `runId` equals the caller's idempotency key where there is one. */
export interface RunRequest {
  runId: string;
  message: string;
  /** Any key the caller gave; canonicalised by the service. Absent: the main session of the agent. */
  sessionKey?: string;
  sessionId?: string;
  agentId?: string;
  images?: Array<{ data: string; mimeType: string }>;
  /** Run override of the model, a ref. */
  model?: string;
  thinking?: ThinkingLevel;
  extraSystemPrompt?: string;
  /** seconds */
  timeoutSeconds?: number;
  lane?: string;
  trigger?: 'user' | 'heartbeat' | 'cron' | 'memory';
  channel?: string;
  senderId?: string;
  senderIsOwner?: boolean;
  provenance?: { kind: 'external_user' | 'inter_session' | 'internal_system'; [key: string]: unknown };
}

export interface AcceptedRun {
  runId: string;
  sessionKey: string;
  sessionId: string;
  agentId: string;
  /** epoch ms */
  acceptedAt: number;
}

export interface RunResult {
  runId: string;
  status: 'ok' | 'error';
  sessionKey: string;
  sessionId: string;
  startedAt: number;
  endedAt: number;
  payloads: Array<{ text?: string; mediaUrl?: string | null; isError?: boolean; isReasoning?: boolean }>;
  meta: {
    durationMs: number;
    aborted: boolean;
    stopReason?: string;
    /** The engine that really served the run. */
    contextEngine?: string;
    generation?: number;
    agentMeta: { sessionId: string; provider?: string; model?: string; usage?: Usage };
  };
  error?: ErrorReport;
}

/** Accepts, queues and runs agent turns; one active run per session, sessions in parallel. */
export interface AgentService {
  /** Resolves when the run is accepted and its session is open; the run itself goes on. Throws `DUR_SESSION_KEY`, `DUR_AGENT_UNKNOWN`, `DUR_HOST_STOPPED`. */
  accept(request: RunRequest): Promise<AcceptedRun>;
  /** Resolves at the run's end or after `timeoutMs`; a timeout never stops the run. Results stay for ten minutes. Throws `DUR_RUN_UNKNOWN`. */
  wait(runId: string, timeoutMs: number): Promise<RunResult | undefined>;
  /** Aborts one run or all runs of a session, queued ones included. */
  abort(params: { sessionKey?: string; runId?: string; origin: 'rpc' | 'stop' | 'timeout' | 'shutdown' }): { aborted: boolean; runIds: string[] };
  active(sessionKey?: string): AcceptedRun[];
  /** Every event of every run, in order. Listeners must not throw. */
  onEvent(listener: (event: AgentEvent) => void): () => void;
  /** Refuses new runs, waits up to `ms` for the running ones, then aborts them. */
  drain(ms: number): Promise<void>;
}
