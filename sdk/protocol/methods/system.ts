import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional } from '../define.ts';

const sessionCount = () =>
  open({ path: Type.String(), count: Type.Integer(), recent: Type.Array(open({ key: Type.String(), updatedAt: Type.Number(), age: Type.Number() })) });

export const HealthPayload = open(
  {
    ok: Type.Boolean(),
    ts: Type.Number(),
    durationMs: Type.Number(),
    channels: Type.Record(Type.String(), Type.Unknown()),
    channelOrder: Type.Array(Type.String()),
    channelLabels: Type.Record(Type.String(), Type.String()),
    heartbeatSeconds: Type.Number(),
    defaultAgentId: Type.String(),
    agents: Type.Array(open({ agentId: Type.String(), name: optional(Type.String()), isDefault: Type.Boolean(), sessions: sessionCount() })),
    sessions: sessionCount(),
    /** Why `ok` is false. */
    error: optional(Type.String()),
  },
  'HealthPayload',
);

export const SYSTEM_METHODS = defineMethods({
  health: { scope: null, params: open({ probe: optional(Type.Boolean()) }), result: HealthPayload },
  status: {
    scope: 'operator.read',
    params: open({}),
    result: open({
      runtimeVersion: Type.String(),
      uptimeMs: Type.Number(),
      connections: Type.Integer(),
      sessions: open({
        paths: Type.Array(Type.String()),
        count: Type.Integer(),
        defaults: open({}),
        recent: Type.Array(Type.Unknown()),
        byAgent: Type.Array(Type.Unknown()),
      }),
      slots: Type.Record(Type.String(), Type.Unknown()),
      findings: Type.Integer(),
      /** What the process that runs the gateway adds; its own object, as it is. */
      host: optional(Type.Record(Type.String(), Type.Unknown())),
    }),
  },
  'gateway.stop': {
    scope: 'operator.admin',
    params: closed({ reason: optional(Type.String({ maxLength: 200 })) }),
    result: open({ ok: Type.Literal(true) }),
  },
});
