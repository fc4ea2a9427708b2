import type { SessionRecord, SubagentEndedParams, SubagentOutcome } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import type { RunResult } from '../run-request.ts';

/** What the host keeps of a sub-agent until its session is archived or deleted. */
export interface SubagentRow {
  child: string;
  requester: string;
  agentId: string;
  /** The run whose end is waited for, or was the last. */
  runId: string;
  task: string;
  label?: string;
  mode: 'run' | 'session';
  cleanup: 'delete' | 'keep';
  depth: number;
  timeoutSeconds?: number;
  /** epoch ms */
  createdAt: number;
  /** When the present run was asked for, and with what, where that is not the task. */
  since?: number;
  message?: string;
  /** How often the gateway died over the present run. */
  restarts: number;
  /** How the present run ended; absent while it goes on. */
  run?: SubagentRunEnd;
  /** Everything about the present run's end is done but the announcement. */
  concluded?: boolean;
  /** It was stopped by somebody who knows: nothing is announced. */
  quiet?: boolean;
  /** Its session is archived; the row stays until its announcement is out. */
  sessionGone?: boolean;
  /** A message to the requester that is not in its transcript yet. */
  announcement?: { id: string; text: string; requester?: string; fromSeq?: number };
  /** Why it is over for the context engine, and whether the engine was told. */
  ended?: { reason: SubagentEndedParams['reason']; outcome: SubagentOutcome; at: number; told: boolean };
}

export interface SubagentRunEnd {
  outcome: SubagentOutcome;
  at: number;
  runtimeMs: number;
  text: string;
  error?: string;
  inputTokens?: number;
  outputTokens?: number;
  totalTokens?: number;
}

/** Its work is not over, or nobody knows of the result yet. */
export function isOpen(row: SubagentRow): boolean {
  return isActive(row) || row.announcement !== undefined;
}

/** At work, itself or by its own sub-agents. */
export function isActive(row: SubagentRow): boolean {
  return row.concluded !== true;
}

/** At work, or kept for more of it. */
export function isHeld(row: SubagentRow): boolean {
  return isActive(row) || (row.mode === 'session' && row.ended === undefined);
}

/** Characters of a result that are announced; all of it is in the transcript. */
const RESULT_CHARS = 50_000;
const SUBAGENT_PART = /:subagent:/g;

export function isSubagentKey(key: string): boolean {
  return /^agent:[^:]+:subagent:/.test(key);
}

/** 0 for a session that nobody spawned. */
export function spawnDepthOf(session: Pick<SessionRecord, 'key' | 'extra'>): number {
  const stored = session.extra?.spawnDepth;
  if (typeof stored === 'number') return stored;
  return isSubagentKey(session.key) ? (session.key.match(SUBAGENT_PART)?.length ?? 1) : 0;
}

/** What a spawned session may do: `orchestrator` may spawn in turn. undefined: nobody spawned it. */
export function subagentRole(config: Config, session: Pick<SessionRecord, 'key' | 'extra'>): 'orchestrator' | 'leaf' | undefined {
  const depth = spawnDepthOf(session);
  if (depth === 0) return undefined;
  return depth < config.agents.defaults.subagents.maxSpawnDepth ? 'orchestrator' : 'leaf';
}

/** What an ended run came to. */
export function runEndOf(result: RunResult): SubagentRunEnd {
  const { meta, payloads, error, endedAt } = result;
  const { usage } = meta.agentMeta;
  const text = payloads.filter((one) => one.isError !== true && one.isReasoning !== true && one.text !== undefined).at(-1)?.text ?? '';
  return {
    outcome: outcomeOf(result),
    at: endedAt,
    runtimeMs: meta.durationMs,
    text: shortened(text),
    ...(error === undefined ? {} : { error: error.message }),
    ...(usage === undefined ? {} : { inputTokens: usage.input, outputTokens: usage.output, totalTokens: usage.totalTokens }),
  };
}

export function shortened(text: string): string {
  if (text.length <= RESULT_CHARS) return text;
  return `${text.slice(0, RESULT_CHARS)}\n[cut here: ${text.length} characters in all; read the rest with sessions_history]`;
}

function outcomeOf({ status, meta }: RunResult): SubagentOutcome {
  if (meta.aborted) return meta.stopReason === 'timeout' ? 'timeout' : 'killed';
  return status === 'ok' ? 'ok' : 'error';
}
