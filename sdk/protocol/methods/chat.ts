import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional, text } from '../define.ts';
import { Attachment, Provenance } from './agent.ts';

const sessionKey = () => Type.String({ minLength: 1, maxLength: 512 });
const Aborted = open({ ok: Type.Literal(true), aborted: Type.Boolean(), runIds: Type.Array(Type.String()) }, 'ChatAborted');

export const CHAT_METHODS = defineMethods({
  'chat.send': {
    scope: 'operator.write',
    sideEffecting: true,
    params: closed({
      sessionKey: sessionKey(),
      message: Type.String(),
      idempotencyKey: text(),
      thinking: optional(Type.String()),
      deliver: optional(Type.Boolean()),
      attachments: optional(Type.Array(Attachment)),
      timeoutMs: optional(Type.Integer({ minimum: 0 })),
      originatingChannel: optional(text()),
      originatingTo: optional(text()),
      originatingAccountId: optional(text()),
      originatingThreadId: optional(text()),
      systemInputProvenance: optional(Provenance),
      systemProvenanceReceipt: optional(Type.String()),
    }),
    /** A message that is a stop word answers like `chat.abort`. */
    result: Type.Union([
      open({
        runId: Type.String(),
        status: Type.Union([Type.Literal('started'), Type.Literal('in_flight'), Type.Literal('ok'), Type.Literal('error')]),
        summary: optional(Type.String()),
      }),
      Aborted,
    ]),
  },
  'chat.abort': {
    scope: 'operator.write',
    params: closed({ sessionKey: sessionKey(), runId: optional(text()) }),
    result: Aborted,
  },
  'chat.history': {
    scope: 'operator.read',
    params: closed({
      sessionKey: sessionKey(),
      limit: optional(Type.Integer({ minimum: 1, maximum: 1000 })),
      maxChars: optional(Type.Integer({ minimum: 1, maximum: 500_000 })),
    }),
    result: open({
      sessionKey: Type.String(),
      sessionId: optional(Type.String()),
      messages: Type.Array(Type.Record(Type.String(), Type.Unknown())),
      thinkingLevel: Type.String(),
      fastMode: optional(Type.Boolean()),
      verboseLevel: optional(Type.String()),
    }),
  },
  /** Writes an assistant note into a session; no model is asked, nothing is delivered. */
  'chat.inject': {
    scope: 'operator.admin',
    unlisted: true,
    params: closed({ sessionKey: sessionKey(), message: text(), label: optional(Type.String({ maxLength: 100 })) }),
    result: open({ ok: Type.Literal(true), messageId: Type.String() }),
  },
});
