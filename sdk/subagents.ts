import type { ThinkingLevel } from './ports/provider.ts';

export type SubagentOutcome = 'ok' | 'error' | 'timeout' | 'killed' | 'reset' | 'deleted';

/** A task for a session of its own. */
export interface SubagentSpawnRequest {
  /** The session that starts it, and that its result is announced to. */
  requesterSessionKey: string;
  /** All the sub-agent knows. */
  task: string;
  /** How it is shown; made unique. */
  label?: string;
  /** Absent: the requester's own. */
  agentId?: string;
  /** A ref or an alias. */
  model?: string;
  thinking?: ThinkingLevel;
  /** 0: no limit but that of every run. */
  runTimeoutSeconds?: number;
  /** Bind it to a thread of its channel; only where an extension does that in `subagent_spawning`. */
  thread?: boolean;
  /** `run` (default): over with its run. `session`: stays for more messages until it is let go or idle for too long. */
  mode?: 'run' | 'session';
  /** `delete`: its session goes when the result is announced. Default `keep`: until it has been idle for `archiveAfterMinutes`. */
  cleanup?: 'delete' | 'keep';
  sandbox?: 'inherit' | 'require';
  runtime?: 'subagent' | 'acp';
}

export interface SubagentSpawned {
  runId: string;
  childSessionKey: string;
  label?: string;
  mode: 'run' | 'session';
}

/** A sub-agent as its requester sees it. Times are epoch milliseconds. */
export interface SubagentInfo {
  childSessionKey: string;
  requesterSessionKey: string;
  runId: string;
  agentId: string;
  label?: string;
  task: string;
  mode: 'run' | 'session';
  depth: number;
  /** `running` also while it waits for its place or for sub-agents of its own. */
  status: 'running' | SubagentOutcome;
  createdAt: number;
  endedAt?: number;
  runtimeMs: number;
  totalTokens?: number;
  error?: string;
}
