import type { ErrorReport, ThinkingLevel, Usage } from '../../sdk/index.ts';

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
  /** The stored credential to use, and no other. */
  authProfile?: string;
  thinking?: ThinkingLevel;
  /** Whether the provider is to hurry, in place of the session's own setting. */
  fast?: boolean;
  extraSystemPrompt?: string;
  /** seconds */
  timeoutSeconds?: number;
  lane?: string;
  trigger?: 'user' | 'heartbeat' | 'cron' | 'memory';
  /** Where the message came from, and where an answer would go. */
  channel?: string;
  to?: string;
  accountId?: string;
  threadId?: string;
  /** The message that an answer refers to. */
  replyToId?: string;
  senderId?: string;
  /** For the model, where messages of several people come in one turn. */
  senderName?: string;
  senderIsOwner?: boolean;
  /** Of the client that sent it; its message may hold commands. */
  scopes?: readonly string[];
  /** Whether the channel's access lets the sender use commands; absent: no person sent it by a channel. */
  senderAllowed?: boolean;
  /** How this run alone is shown, in place of the session's own settings. */
  shown?: { verboseLevel?: string; reasoningLevel?: string };
  /** What commands inside the message were answered, before the model says anything. */
  preface?: readonly string[];
  provenance?: { kind: 'external_user' | 'inter_session' | 'internal_system'; [key: string]: unknown };
  /** What was accepted under this key before is not accepted again: `<channel>:<account>:<conversation>:<message id>`. */
  dedupeKey?: string;
  /** A person's message that is to be answered where it came from: the queue modes apply. */
  autoReply?: true;
  /** The reply stays in its session, whatever channel the message is said to come from. */
  deliver?: false;
  /** Where the reply goes beside its session. Its sender delivers it; after a restart the host does. */
  route?: { channel: string; to: string; accountId?: string; threadId?: string };
  /** Its sender has it on disk and asks again after a restart, so the inbox leaves it out. */
  isBooked?: true;
  /** In a group: the message was meant for the agent, by name or as an answer to it. */
  mentioned?: boolean;
  /** What stands around the message for the model: who says it, what was said before. Commands are read without it. */
  framing?: { before: string; after: string };
  /** The session's last route stays as it is. */
  keepsRoute?: true;
  /** The only skills that the model is told of. */
  skills?: readonly string[];
  /** What the conversation grants of the agent's tools; it never adds one. */
  toolRules?: { profile?: 'minimal' | 'coding' | 'messaging' | 'full'; allow?: string[]; deny?: string[] };
}

export interface AcceptedRun {
  runId: string;
  sessionKey: string;
  sessionId: string;
  agentId: string;
  /** epoch ms */
  acceptedAt: number;
  /** The session is new. */
  created?: boolean;
  /** The message was accepted before this process began, or under another id; nothing was started for it. */
  repeated?: true;
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
    /** The run whose turn answers the message too; then nothing is said here. */
    joinedRunId?: string;
    /** The engine that really served the run. */
    contextEngine?: string;
    generation?: number;
    /** Of the last model call: the engine's estimate, the budget it had and the model's window. */
    context?: { estimatedTokens: number; tokenBudget: number; window: number };
    /** Failures that did not end the run. */
    problems?: ErrorReport[];
    agentMeta: { sessionId: string; provider?: string; model?: string; usage?: Usage };
  };
  error?: ErrorReport;
}
