import { type TSchema, Type } from '@sinclair/typebox';
import { nullable, open, optional } from './define.ts';

const named = (members: Record<string, TSchema>) => Type.Array(open({ name: Type.String(), ...members }));
const Size = { chars: Type.Integer(), tokens: Type.Integer() };

/** What a request to a model was made of. Tokens are the host's count. */
const ContextReport = open(
  {
    source: Type.Union([Type.Literal('run'), Type.Literal('estimate')]),
    generatedAt: Type.Number(),
    sessionId: Type.String(),
    sessionKey: Type.String(),
    runId: optional(Type.String()),
    provider: Type.String(),
    model: Type.String(),
    contextWindow: Type.Integer(),
    contextEngine: optional(Type.String()),
    /** The whole request: by the host's own count, and as its provider is expected to count it. */
    request: optional(open({ tokens: Type.Integer(), corrected: Type.Integer(), factor: Type.Number() })),
    workspaceDir: Type.String(),
    bootstrapMaxChars: Type.Integer(),
    bootstrapTotalMaxChars: Type.Integer(),
    bootstrapTruncation: open({
      mode: Type.Union([Type.Literal('off'), Type.Literal('once'), Type.Literal('always')]),
      shown: Type.Boolean(),
      shownFor: Type.Array(Type.String()),
    }),
    sandbox: open({ mode: Type.String(), sandboxed: Type.Boolean() }),
    systemPrompt: open({
      ...Size,
      projectContextChars: Type.Integer(),
      nonProjectContextChars: Type.Integer(),
      parts: named({ source: Type.String(), ...Size }),
    }),
    injectedWorkspaceFiles: named({
      path: Type.String(),
      missing: Type.Boolean(),
      rawChars: Type.Integer(),
      injectedChars: Type.Integer(),
      truncated: Type.Boolean(),
    }),
    skills: open({ promptChars: Type.Integer(), count: Type.Integer(), entries: named({ blockChars: Type.Integer() }) }),
    tools: open({ listChars: Type.Integer(), schemaChars: Type.Integer(), count: Type.Integer(), entries: named({ schemaChars: Type.Integer() }) }),
    messages: open({ count: Type.Integer(), ...Size, bySource: Type.Array(open({ source: Type.String(), count: Type.Integer(), ...Size })) }),
  },
  'ContextReport',
);
export const ContextInspection = open(
  { key: Type.String(), report: ContextReport, session: open({ totalTokens: nullable(Type.Integer()), contextTokens: Type.Integer() }) },
  'ContextInspection',
);
