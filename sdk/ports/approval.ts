/**
 * Port: approver. Asked in the order of their priority when something needs a person's (or a policy's) consent.
 * Abstain with `undefined`. A throw, a timeout, `null` or an unknown decision is a deny; when all abstain, the answer is deny.
 */
export interface Approver {
  readonly id: string;
  /** Higher is asked earlier; default 0. */
  readonly priority?: number;
  decide(request: ApprovalRequest, options: { signal: AbortSignal }): Promise<ApprovalDecision | undefined>;
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
