import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenCorrection } from './token-correction.ts';
import { divideWindow } from './tokens.ts';

const REF = 'acme/large';

function memory() {
  const values = new Map<string, unknown>();
  const calls = { reads: 0, writes: 0 };
  return {
    calls,
    kv: {
      get: (namespace: string, key: string) => {
        calls.reads += 1;
        return values.get(`${namespace}/${key}`);
      },
      set: (namespace: string, key: string, value: unknown) => {
        calls.writes += 1;
        values.set(`${namespace}/${key}`, value);
      },
      delete: (namespace: string, key: string) => void values.delete(`${namespace}/${key}`),
      list: () => [],
    },
  };
}

const usage = (input: number, cacheRead = 0, cacheWrite = 0) => ({ input, cacheRead, cacheWrite });

describe('the correction of the token count', () => {
  it('believes the first figure at once and smooths the next, more text sooner than less', () => {
    const correction = createTokenCorrection(memory().kv);
    expect(correction.factor(REF)).toBe(1);
    correction.learn(REF, 1_000, usage(100, 1_200, 300));
    expect(correction.factor(REF)).toBe(1.6);
    correction.learn(REF, 1_000, usage(1_000));
    const lower = correction.factor(REF);
    expect(lower).toBeCloseTo(1.48);
    correction.learn(REF, 1_000, usage(1_960));
    expect(correction.factor(REF)).toBeCloseTo((lower + 1.96) / 2);
    expect(correction.factor('acme/other')).toBe(1);
  });

  it('leaves out what cannot be about the request, and stays within its bounds', () => {
    const correction = createTokenCorrection(memory().kv);
    for (const [estimated, input] of [
      [1_000, 0],
      [1_000, 12],
      [1_000, 90_000],
      [20, 30],
      [0, 5],
    ] as const)
      correction.learn(REF, estimated, usage(input));
    expect(correction.factor(REF)).toBe(1);
    correction.learn(REF, 1_000, usage(6_500));
    expect(correction.factor(REF)).toBe(4);
    correction.learn('acme/small', 1_000, usage(300));
    expect(correction.factor('acme/small')).toBe(0.5);
  });

  it('is read once, written when it moves, and known to the next process', () => {
    const { kv, calls } = memory();
    const correction = createTokenCorrection(kv);
    for (let turn = 0; turn < 50; turn += 1) {
      correction.factor(REF);
      correction.learn(REF, 1_000, usage(1_300));
    }
    expect(calls).toEqual({ reads: 1, writes: 1 });
    expect(createTokenCorrection(kv).factor(REF)).toBe(1.3);
  });
});

describe('the corrected window', () => {
  const sizes = fc.record({
    window: fc.integer({ min: 1, max: 2_000_000 }),
    reserveTokens: fc.integer({ min: 0, max: 40_000 }),
    floor: fc.integer({ min: 0, max: 40_000 }),
    overhead: fc.integer({ min: 0, max: 400_000 }),
    factor: fc.double({ min: 0.5, max: 4, noNaN: true }),
  });

  it('never exceeds the real one, whatever a provider counts (ENGINE-022, CTX-002, CTX-043)', () => {
    fc.assert(
      fc.property(sizes, (params) => {
        const { window, reserve, overhead, messages, room, factor } = divideWindow(params);
        expect(messages).toBeGreaterThan(0);
        expect(messages).toBeLessThanOrEqual(window);
        expect(room).toBeLessThanOrEqual(window);
        // what an engine fills by the host's count fits by the provider's
        if (messages > 1) expect(messages * factor).toBeLessThanOrEqual(room + 1e-6 * window);
        if (reserve + overhead <= window * (7 / 8)) expect(reserve + overhead + room).toBeLessThanOrEqual(window);
      }),
    );
  });
});
