import type { SessionRecord } from '../../../sdk/index.ts';
import { ADMIN_SCOPE } from '../../../sdk/protocol/scopes.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';
import { agentsOf } from '../health.ts';
import { sessionRow } from '../session-row.ts';

const RECENT = 10;

export function systemMethods(context: GatewayContext): MethodFamily<'health' | 'status' | 'gateway.stop'> {
  return {
    health: ({ probe }) => context.health.get(probe === undefined ? {} : { probe }),

    async status(_params, { client }) {
      const generation = context.source.current();
      const isAdmin = client.can(ADMIN_SCOPE);
      const store = isAdmin ? `store:${generation.plan.slots.sessionStore.key}` : '[redacted]';
      const { ids } = agentsOf(context);
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
        sessions: { paths: isAdmin ? [store] : [], count: total, defaults: {}, recent: recent(sessions), byAgent },
        slots: generation.plan.slots as unknown as Record<string, unknown>,
        findings: generation.findings.length,
        ...(isAdmin ? { host: context.control.status() as Record<string, unknown> } : {}),
      };
    },

    'gateway.stop'({ reason }, { client }) {
      const asked = reason ?? `asked by ${client.info.displayName ?? client.info.id}`;
      // The answer goes out first.
      setImmediate(() => context.control.stop(asked));
      return { ok: true };
    },
  };
}
