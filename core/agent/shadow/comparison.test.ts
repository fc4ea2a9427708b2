import { describe, expect, it } from 'vitest';
import { type ComparedTurn, compareTurns, comparisonTable } from './comparison.ts';
import type { EngineSample } from './engine-sample.ts';

const sample = (engine: string, more: Partial<EngineSample> = {}): EngineSample => ({
  ...{ engine, assemblies: 1, tokens: 100, estimate: 90, messages: 3, added: 0, additionTokens: 0, overBudget: false, assembleMs: 1, ingestMs: 1 },
  ...{ dropped: [], droppedCount: 0, compactions: { asked: 0, done: 0 }, failures: [] },
  ...more,
});
const turn = (engines: EngineSample[], more: Partial<ComparedTurn> = {}): ComparedTurn => ({ at: 1, sessionKey: 'a', engines, skipped: 0, ...more });
/** An engine that had no context to offer. */
const mute = (engine: string): EngineSample => {
  const { tokens: _tokens, assembleMs: _ms, ...rest } = sample(engine, { failures: [{ method: 'assemble', code: 'DUR_ENGINE_FAILED' }] });
  return rest;
};

describe('compareTurns', () => {
  it('adds up tokens, latencies, what was dropped, failures by code and what was left out', () => {
    const turns = Array.from({ length: 20 }, (_, place) =>
      turn([sample('a', { tokens: 200 }), sample('b', { tokens: place + 1, assembleMs: place + 1, droppedCount: 2, overBudget: place === 3 })], {
        skipped: place === 0 ? 4 : 0,
      }),
    );
    const [group] = compareTurns([...turns, turn([sample('a', { tokens: 200 }), mute('b')], { sessionKey: 'other', disabled: true })]).groups;
    expect(group).toMatchObject({ turns: 21, sessions: 2, skipped: 4, disabled: 1 });
    expect(group?.engines[1]).toMatchObject({
      ...{ engine: 'b', role: 'shadow', answered: 20, tokens: { avg: 11, p50: 10, max: 20 }, assembleMs: { p50: 10, p95: 19 } },
      ...{ dropped: 40, overBudget: 1, failedTurns: 1, failures: { DUR_ENGINE_FAILED: 1 } },
    });
    expect(group?.verdict).toBe(
      'b used 94% fewer tokens than a on average, assembled in 10 ms at the median (a: 1 ms), was over budget in 1 (a: 0) and failed in 1 of 21 turns (a: 0); ' +
        'b only grew: the host makes no summaries for a shadow, see durar context replay',
    );
  });

  it('keeps different engines apart, the newest first, and says when there is nothing to set side by side', () => {
    const { groups, turns } = compareTurns([turn([sample('a'), sample('b')]), turn([sample('a'), mute('c')])]);
    expect(turns).toBe(2);
    expect(groups.map(({ verdict }) => verdict)).toEqual([
      'c failed in 1 of 1 turn (a: 0); there is no context of both to compare',
      'b used as many tokens as a on average, assembled in 1 ms at the median (a: 1 ms) and failed in 0 of 1 turn (a: 0)',
    ]);
    expect(compareTurns([])).toEqual({ turns: 0, groups: [] });
  });

  it('makes a table with one row an engine', () => {
    const [group] = compareTurns([turn([sample('a', { compactions: { asked: 2, done: 1 } }), mute('c')])]).groups;
    const { header, rows } = comparisonTable(group ?? expect.fail());
    expect(rows.every((row) => row.length === header.length)).toBe(true);
    expect(rows[0]?.slice(0, 4)).toEqual(['a', 'active', '1', '100']);
    expect(rows[0]?.[11]).toBe('1/2');
    expect(rows[1]?.at(-1)).toBe('1 DUR_ENGINE_FAILED');
  });
});
