import type { ImageBlock, TextBlock } from '../messages.ts';
import type { ApprovalDecision, ApprovalRequest } from './approval.ts';

/** Port: tool. Something the model may call. */
export interface Tool {
  readonly name: string;
  readonly label?: string;
  readonly description: string;
  /** JSON Schema of the arguments; the host validates them before `execute`. */
  readonly parameters: Record<string, unknown>;
  /**
   * Runs one call. A throw becomes an error result that the model sees. `signal` is aborted with the run.
   * `onUpdate` may be called with partial results while it runs.
   */
  execute(callId: string, params: Record<string, unknown>, signal?: AbortSignal, onUpdate?: (partial: ToolResult) => void): Promise<ToolResult>;
}

export interface ToolResult {
  content: Array<TextBlock | ImageBlock>;
  /** For programs and UIs; never sent to a model. */
  details?: unknown;
  isError?: boolean;
}

/** What a tool factory is told about the run that it makes tools for. */
export interface ToolContext {
  config: Record<string, unknown>;
  runtimeConfig?: Record<string, unknown>;
  workspaceDir: string;
  agentDir?: string;
  agentId: string;
  sessionKey: string;
  sessionId: string;
  runId?: string;
  messageChannel?: string;
  agentAccountId?: string;
  /** Where the message of the run came from: its answer goes there. */
  deliveryContext?: { channel: string; to?: string; accountId?: string; threadId?: string; messageId?: string };
  requesterSenderId?: string;
  senderIsOwner?: boolean;
  sandboxed: boolean;
  /** What an administrator has set for this session alone, as `sessions.patch` names it: `execSecurity`, `execAsk`, `execHost`, ... */
  sessionSettings?: Readonly<Record<string, unknown>>;
  /** Folders beside the workspace that the prompt points the model to: reading there is allowed, and nothing else. Asked for when it matters. */
  readableDirs?(): Promise<readonly string[]>;
  /**
   * Asks for consent; resolves to the decision, `deny` when nobody answers. The host fills id, times, agent, session and run.
   */
  requestApproval(
    request: Omit<ApprovalRequest, 'id' | 'createdAtMs' | 'expiresAtMs' | 'agentId' | 'sessionKey' | 'runId'> & { timeoutMs?: number },
  ): Promise<ApprovalDecision>;
}

/** Makes the tools of one run, or none. Called at the start of a run; keep it cheap. */
export type ToolFactory = (context: ToolContext) => Tool | Tool[] | null | undefined;
