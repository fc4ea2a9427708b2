import { Type } from '@sinclair/typebox';
import { ContextInspection } from '../context-report.ts';
import { closed, defineMethods, nullable, open, optional, text } from '../define.ts';
import { EngineComparison } from '../engine-comparison.ts';
import { TurnRecord, TurnSummary } from '../turn-ledger.ts';
import { Attachment } from './agent.ts';

const string = () => optional(Type.String());
const number = () => optional(Type.Number());
const boolean = () => optional(Type.Boolean());
const sessionKey = () => Type.String({ minLength: 1, maxLength: 512 });
/** A value that `null` clears; its words are checked by the method, which names the right ones. */
const clearable = () => optional(nullable(Type.String()));

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
    fastMode: boolean(),
    verboseLevel: string(),
    reasoningLevel: string(),
    elevatedLevel: string(),
    sendPolicy: string(),
    responseUsage: string(),
    inputTokens: number(),
    outputTokens: number(),
    totalTokens: number(),
    totalTokensFresh: optional(Type.Boolean()),
    contextTokens: number(),
    estimatedCostUsd: number(),
    modelProvider: string(),
    model: string(),
    spawnedBy: string(),
    spawnedWorkspaceDir: string(),
    spawnDepth: number(),
    subagentRole: string(),
    subagentControlScope: string(),
    parentSessionKey: string(),
    deliveryContext: optional(open({ channel: string(), to: string(), accountId: string(), threadId: string() })),
    lastChannel: string(),
    lastTo: string(),
    lastAccountId: string(),
    lastThreadId: string(),
  },
  'SessionRow',
);

/** The stored row, without its key. */
const SessionEntry = open({ sessionId: Type.String(), updatedAt: Type.Number(), sessionFile: string() }, 'SessionEntry');

const messageParams = () =>
  closed({
    key: sessionKey(),
    message: Type.String(),
    thinking: string(),
    attachments: optional(Type.Array(Attachment)),
    timeoutMs: optional(Type.Integer({ minimum: 0 })),
    idempotencyKey: text(),
  });
const messageResult = () =>
  open({
    runId: Type.String(),
    status: Type.Union([Type.Literal('started'), Type.Literal('in_flight'), Type.Literal('ok'), Type.Literal('error')]),
    /** The place that the message gets in the transcript. */
    messageSeq: optional(Type.Integer()),
    interruptedActiveRun: boolean(),
    summary: string(),
  });

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
      defaults: open({
        modelProvider: nullable(Type.String()),
        model: nullable(Type.String()),
        contextTokens: nullable(Type.Number()),
      }),
      sessions: Type.Array(SessionRow),
    }),
  },
  'sessions.get': {
    scope: 'operator.read',
    unlisted: true,
    params: open({ key: optional(text()), sessionKey: optional(text()), limit: optional(Type.Integer({ minimum: 1, maximum: 1000 })) }),
    /** The row as lists show it, and as it is stored. */
    result: open({
      messages: Type.Array(Type.Record(Type.String(), Type.Unknown())),
      session: optional(SessionRow),
      entry: optional(SessionEntry),
    }),
  },
  /** What the session's context is made of: as its last run sent it, else as an estimate. Sizes and names, no text. */
  'sessions.context': {
    scope: 'operator.read',
    unlisted: true,
    params: closed({ key: sessionKey() }),
    result: ContextInspection,
  },
  /** The session's turns, newest first: who served each, what it cost. */
  'sessions.turns': {
    scope: 'operator.read',
    unlisted: true,
    params: closed({ key: sessionKey(), limit: optional(Type.Integer({ minimum: 1, maximum: 200 })) }),
    result: open({ key: Type.String(), turns: Type.Array(TurnSummary) }),
  },
  /** One turn with each part of its last request. `turn`: a run id, `last`, or a place counted back from -1. No text, sources and sizes only. */
  'sessions.turn': {
    scope: 'operator.read',
    unlisted: true,
    params: closed({ key: optional(sessionKey()), turn: optional(text()) }),
    result: TurnRecord,
  },
  /** What the shadow engine did beside the active one: of one session or of all, since a time. */
  'sessions.compare': {
    scope: 'operator.read',
    unlisted: true,
    params: closed({ key: optional(sessionKey()), since: optional(Type.Number({ minimum: 0 })) }),
    result: EngineComparison,
  },
  /** The session's log as it is stored, in pages. */
  'sessions.entries': {
    scope: 'operator.read',
    unlisted: true,
    params: closed({ key: sessionKey(), fromSeq: optional(Type.Integer({ minimum: 1 })), limit: optional(Type.Integer({ minimum: 1, maximum: 500 })) }),
    result: open({ key: Type.String(), sessionId: Type.String(), entries: Type.Array(Type.Record(Type.String(), Type.Unknown())), lastSeq: Type.Integer() }),
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
  /** From now on this socket gets `sessions.changed`, `session.message` and `session.tool` of all sessions. */
  'sessions.subscribe': { scope: 'operator.read', params: open({}), result: open({ subscribed: Type.Boolean() }) },
  'sessions.unsubscribe': { scope: 'operator.read', params: open({}), result: open({ subscribed: Type.Boolean() }) },
  /** From now on this socket gets `session.message` of one session. */
  'sessions.messages.subscribe': {
    scope: 'operator.read',
    params: closed({ key: sessionKey() }),
    result: open({ subscribed: Type.Boolean(), key: Type.String() }),
  },
  'sessions.messages.unsubscribe': {
    scope: 'operator.read',
    params: closed({ key: sessionKey() }),
    result: open({ subscribed: Type.Boolean(), key: Type.String() }),
  },
  'sessions.preview': {
    scope: 'operator.read',
    params: closed({
      keys: Type.Array(text(), { minItems: 1 }),
      limit: optional(Type.Integer({ minimum: 1 })),
      maxChars: optional(Type.Integer({ minimum: 20 })),
    }),
    result: open({
      ts: Type.Number(),
      previews: Type.Array(
        open({
          key: Type.String(),
          status: Type.Union([Type.Literal('ok'), Type.Literal('empty'), Type.Literal('missing'), Type.Literal('error')]),
          items: Type.Array(open({ role: Type.String(), text: Type.String() })),
        }),
      ),
    }),
  },
  'sessions.create': {
    scope: 'operator.write',
    params: closed({
      key: optional(sessionKey()),
      agentId: optional(text()),
      label: optional(Type.String({ minLength: 1, maxLength: 512 })),
      model: optional(text()),
      parentSessionKey: optional(sessionKey()),
      task: string(),
      message: string(),
    }),
    result: open({
      ok: Type.Literal(true),
      key: Type.String(),
      sessionId: Type.String(),
      entry: SessionEntry,
      runStarted: Type.Boolean(),
      runId: string(),
      status: string(),
      messageSeq: number(),
      runError: optional(Type.Unknown()),
    }),
  },
  'sessions.send': { scope: 'operator.write', sideEffecting: true, params: messageParams(), result: messageResult() },
  'sessions.steer': { scope: 'operator.write', sideEffecting: true, unlisted: true, params: messageParams(), result: messageResult() },
  'sessions.abort': {
    scope: 'operator.write',
    params: closed({ key: sessionKey(), runId: optional(text()) }),
    result: open({
      ok: Type.Literal(true),
      abortedRunId: nullable(Type.String()),
      status: Type.Union([Type.Literal('aborted'), Type.Literal('no-active-run')]),
    }),
  },
  /** Settings of a session; `null` clears one. */
  'sessions.patch': {
    scope: 'operator.admin',
    params: closed({
      key: sessionKey(),
      label: clearable(),
      thinkingLevel: clearable(),
      fastMode: optional(nullable(Type.Boolean())),
      verboseLevel: clearable(),
      reasoningLevel: clearable(),
      responseUsage: clearable(),
      elevatedLevel: clearable(),
      execHost: clearable(),
      execSecurity: clearable(),
      execAsk: clearable(),
      execNode: clearable(),
      model: clearable(),
      spawnedBy: clearable(),
      spawnedWorkspaceDir: clearable(),
      spawnDepth: optional(nullable(Type.Integer({ minimum: 0 }))),
      subagentRole: clearable(),
      subagentControlScope: clearable(),
      sendPolicy: clearable(),
      groupActivation: clearable(),
    }),
    result: open({
      ok: Type.Literal(true),
      path: Type.String(),
      key: Type.String(),
      entry: SessionEntry,
      resolved: open({ modelProvider: Type.String(), model: Type.String() }),
    }),
  },
  'sessions.reset': {
    scope: 'operator.admin',
    params: closed({ key: sessionKey(), reason: optional(Type.Union([Type.Literal('new'), Type.Literal('reset')])) }),
    result: open({ ok: Type.Literal(true), key: Type.String(), entry: SessionEntry }),
  },
  'sessions.delete': {
    scope: 'operator.admin',
    params: closed({ key: sessionKey(), deleteTranscript: boolean(), emitLifecycleHooks: boolean() }),
    result: open({ ok: Type.Literal(true), key: Type.String(), deleted: Type.Boolean(), archived: Type.Array(Type.String()) }),
  },
  'sessions.compact': {
    scope: 'operator.admin',
    /** `maxLines`: a context of that many messages or fewer is left as it is. */
    params: closed({ key: sessionKey(), maxLines: optional(Type.Integer({ minimum: 1 })) }),
    result: open({
      ok: Type.Literal(true),
      key: Type.String(),
      compacted: Type.Boolean(),
      /** Messages that a model still sees. */
      kept: number(),
      archived: string(),
      reason: string(),
    }),
  },
});
