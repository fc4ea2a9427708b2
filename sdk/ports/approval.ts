/**
 * Port: approver. Asked in the order of their priority when something needs a person's (or a policy's) consent.
 * Abstain with `undefined`. A throw, a timeout, `null` or an unknown decision is a deny; when all abstain, the answer is deny.
 */
export interface Approver {
  readonly id: string;
  /** Higher is asked earlier; default 0. */
  readonly priority?: number;
  decide(request: ApprovalRequest, options: { signal: AbortSignal }): Promise<ApprovalDecision | undefined>;
  /** A request that a client opened by RPC, for whoever carries it out later; undefined: not one of this approver's. */
  find?(params: { id: string }): Promise<RecordedApproval | undefined>;
  /** Uses up the decision of such a request, once; false: it is not allowed, or was used before. */
  consume?(params: { id: string }): Promise<boolean>;
}

/** A request that was opened ahead of what it allows. */
export interface RecordedApproval {
  id: string;
  /** As clients see it: command, plan, binding, node. */
  request: Readonly<Record<string, unknown>>;
  /** `null`: not decided, or used up. */
  decision: ApprovalDecision['decision'] | null;
  requestedBy: { connId: string; deviceId?: string };
  /** epoch ms */
  createdAtMs: number;
  expiresAtMs: number;
}

export interface ApprovalRequest {
  /** unique id of this request */
  id: string;
  /** `exec` for commands, `plugin` for what an extension asks by `requireApproval`, `tool` otherwise. */
  kind: 'exec' | 'plugin' | 'tool';
  title: string;
  description: string;
  severity?: 'info' | 'warning' | 'critical';
  /** exec: the command line as it will run, and where */
  command?: string;
  commandArgv?: string[];
  cwd?: string;
  envKeys?: string[];
  host?: string;
  security?: string;
  ask?: string;
  resolvedPath?: string;
  pluginId?: string;
  toolName?: string;
  toolCallId?: string;
  agentId?: string;
  sessionKey?: string;
  runId?: string;
  /** `allow-always` is left out where it cannot be honoured. */
  allowedDecisions: Array<'allow-once' | 'allow-always' | 'deny'>;
  /** epoch ms */
  createdAtMs: number;
  expiresAtMs: number;
}

export interface ApprovalDecision {
  decision: 'allow-once' | 'allow-always' | 'deny';
  reason?: string;
  resolvedBy?: string;
}
