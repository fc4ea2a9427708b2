import { randomUUID } from 'node:crypto';
import { durarError, type SessionRecord, type SubagentSpawnRequest } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import { agentEntry } from '../settings.ts';
import { isSubagentKey, spawnDepthOf } from './subagents-row.ts';

/** A sub-agent that may be started. */
export interface SpawnPlan {
  child: string;
  agentId: string;
  depth: number;
  /** A ref or an alias; absent: what the agent uses anyway. */
  model?: string;
  thinking?: string;
  timeoutSeconds?: number;
}

/**
 * Decides whether a session may start a sub-agent, and as what. `children`: how many of its own are at work. Throws `DUR_SUBAGENT_*`,
 * `DUR_AGENT_UNKNOWN`.
 */
export function planSpawn(config: Config, requester: SessionRecord, children: number, request: SubagentSpawnRequest): SpawnPlan {
  const { subagents } = config.agents.defaults;
  if (request.task.trim() === '') throw durarError('DUR_SUBAGENT_TASK');
  refuseUnsupported(request);
  const depth = spawnDepthOf(requester) + 1;
  if (depth > subagents.maxSpawnDepth) throw durarError('DUR_SUBAGENT_DEPTH', { depth: depth - 1 });
  const agentId = targetAgent(config, requester.agentId, request.agentId);
  if (children >= subagents.maxChildrenPerAgent) throw durarError('DUR_SUBAGENT_CHILDREN', { count: children });
  const model = request.model ?? primary(subagents.model);
  const thinking = request.thinking ?? subagents.thinking;
  const timeoutSeconds = request.runTimeoutSeconds ?? subagents.runTimeoutSeconds;
  const line = isSubagentKey(requester.key) ? requester.key.slice(requester.key.indexOf(':subagent:')) : '';
  return {
    child: `agent:${agentId}${line}:subagent:${randomUUID()}`,
    agentId,
    depth,
    ...(model === undefined ? {} : { model }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
  };
}

/** The agents that a session of `agentId` may start sub-agents of, itself first. */
export function spawnableAgents(config: Config, agentId: string): string[] {
  const allowed = agentEntry(config, agentId)?.subagents?.allowAgents ?? [];
  const known = (config.agents.list ?? []).map(({ id }) => id.toLowerCase());
  const others = allowed.includes('*') ? known : known.filter((id) => allowed.some((one) => one.toLowerCase() === id));
  return [agentId, ...others.filter((id) => id !== agentId)];
}

function targetAgent(config: Config, own: string, wanted: string | undefined): string {
  if (wanted === undefined) {
    if (config.agents.defaults.subagents.requireAgentId) throw durarError('DUR_SUBAGENT_AGENT_NEEDED');
    return own;
  }
  const id = wanted.trim().toLowerCase();
  agentEntry(config, id);
  if (!spawnableAgents(config, own).includes(id)) throw durarError('DUR_SUBAGENT_AGENT', { requester: own, agent: id });
  return id;
}

function refuseUnsupported({ sandbox, runtime }: SubagentSpawnRequest): void {
  if (sandbox === 'require') throw unsupported('a sandbox for a sub-agent', 'Leave sandbox out, or give "inherit".');
  if (runtime === 'acp') throw unsupported('the runtime acp', 'Leave runtime out, or give "subagent".');
}

export function unsupported(what: string, instead: string): Error {
  return durarError('DUR_SUBAGENT_UNSUPPORTED', { what, instead });
}

function primary(choice: Config['agents']['defaults']['subagents']['model']): string | undefined {
  return typeof choice === 'string' ? choice : choice?.primary;
}
