import { Type } from '@sinclair/typebox';
import { PresenceEntry } from './connect.ts';
import { type EventSource, nullable, open, optional } from './define.ts';
import { DevicePairingRequest } from './methods/devices.ts';
import { SessionRow } from './methods/sessions.ts';
import { HealthPayload } from './methods/system.ts';

const AgentEventPayload = open({
  runId: Type.String(),
  /** from 1 per run */
  seq: Type.Integer(),
  stream: Type.String(),
  ts: Type.Number(),
  data: Type.Record(Type.String(), Type.Unknown()),
  sessionKey: optional(Type.String()),
});

const ChatEventPayload = open({
  runId: Type.String(),
  sessionKey: Type.String(),
  seq: Type.Integer(),
  state: Type.Union([Type.Literal('delta'), Type.Literal('final'), Type.Literal('aborted'), Type.Literal('error')]),
  /** The whole text so far. */
  message: optional(open({ role: Type.String(), content: Type.Array(open({ type: Type.String(), text: optional(Type.String()) })), timestamp: Type.Number() })),
  errorMessage: optional(Type.String()),
  stopReason: optional(Type.String()),
});

/** Rides with the members of the session's row, flat beside these. */
const SessionsChangedPayload = open({
  sessionKey: Type.String(),
  ts: Type.Number(),
  reason: optional(Type.String()),
  phase: optional(Type.String()),
  runId: optional(Type.String()),
  messageId: optional(Type.String()),
  messageSeq: optional(Type.Integer()),
  compacted: optional(Type.Boolean()),
  session: optional(SessionRow),
});

const SessionMessagePayload = open({
  sessionKey: Type.String(),
  message: Type.Record(Type.String(), Type.Unknown()),
  /** Absent on a user's message that is announced before it is written. */
  messageId: optional(Type.String()),
  messageSeq: optional(Type.Integer()),
  session: optional(SessionRow),
});

const SessionToolPayload = open({
  runId: Type.String(),
  seq: Type.Integer(),
  stream: Type.Literal('tool'),
  ts: Type.Number(),
  data: Type.Record(Type.String(), Type.Unknown()),
  sessionKey: Type.String(),
  session: optional(SessionRow),
});

const approvalRequested = open({ id: Type.String(), request: Type.Unknown(), createdAtMs: Type.Number(), expiresAtMs: Type.Number() });
const approvalResolved = open({
  id: Type.String(),
  decision: Type.String(),
  resolvedBy: optional(Type.String()),
  ts: Type.Number(),
  request: optional(Type.Unknown()),
});
const everyone = (payload: EventSource['payload'], droppable: boolean): EventSource => ({ scope: null, droppable, payload });
const scoped = (scope: string, payload: EventSource['payload'], droppable: boolean): EventSource => ({ scope, droppable, payload });

/** Every event the host sends; extensions may broadcast further names, which need `operator.read` unless they ask for more. */
export const EVENT_SOURCES: Record<string, EventSource> = {
  'connect.challenge': everyone(open({ nonce: Type.String(), ts: Type.Number() }), false),
  agent: scoped('operator.read', AgentEventPayload, false),
  chat: scoped('operator.read', ChatEventPayload, false),
  /** These three go to subscribed sockets only. */
  'session.message': scoped('operator.read', SessionMessagePayload, true),
  'session.tool': scoped('operator.read', SessionToolPayload, true),
  'sessions.changed': scoped('operator.read', SessionsChangedPayload, true),
  presence: everyone(open({ presence: Type.Array(PresenceEntry) }), true),
  tick: everyone(open({ ts: Type.Number() }), true),
  shutdown: everyone(open({ reason: Type.String(), restartExpectedMs: nullable(Type.Integer()) }), false),
  health: everyone(HealthPayload, false),
  'device.pair.requested': scoped('operator.pairing', DevicePairingRequest, true),
  'device.pair.resolved': scoped(
    'operator.pairing',
    open({ requestId: Type.String(), deviceId: Type.String(), decision: Type.String(), ts: Type.Number() }),
    true,
  ),
  'exec.approval.requested': scoped('operator.approvals', approvalRequested, true),
  'exec.approval.resolved': scoped('operator.approvals', approvalResolved, true),
  'plugin.approval.requested': scoped('operator.approvals', approvalRequested, true),
  'plugin.approval.resolved': scoped('operator.approvals', approvalResolved, true),
  'node.pair.requested': scoped('operator.pairing', open({ requestId: Type.String(), nodeId: Type.String(), silent: Type.Boolean(), ts: Type.Number() }), true),
  'node.pair.resolved': scoped('operator.pairing', open({ requestId: Type.String(), nodeId: Type.String(), decision: Type.String(), ts: Type.Number() }), true),
  /** Goes to the one node. */
  'node.invoke.request': scoped(
    'operator.admin',
    open({
      id: Type.String(),
      nodeId: Type.String(),
      command: Type.String(),
      paramsJSON: nullable(Type.String()),
      timeoutMs: optional(Type.Integer()),
      idempotencyKey: Type.String(),
    }),
    false,
  ),
};
