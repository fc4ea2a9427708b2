import type { SessionRecord } from '../../../sdk/index.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { SystemEventParams } from '../../../sdk/protocol/generated/types.ts';
import { ADMIN_SCOPE } from '../../../sdk/protocol/scopes.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';
import { agentsOf } from '../health.ts';
import { type GatewayIdentity, readIdentity } from '../identity.ts';
import { type Beacon, parseBeacon } from '../presence.ts';
import { sessionRow } from '../session-row.ts';

const RECENT = 10;

type Names = 'health' | 'status' | 'gateway.identity.get' | 'system-presence' | 'system-event' | 'gateway.stop';

export function systemMethods(context: GatewayContext): MethodFamily<Names> {
  let identity: GatewayIdentity | undefined;

  return {
    health: ({ probe }) => context.health.get(probe === undefined ? {} : { probe }),

    async status(_params, { client }) {
      const generation = context.source.current();
      const isAdmin = client.can(ADMIN_SCOPE);
      const store = isAdmin ? `store:${generation.plan.slots.sessionStore.key}` : '[redacted]';
      const { defaultAgentId, ids } = agentsOf(context);
      const { sessions, total } = await context.sessions.list({ limit: RECENT });
      const recent = (rows: SessionRecord[]) => (isAdmin ? rows.map((row) => sessionRow(row)) : []);
      const byAgent = await Promise.all(
        ids.map(async (agentId) => {
          const own = await context.sessions.list({ agentId, limit: RECENT });
          return { agentId, path: store, count: own.total, recent: recent(own.sessions) };
        }),
      );
      return {
        runtimeVersion: context.version,
        uptimeMs: Date.now() - context.startedAt,
        connections: context.connections.size,
        heartbeat: { defaultAgentId, agents: ids.map((agentId) => ({ agentId, enabled: false, every: 'disabled', everyMs: null })) },
        channelSummary: context.channels.configured(),
        queuedSystemEvents: isAdmin ? context.systemEvents.list().map(({ text }) => text) : [],
        sessions: { paths: isAdmin ? [store] : [], count: total, defaults: defaultsFor(isAdmin), recent: recent(sessions), byAgent },
        slots: generation.plan.slots as unknown as Record<string, unknown>,
        findings: generation.findings.length,
        ...(context.agent.queue === undefined ? {} : { queue: context.agent.queue.state() }),
        ...(isAdmin ? { host: context.control.status() as Record<string, unknown> } : {}),
      };
    },

    'gateway.identity.get'() {
      identity ??= readIdentity(context.state);
      return identity;
    },

    'system-presence': () => context.presence.entries(),

    'system-event'({ text, ...fields }, { client }) {
      const line = text.trim();
      if (line === '') throw new ProtocolError('INVALID_REQUEST', 'text required');
      const told = parseBeacon(line);
      const beacon: Beacon = { ...told, ...beaconFields(fields) };
      if (told === undefined) context.systemEvents.add(context.sessions.canonicalKey(undefined), line);
      if (Object.keys(beacon).length > 0) context.presence.beacon(client, { ...beacon, ...(told === undefined ? {} : { text: line }) });
      context.presenceFeed.announce();
      return { ok: true };
    },

    'gateway.stop'({ reason }, { client }) {
      const asked = reason ?? `asked by ${client.info.displayName ?? client.info.id}`;
      // The answer goes out first.
      setImmediate(() => context.control.stop(asked));
      return { ok: true };
    },
  };

  /** The model of the default agent. */
  function defaultsFor(isAdmin: boolean): { model: string | null; contextTokens: number | null } {
    if (!isAdmin) return { model: null, contextTokens: null };
    const { contextTokens } = context.source.current().config.agents?.defaults ?? {};
    return { model: context.agent.models.defaults().model, contextTokens: contextTokens ?? null };
  }
}

const TEXTS = ['deviceId', 'instanceId', 'host', 'ip', 'mode', 'version', 'platform', 'deviceFamily', 'modelIdentifier', 'reason'] as const;
const LISTS = ['roles', 'scopes', 'tags'] as const;

/** What the params hold for a row; the params are open, so nothing else of them is taken. */
function beaconFields(params: Partial<SystemEventParams>): Beacon {
  const beacon: Beacon = {};
  for (const key of TEXTS) {
    const value = params[key]?.trim();
    if (value) beacon[key] = value;
  }
  for (const key of LISTS) if (params[key] !== undefined) beacon[key] = params[key].filter((value) => value.trim() !== '');
  if (params.lastInputSeconds !== undefined) beacon.lastInputSeconds = params.lastInputSeconds;
  return beacon;
}
