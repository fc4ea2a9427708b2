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
});
