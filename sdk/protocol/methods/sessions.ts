import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional, text } from '../define.ts';

const string = () => optional(Type.String());
const number = () => optional(Type.Number());

export const SessionRow = open(
  {
    key: Type.String(),
    kind: Type.Union([Type.Literal('direct'), Type.Literal('group'), Type.Literal('global'), Type.Literal('unknown')]),
    updatedAt: Type.Union([Type.Number(), Type.Null()]),
    sessionId: string(),
    label: string(),
    displayName: string(),
    derivedTitle: string(),
    lastMessagePreview: string(),
    channel: string(),
    chatType: string(),
    status: string(),
    startedAt: number(),
    endedAt: number(),
    runtimeMs: number(),
    abortedLastRun: optional(Type.Boolean()),
    thinkingLevel: string(),
    verboseLevel: string(),
    reasoningLevel: string(),
    inputTokens: number(),
    outputTokens: number(),
    totalTokens: number(),
    totalTokensFresh: optional(Type.Boolean()),
    contextTokens: number(),
    estimatedCostUsd: number(),
    modelProvider: string(),
    model: string(),
    spawnedBy: string(),
    parentSessionKey: string(),
    lastChannel: string(),
    lastTo: string(),
    lastAccountId: string(),
  },
  'SessionRow',
);

export const SESSIONS_METHODS = defineMethods({
  'sessions.list': {
    scope: 'operator.read',
    params: closed({
      limit: optional(Type.Integer({ minimum: 1 })),
      activeMinutes: optional(Type.Integer({ minimum: 1 })),
      includeGlobal: optional(Type.Boolean()),
      includeUnknown: optional(Type.Boolean()),
      includeDerivedTitles: optional(Type.Boolean()),
      includeLastMessage: optional(Type.Boolean()),
      label: optional(text()),
      spawnedBy: optional(text()),
      agentId: optional(text()),
      search: optional(Type.String()),
    }),
    result: open({
      ts: Type.Number(),
      path: Type.String(),
      count: Type.Integer(),
      defaults: open({ modelProvider: Type.Union([Type.String(), Type.Null()]), model: Type.Union([Type.String(), Type.Null()]) }),
      sessions: Type.Array(SessionRow),
    }),
  },
  'sessions.get': {
    scope: 'operator.read',
    unlisted: true,
    params: open({ key: optional(text()), sessionKey: optional(text()), limit: optional(Type.Integer({ minimum: 1, maximum: 1000 })) }),
    result: open({ messages: Type.Array(Type.Record(Type.String(), Type.Unknown())), session: optional(SessionRow) }),
  },
  'sessions.resolve': {
    scope: 'operator.read',
    unlisted: true,
    params: closed({
      key: optional(text()),
      sessionId: optional(text()),
      label: optional(text()),
      agentId: optional(text()),
      spawnedBy: optional(text()),
      includeGlobal: optional(Type.Boolean()),
      includeUnknown: optional(Type.Boolean()),
    }),
    result: open({ ok: Type.Literal(true), key: Type.String() }),
  },
});
