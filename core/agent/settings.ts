import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { durarError } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';

type AgentEntry = NonNullable<Config['agents']['list']>[number];
type ModelChoice = AgentEntry['model'];

/** Where a run works when the configuration says nothing. */
export interface AgentPaths {
  stateDir: string;
  workspaceDir: string;
}

const DEFAULT_AGENT = 'main';
/** The embedded model that needs neither account nor network; it is an extension like any other and may be absent. */
const QUICK_START_MODEL = 'offline/echo';

/** The agent that serves when nobody names one: the marked entry, else the first, else `main`. */
export function defaultAgentId(config: Config): string {
  const list = config.agents.list ?? [];
  return (list.find((agent) => agent.default === true) ?? list[0])?.id ?? DEFAULT_AGENT;
}

/** The entry of an agent, if it has one. Throws `DUR_AGENT_UNKNOWN` for an id that the configuration does not know. */
export function agentEntry(config: Config, agentId: string): AgentEntry | undefined {
  const entry = config.agents.list?.find((agent) => agent.id.toLowerCase() === agentId.toLowerCase());
  if (entry === undefined && agentId !== defaultAgentId(config) && agentId !== DEFAULT_AGENT) throw durarError('DUR_AGENT_UNKNOWN', { id: agentId });
  return entry;
}

/** Absolute path of an agent's working folder. Agents beside the default one get a folder of their own. */
export function agentWorkspaceDir(config: Config, agentId: string, paths: AgentPaths): string {
  const entry = config.agents.list?.find((agent) => agent.id === agentId);
  if (entry?.workspace !== undefined) return expand(entry.workspace);
  const common = config.agents.defaults.workspace;
  // the schema's default stands for the default profile; paths know the profile in use
  const root = common === '~/.Durar/workspace' ? paths.workspaceDir : expand(common);
  return agentId === defaultAgentId(config) ? root : `${root}-${agentId}`;
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
