import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional, text } from '../define.ts';

export const Attachment = open(
  {
    type: optional(Type.String()),
    mimeType: optional(Type.String()),
    fileName: optional(Type.String()),
    /** base64, or a data URL */
    content: optional(Type.String()),
    source: optional(open({ type: Type.String(), media_type: optional(Type.String()), data: Type.String() })),
  },
  'Attachment',
);

export const Provenance = open(
  {
    kind: Type.Union([Type.Literal('external_user'), Type.Literal('inter_session'), Type.Literal('internal_system')]),
    originSessionId: optional(Type.String()),
    sourceSessionKey: optional(Type.String()),
    sourceChannel: optional(Type.String()),
    sourceTool: optional(Type.String()),
  },
  'Provenance',
);

/** The end of a background task, told to the session that asked for it. */
const InternalEvent = closed(
  {
    type: Type.Literal('task_completion'),
    source: Type.Union([Type.Literal('subagent'), Type.Literal('cron')]),
    childSessionKey: Type.String(),
    childSessionId: optional(Type.String()),
    announceType: Type.String(),
    taskLabel: Type.String(),
    status: Type.Union([Type.Literal('ok'), Type.Literal('timeout'), Type.Literal('error'), Type.Literal('unknown')]),
    statusLabel: Type.String(),
    result: Type.String(),
    statsLine: optional(Type.String()),
    replyInstruction: Type.String(),
  },
  'InternalEvent',
);

const AgentAccepted = open({ runId: Type.String(), status: Type.Literal('accepted'), acceptedAt: Type.Number() }, 'AgentAccepted');

const AgentFinal = open(
  {
    runId: Type.String(),
    status: Type.Union([Type.Literal('ok'), Type.Literal('error')]),
    summary: Type.String(),
    result: optional(
      open({
        payloads: Type.Array(open({ text: optional(Type.String()), mediaUrl: optional(Type.Union([Type.String(), Type.Null()])) })),
        meta: Type.Record(Type.String(), Type.Unknown()),
      }),
    ),
  },
  'AgentFinal',
);

export const AGENT_METHODS = defineMethods({
  /** Answers twice: accepted, then the final on the same id. */
  agent: {
    scope: 'operator.write',
    sideEffecting: true,
    params: closed({
      message: text(),
      idempotencyKey: text(),
      agentId: optional(text()),
      provider: optional(text()),
      model: optional(text()),
      to: optional(Type.String()),
      replyTo: optional(Type.String()),
      sessionId: optional(text()),
      sessionKey: optional(Type.String({ minLength: 1, maxLength: 512 })),
      thinking: optional(Type.String()),
      deliver: optional(Type.Boolean()),
      attachments: optional(Type.Array(Attachment)),
      channel: optional(Type.String()),
      replyChannel: optional(Type.String()),
      accountId: optional(Type.String()),
      replyAccountId: optional(Type.String()),
      threadId: optional(Type.String()),
      groupId: optional(Type.String()),
      groupChannel: optional(Type.String()),
      groupSpace: optional(Type.String()),
      /** seconds */
      timeout: optional(Type.Integer({ minimum: 0 })),
      bestEffortDeliver: optional(Type.Boolean()),
      lane: optional(Type.String()),
      extraSystemPrompt: optional(Type.String()),
      internalEvents: optional(Type.Array(InternalEvent)),
      inputProvenance: optional(Provenance),
      label: optional(Type.String({ minLength: 1, maxLength: 512 })),
    }),
    result: Type.Union([AgentAccepted, AgentFinal]),
  },
  'agent.wait': {
    scope: 'operator.write',
    params: closed({ runId: text(), timeoutMs: optional(Type.Integer({ minimum: 0 })) }),
    result: open({
      runId: Type.String(),
      status: Type.Union([Type.Literal('ok'), Type.Literal('error'), Type.Literal('timeout')]),
      startedAt: optional(Type.Number()),
      endedAt: optional(Type.Number()),
      error: optional(Type.String()),
    }),
  },
});
