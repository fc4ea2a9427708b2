import { Type } from '@sinclair/typebox';
import { open, optional } from './define.ts';

const optionalInteger = () => optional(Type.Integer());
const optionalString = () => optional(Type.String());

/** What a turn was: who served it, what it cost. Tokens are the host's own count where `corrected` or `reported` does not say otherwise. */
const summary = {
  runId: Type.String(),
  sessionKey: Type.String(),
  sessionId: Type.String(),
  startedAt: Type.Number(),
  endedAt: Type.Number(),
  status: Type.Union([Type.Literal('ok'), Type.Literal('error'), Type.Literal('aborted')]),
  error: optional(open({ code: Type.String(), extension: optionalString() })),
  /** The one that really served it. */
  engine: optional(open({ id: Type.String(), owner: Type.String(), version: optionalString() })),
  /** The one that repeated it without effect; `durar context compare` tells what came of that. */
  shadow: optionalString(),
  model: optionalString(),
  /** How the window of the last request was divided. `messages`: what the engine was told. */
  budget: optional(
    open({
      window: Type.Integer(),
      reserve: Type.Integer(),
      overhead: Type.Integer(),
      messages: Type.Integer(),
      /** What the host's count is multiplied by to say what the provider counts. */
      factor: Type.Number(),
    }),
  ),
  /** The last request: by the host's own count, corrected, what the engine said of its messages, what the provider said. */
  request: optional(open({ estimated: Type.Integer(), corrected: Type.Integer(), engine: Type.Integer(), reported: optionalInteger() })),
  /** Of all calls together, as the provider reported. */
  usage: open({ input: Type.Integer(), output: Type.Integer(), cacheRead: Type.Integer(), cacheWrite: Type.Integer() }),
  callCount: Type.Integer(),
  /** The newest. */
  calls: Type.Array(
    open({
      ms: Type.Integer(),
      estimated: Type.Integer(),
      corrected: Type.Integer(),
      reported: Type.Integer(),
      output: Type.Integer(),
      stopReason: Type.String(),
      error: optionalString(),
    }),
  ),
  compactions: Type.Array(open({ trigger: Type.String(), compacted: Type.Boolean(), tokensBefore: optionalInteger(), tokensAfter: optionalInteger() })),
  /** What of the last request was left out or shortened, in messages; its parts say which. */
  pruning: optional(open({ savedTokens: Type.Integer(), trimmed: Type.Integer(), cleared: Type.Integer(), images: Type.Integer() })),
};

/** One piece of a request. */
const TurnPart = open(
  {
    kind: Type.Union([Type.Literal('system'), Type.Literal('tool'), Type.Literal('message')]),
    /** Section, file, skill or tool; of a message its role. */
    name: Type.String(),
    /** `durar`, `request`, `workspace:<path>`, `skill:<name>`, `extension:<id>`, `hook:<extensions>`, `engine:<id>`, `entry:<id>` or `summary:<entry id>` */
    source: Type.String(),
    tokens: Type.Integer(),
    /** The entry that it comes from, or that it was made of. */
    entryId: optionalString(),
    seq: optionalInteger(),
    changed: optional(Type.Union([Type.Literal('trimmed'), Type.Literal('cleared'), Type.Literal('images')])),
  },
  'TurnPart',
);

export const TurnSummary = open(summary, 'TurnSummary');
/** A turn with each part of its last request, in the order of the request: system prompt, tools, messages. */
export const TurnRecord = open({ ...summary, parts: Type.Array(TurnPart) }, 'TurnRecord');
