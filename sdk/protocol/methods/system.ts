import { Type } from '@sinclair/typebox';
import { PresenceEntry } from '../connect.ts';
import { closed, defineMethods, open, optional, text } from '../define.ts';
import { QueueState } from './queue.ts';

const word = () => Type.String({ maxLength: 512 });
const words = () => Type.Array(word(), { maxItems: 64 });
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
    /** How much waits, and for how long. */
    queue: optional(QueueState),
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
      /** Heartbeats are not served by the host itself: each agent's is off. */
      heartbeat: open({
        defaultAgentId: Type.String(),
        agents: Type.Array(open({ agentId: Type.String(), enabled: Type.Boolean(), every: Type.String(), everyMs: Type.Union([Type.Number(), Type.Null()]) })),
      }),
      channelSummary: Type.Array(Type.String()),
      /** Waiting for the next turn of their session. */
      queuedSystemEvents: Type.Array(Type.String()),
      sessions: open({
        paths: Type.Array(Type.String()),
        count: Type.Integer(),
        defaults: open({ model: Type.Union([Type.String(), Type.Null()]), contextTokens: Type.Union([Type.Number(), Type.Null()]) }),
        recent: Type.Array(Type.Unknown()),
        byAgent: Type.Array(Type.Unknown()),
      }),
      slots: Type.Record(Type.String(), Type.Unknown()),
      findings: Type.Integer(),
      /** Runs by lane, and what the inbox and the outbox hold. */
      queue: optional(QueueState),
      /** What the process that runs the gateway adds; its own object, as it is. */
      host: optional(Type.Record(Type.String(), Type.Unknown())),
    }),
  },
  'gateway.identity.get': { scope: 'operator.read', params: open({}), result: open({ deviceId: text(), publicKey: text() }) },
  'system-presence': { scope: 'operator.read', params: open({}), result: Type.Array(PresenceEntry) },
  'system-event': {
    scope: 'operator.admin',
    params: open({
      text: Type.String({ minLength: 1, maxLength: 10_000 }),
      deviceId: optional(word()),
      instanceId: optional(word()),
      host: optional(word()),
      ip: optional(word()),
      mode: optional(word()),
      version: optional(word()),
      platform: optional(word()),
      deviceFamily: optional(word()),
      modelIdentifier: optional(word()),
      reason: optional(word()),
      lastInputSeconds: optional(Type.Number()),
      roles: optional(words()),
      scopes: optional(words()),
      tags: optional(words()),
    }),
    result: open({ ok: Type.Literal(true) }),
  },
  'gateway.stop': {
    scope: 'operator.admin',
    params: closed({ reason: optional(Type.String({ maxLength: 200 })) }),
    result: open({ ok: Type.Literal(true) }),
  },
});
