import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional, text } from '../define.ts';

export const SEND_METHODS = defineMethods({
  send: {
    scope: 'operator.write',
    sideEffecting: true,
    params: closed({
      to: text(),
      message: optional(Type.String()),
      mediaUrl: optional(Type.String()),
      mediaUrls: optional(Type.Array(Type.String())),
      gifPlayback: optional(Type.Boolean()),
      channel: optional(Type.String()),
      accountId: optional(Type.String()),
      agentId: optional(Type.String()),
      threadId: optional(Type.String()),
      sessionKey: optional(Type.String()),
      idempotencyKey: text(),
    }),
    result: open({
      runId: Type.String(),
      /** Absent when the channel gives its messages no ids. */
      messageId: optional(Type.String()),
      channel: Type.String(),
      chatId: optional(Type.String()),
      channelId: optional(Type.String()),
      toJid: optional(Type.String()),
      conversationId: optional(Type.String()),
    }),
  },
  poll: {
    scope: 'operator.write',
    sideEffecting: true,
    unlisted: true,
    params: closed({
      to: text(),
      question: text(),
      options: Type.Array(text(), { minItems: 2, maxItems: 12 }),
      maxSelections: optional(Type.Integer({ minimum: 1, maximum: 12 })),
      durationSeconds: optional(Type.Integer({ minimum: 1, maximum: 604_800 })),
      durationHours: optional(Type.Integer({ minimum: 1 })),
      silent: optional(Type.Boolean()),
      isAnonymous: optional(Type.Boolean()),
      threadId: optional(Type.String()),
      channel: optional(Type.String()),
      accountId: optional(Type.String()),
      idempotencyKey: text(),
    }),
    result: open({
      runId: Type.String(),
      messageId: optional(Type.String()),
      channel: Type.String(),
      toJid: optional(Type.String()),
      channelId: optional(Type.String()),
      conversationId: optional(Type.String()),
      pollId: optional(Type.String()),
    }),
  },
});
