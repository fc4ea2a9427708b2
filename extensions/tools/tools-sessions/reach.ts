import type { PluginRuntime, SessionListParams, SessionRecord, ToolContext } from 'Durar/plugin-sdk/core';

/** The sessions that one run may look into. */
export interface Reach {
  readonly own: string;
  readonly agentId: string;
  /** Newest first. */
  list(filter: SessionListParams): Promise<SessionRecord[]>;
  /** By key or label; a text says why there is none. */
  find(given: { sessionKey?: unknown; label?: unknown }): Promise<SessionRecord | string>;
}

type Visibility = 'self' | 'tree' | 'agent' | 'all';

interface Settings {
  tools?: { sessions?: { visibility?: Visibility }; agentToAgent?: { enabled?: boolean; allow?: string[] } };
}

/** Sessions are walked up this far; the host allows two levels. */
const MAX_LEVELS = 8;
const MAX_SESSIONS = 500;

export function createReach(runtime: Pick<PluginRuntime, 'sessions'>, { config, sessionKey: own, agentId }: ToolContext): Reach {
  const { tools } = config as Settings;
  const visibility = tools?.sessions?.visibility ?? 'tree';

  async function descends(session: SessionRecord): Promise<boolean> {
    let { spawnedBy } = session;
    for (let level = 0; spawnedBy !== undefined && level < MAX_LEVELS; level += 1) {
      if (spawnedBy === own) return true;
      spawnedBy = (await runtime.sessions.get({ sessionKey: spawnedBy }))?.spawnedBy;
    }
    return false;
  }

  function speaksTo(other: string): boolean {
    const { enabled = false, allow = ['*'] } = tools?.agentToAgent ?? {};
    const permits = (id: string) => allow.some((pattern) => pattern === '*' || pattern.toLowerCase() === id);
    return enabled && permits(agentId) && permits(other);
  }

  async function canSee(session: SessionRecord): Promise<boolean> {
    if (session.key === own) return true;
    if (visibility === 'self') return false;
    if (await descends(session)) return true;
    if (visibility === 'tree') return false;
    return session.agentId === agentId || (visibility === 'all' && speaksTo(session.agentId));
  }

  async function tree(): Promise<SessionRecord[]> {
    const self = await runtime.sessions.get({ sessionKey: own });
    const found = self === undefined ? [] : [self];
    for (const { key } of found) {
      if (found.length >= MAX_SESSIONS) break;
      found.push(...(await runtime.sessions.list({ spawnedBy: key, limit: MAX_SESSIONS })));
    }
    return found.sort((a, b) => b.updatedAt - a.updatedAt);
  }

  return {
    own,
    agentId,

    async list(filter) {
      if (visibility === 'self' || visibility === 'tree') {
        const all = visibility === 'self' ? (await tree()).filter(({ key }) => key === own) : await tree();
        const { activeSince = 0, label, limit } = filter;
        return all.filter((one) => one.updatedAt >= activeSince && (label === undefined || one.label === label)).slice(0, limit);
      }
      const all = await runtime.sessions.list({ ...filter, ...(visibility === 'agent' ? { agentId } : {}) });
      const seen = await Promise.all(all.map(canSee));
      return all.filter((_, index) => seen[index]);
    },

    async find({ sessionKey, label }) {
      if (typeof sessionKey === 'string' && typeof label === 'string') return 'give either sessionKey or label, not both';
      const session = await lookUp(sessionKey, label);
      if (session === undefined) return `there is no such session; sessions_list shows those that you can reach`;
      if (await canSee(session)) return session;
      return `this session may not look into ${session.key} (tools.sessions.visibility is '${visibility}'); use one that sessions_list shows`;
    },
  };

  async function lookUp(sessionKey: unknown, label: unknown): Promise<SessionRecord | undefined> {
    if (typeof label === 'string') return (await runtime.sessions.list({ label, limit: 1 }))[0];
    return runtime.sessions.get({ sessionKey: typeof sessionKey === 'string' ? sessionKey : own, agentId });
  }
}
