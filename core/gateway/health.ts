import { errorText } from '../../sdk/errors.ts';
import type { HealthPayload } from '../../sdk/protocol/generated/types.ts';
import type { GatewayOptions } from './options.ts';

/** The health payload, kept for a minute. */
export interface Health {
  readonly version: number;
  /** The last one; undefined before the first refresh ended. */
  cached(): HealthPayload | undefined;
  /** A cached one when it is fresh enough; a newer one is then measured behind it. `probe` waits for that. */
  get(options?: { probe?: boolean }): HealthPayload | Promise<HealthPayload>;
  isStale(): boolean;
}

type HealthOptions = Pick<GatewayOptions, 'source' | 'sessions' | 'agent'>;

const FRESH_MS = 60_000;
/** A poll measures at most this often. */
const REFRESH_MS = 1000;
const RECENT = 5;

export function createHealth(options: HealthOptions & Pick<GatewayOptions, 'log'>, onRefresh: (payload: HealthPayload) => void): Health {
  let latest: HealthPayload | undefined;
  let running: Promise<HealthPayload> | undefined;
  let version = 0;
  const isStale = () => {
    if (latest === undefined || Date.now() - latest.ts >= FRESH_MS) return true;
    const channels = options.source.current().loaded('channel');
    return channels.length !== latest.channelOrder.length || channels.some(({ key }, at) => key !== latest?.channelOrder[at]);
  };

  const refresh = async () => {
    try {
      const payload = await measure(options);
      latest = payload;
      version += 1;
      onRefresh(payload);
      return payload;
    } finally {
      running = undefined;
    }
  };

  return {
    get version() {
      return version;
    },
    cached: () => latest,
    isStale,
    get({ probe = false } = {}) {
      if (latest === undefined || probe || isStale()) {
        running ??= refresh();
        return running;
      }
      if (Date.now() - latest.ts >= REFRESH_MS && running === undefined) {
        running = refresh();
        running.catch((error) => options.log.warn('health could not be measured', { reason: errorText(error) }));
      }
      return latest;
    },
  };
}

/** The agents that the configuration names, the default one first. */
export function agentsOf(options: Pick<GatewayOptions, 'source' | 'sessions'>): { main: string; defaultAgentId: string; mainKey: string; ids: string[] } {
  const main = options.sessions.canonicalKey(undefined);
  const [, defaultAgentId = 'main', ...rest] = main.split(':');
  const listed = (options.source.current().config.agents?.list ?? []).map((agent) => agent.id);
  return { main, defaultAgentId, mainKey: rest.join(':') || 'main', ids: [...new Set([defaultAgentId, ...listed])] };
}

async function measure(options: HealthOptions): Promise<HealthPayload> {
  const begin = Date.now();
  const generation = options.source.current();
  const { defaultAgentId, ids } = agentsOf(options);
  const path = `store:${generation.plan.slots.sessionStore.key}`;
  const count = async (agentId?: string) => {
    const { sessions, total } = await options.sessions.list({ limit: RECENT, ...(agentId === undefined ? {} : { agentId }) });
    const now = Date.now();
    return { path, count: total, recent: sessions.map(({ key, updatedAt }) => ({ key, updatedAt, age: now - updatedAt })) };
  };
  const channels = generation.loaded('channel');
  const common = {
    channels: Object.fromEntries(channels.map(({ key }) => [key, {}])),
    channelOrder: channels.map(({ key }) => key),
    channelLabels: Object.fromEntries(channels.map(({ key, value }) => [key, value.meta.label])),
    heartbeatSeconds: 0,
    defaultAgentId,
    ...(options.agent.queue === undefined ? {} : { queue: options.agent.queue.state() }),
  };
  try {
    const sessions = await count();
    const agents = await Promise.all(ids.map(async (agentId) => ({ agentId, isDefault: agentId === defaultAgentId, sessions: await count(agentId) })));
    const end = Date.now();
    return { ok: true, ts: end, durationMs: end - begin, ...common, agents, sessions };
  } catch (error) {
    const end = Date.now();
    return { ok: false, ts: end, durationMs: end - begin, ...common, agents: [], sessions: { path, count: 0, recent: [] }, error: errorText(error) };
  }
}
