import { Type } from '@sinclair/typebox';
import { open } from './define.ts';

const numbers = (...names: string[]) => open(Object.fromEntries(names.map((name) => [name, Type.Number()])));

/** What one engine did in the turns that were compared. Tokens are the host's count. */
const EngineSummary = open(
  {
    engine: Type.String(),
    role: Type.Union([Type.Literal('active'), Type.Literal('shadow'), Type.Literal('replay')]),
    /** Turns in which it assembled a context. */
    answered: Type.Integer(),
    tokens: numbers('avg', 'p50', 'max'),
    additionTokens: Type.Number(),
    assembleMs: numbers('p50', 'p95'),
    ingestMs: numbers('p50', 'p95'),
    /** Entries, summed over all turns, that it left out and another engine kept. */
    dropped: Type.Integer(),
    /** Turns whose context was larger than their budget. */
    overBudget: Type.Integer(),
    compactions: open({ asked: Type.Integer(), done: Type.Integer() }),
    /** How often, by code. */
    failures: Type.Record(Type.String(), Type.Integer()),
    failedTurns: Type.Integer(),
  },
  'EngineSummary',
);

/** Turns of the same engines, added up. */
export const EngineComparison = open(
  {
    turns: Type.Integer(),
    groups: Type.Array(
      open({
        turns: Type.Integer(),
        sessions: Type.Integer(),
        /** Turns that were not compared: the shadow was too far behind or had failed too often. */
        skipped: Type.Integer(),
        /** Sessions in which the shadow was given up. */
        disabled: Type.Integer(),
        engines: Type.Array(EngineSummary),
        verdict: Type.String(),
      }),
    ),
  },
  'EngineComparison',
);
