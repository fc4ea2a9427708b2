import type { Config } from '../../config/schema.ts';

export type ToolProfile = 'minimal' | 'coding' | 'messaging' | 'full';

/** Which tools an agent may use. */
export interface ToolPolicy {
  readonly profile: ToolProfile;
  /** Whether a tool is offered. `optional` tools need to be named by `allow`, themselves or through their extension. */
  permits(tool: { name: string; owner: string; isBundled: boolean; optional: boolean }): boolean;
}

interface Rules {
  profile?: ToolProfile;
  allow?: string[];
  deny?: string[];
}

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'group:runtime': ['exec', 'process', 'bash'],
  'group:fs': ['read', 'write', 'edit', 'apply_patch'],
  'group:sessions': ['sessions_list', 'sessions_history', 'sessions_send', 'sessions_spawn', 'subagents', 'session_status'],
  'group:memory': ['memory_search', 'memory_get'],
  'group:web': ['web_search', 'web_fetch'],
  'group:ui': ['browser', 'canvas'],
  'group:automation': ['cron', 'gateway'],
  'group:messaging': ['message'],
  'group:nodes': ['nodes'],
};
/** Every tool that ships with the product, and every tool that does not. */
const BUNDLED_GROUP = 'group:durar';
const PLUGIN_GROUP = 'group:plugins';

const PROFILES: Readonly<Record<Exclude<ToolProfile, 'full'>, readonly string[]>> = {
  minimal: ['session_status'],
  coding: ['group:fs', 'group:runtime', 'group:sessions', 'group:memory', 'image'],
  messaging: ['group:messaging', 'sessions_list', 'sessions_history', 'sessions_send', 'session_status'],
};

/** What a sub-agent has no business with, unless `tools.subagents.tools.allow` names it: it speaks to nobody but who started it. */
const NOT_FOR_SUBAGENTS = ['cron', 'gateway', 'message', 'sessions_send'];
/** What one that cannot start others has no use for. */
const NOT_FOR_LEAVES = ['agents_list', 'sessions_history', 'sessions_list', 'subagents'];
/** What it never gets. */
const NEVER_FOR_LEAVES = ['sessions_spawn'];

/**
 * An agent's own keys stand in for the global ones, except that both deny lists hold. With the profile `full` a list under `allow` is all there
 * is; to a narrower profile it adds. `role`: of a sub-agent; `tools.subagents.tools` narrows further.
 */
export function createToolPolicy(config: Config, agentTools: Rules | undefined, role?: 'orchestrator' | 'leaf'): ToolPolicy {
  const { tools } = config;
  const profile = agentTools?.profile ?? tools.profile ?? 'full';
  const allow = agentTools?.allow ?? tools.allow ?? [];
  const deny = [...(tools.deny ?? []), ...(agentTools?.deny ?? [])];
  const inProfile = matcher(profile === 'full' ? [] : PROFILES[profile]);
  const isAllowed = matcher(allow);
  const isDenied = matcher(deny);
  const isWithheld = role === undefined ? undefined : withheldFromSubagents(tools.subagents?.tools, role);
  return {
    profile,
    permits(tool) {
      if (isDenied(tool) || isWithheld?.(tool) === true) return false;
      if (tool.optional) return isAllowed(tool);
      if (profile === 'full') return allow.length === 0 || isAllowed(tool);
      return inProfile(tool) || isAllowed(tool);
    },
  };
}

/** What a conversation grants of a policy; it adds nothing. */
export function narrowToolPolicy(policy: ToolPolicy, rules: Rules | undefined): ToolPolicy {
  if (rules === undefined) return policy;
  const { profile = 'full', allow = [], deny = [] } = rules;
  const inProfile = matcher(profile === 'full' ? [] : PROFILES[profile]);
  const isAllowed = matcher(allow);
  const isDenied = matcher(deny);
  const isGranted = profile === 'full' ? (tool: Parameters<typeof isAllowed>[0]) => allow.length === 0 || isAllowed(tool) : inProfile;
  return { ...policy, permits: (tool) => policy.permits(tool) && !isDenied(tool) && (isGranted(tool) || isAllowed(tool)) };
}

function withheldFromSubagents({ allow = [], deny = [] }: Rules = {}, role: 'orchestrator' | 'leaf'): ReturnType<typeof matcher> {
  const isAllowed = matcher(allow);
  const isUnfit = matcher([...NOT_FOR_SUBAGENTS, ...(role === 'leaf' ? NOT_FOR_LEAVES : [])]);
  const isDenied = matcher([...deny, ...(role === 'leaf' ? NEVER_FOR_LEAVES : [])]);
  return (tool) => isDenied(tool) || (allow.length > 0 ? !isAllowed(tool) : isUnfit(tool));
}

/** The narrow profiles that a tool belongs to. */
export function profilesOf(tool: { name: string; owner: string; isBundled: boolean }): ToolProfile[] {
  return (Object.keys(PROFILES) as Array<keyof typeof PROFILES>).filter((profile) => matcher(PROFILES[profile])(tool));
}

/** A pattern is a tool's name with `*` for any text, the id of its extension, or a group; case does not count. */
function matcher(patterns: readonly string[]): (tool: { name: string; owner: string; isBundled: boolean }) => boolean {
  const names = patterns.flatMap((pattern) => GROUPS[pattern.toLowerCase()] ?? [pattern.toLowerCase()]);
  const exact = new Set(names);
  const wild = names.filter((name) => name.includes('*')).map((name) => new RegExp(`^${name.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`));
  return ({ name, owner, isBundled }) => {
    const lower = name.toLowerCase();
    if (exact.has(lower) || exact.has(owner.toLowerCase()) || exact.has(isBundled ? BUNDLED_GROUP : PLUGIN_GROUP)) return true;
    return wild.some((pattern) => pattern.test(lower));
  };
}
