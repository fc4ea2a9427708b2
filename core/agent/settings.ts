import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { durarError } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';
import { DEFAULT_AGENT_ID, defaultAgentId } from '../sessions/service.ts';

export { defaultAgentId };

type AgentEntry = NonNullable<Config['agents']['list']>[number];
type ModelChoice = AgentEntry['model'];

/** What working folders are derived from. */
export interface AgentPaths {
  stateDir: string;
}

/** The embedded model that needs neither account nor network; it is an extension like any other and may be absent. */
const QUICK_START_MODEL = 'offline/echo';

/** The entry of an agent, if it has one. Throws `DUR_AGENT_UNKNOWN` for an id that the configuration does not know. */
export function agentEntry(config: Config, agentId: string): AgentEntry | undefined {
  const id = agentId.toLowerCase();
  const entry = config.agents.list?.find((agent) => agent.id.toLowerCase() === id);
  if (entry === undefined && id !== DEFAULT_AGENT_ID) throw durarError('DUR_AGENT_UNKNOWN', { id: agentId });
  return entry;
}

/** Absolute path of an agent's working folder. Agents beside the default one get a folder of their own. */
export function agentWorkspaceDir(config: Config, agentId: string, paths: AgentPaths): string {
  const own = agentEntry(config, agentId)?.workspace;
  if (own !== undefined) return expand(own);
  const id = agentId.toLowerCase();
  return id === defaultAgentId(config) ? expand(config.agents.defaults.workspace) : join(paths.stateDir, `workspace-${id}`);
}

/** The model ref of an agent when the run names none. */
export function defaultModelRef(config: Config, entry?: AgentEntry): string {
  return primary(entry?.model) ?? primary(config.agents.defaults.model) ?? QUICK_START_MODEL;
}

function primary(choice: ModelChoice): string | undefined {
  return typeof choice === 'string' ? choice : choice?.primary;
}

function expand(path: string): string {
  return resolve(path.startsWith('~/') ? join(homedir(), path.slice(2)) : path);
}
