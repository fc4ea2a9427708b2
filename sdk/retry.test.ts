import { describe, expect, it } from 'vitest';
import { RETRY_DEFAULTS, type RetryPolicy, type RetryVerdict, retryDelay, retryPolicy, withRetry } from './retry.ts';

const quick: RetryPolicy = { attempts: 3, minDelayMs: 1, maxDelayMs: 5, jitter: 0 };

/** A request that fails as often as told; counts its tries. */
function failing(times: number, error: unknown = new Error('busy')) {
  const request = async (attempt: number) => {
    request.tries = attempt;
    if (attempt <= times) throw error;
    return `answer ${attempt}`;
  };
  request.tries = 0;
  return request;
}

const always = (): RetryVerdict => ({ retry: true });

describe('a retried request', () => {
  it('is tried three times in all by default (RETRY-004)', () => {
    expect(RETRY_DEFAULTS).toEqual({ attempts: 3, minDelayMs: 500, maxDelayMs: 30_000, jitter: 0.1 });
  });

  it('ends with the last error when the tries are used up (RETRY-004)', async () => {
    const request = failing(9);
    await expect(withRetry(request, { policy: quick, judge: always })).rejects.toThrow('busy');
    expect(request.tries).toBe(3);
  });

  it('is not sent again once it succeeded (RETRY-003)', async () => {
    const request = failing(1);
    await expect(withRetry(request, { policy: quick, judge: always })).resolves.toBe('answer 2');
    expect(request.tries).toBe(2);
  });

  it('is sent once when the error cannot be mended (RETRY-018)', async () => {
    const request = failing(9);
    await expect(withRetry(request, { policy: quick, judge: () => ({ retry: false }) })).rejects.toThrow('busy');
    expect(request.tries).toBe(1);
  });

  it('is sent once with attempts: 1 (RETRY-023, RETRY-027)', async () => {
    const request = failing(9);
    await expect(withRetry(request, { policy: { ...quick, attempts: 1 }, judge: always })).rejects.toThrow('busy');
    expect(request.tries).toBe(1);
  });

  it('throws what the service said when its wait is ended', async () => {
    const stop = new AbortController();
    const waiting = withRetry(failing(9), {
      policy: { ...quick, minDelayMs: 60_000, maxDelayMs: 60_000 },
      judge: always,
      signal: stop.signal,
      onRetry: () => queueMicrotask(() => stop.abort()),
    });
    await expect(waiting).rejects.toThrow('busy');
  });

  it('reports each wait', async () => {
    const waits: number[] = [];
    await withRetry(failing(2), { policy: quick, judge: always, onRetry: ({ delayMs }) => waits.push(delayMs) });
    expect(waits).toEqual([1, 2]);
  });
});

describe('the wait', () => {
  const policy: RetryPolicy = { attempts: 9, minDelayMs: 400, maxDelayMs: 30_000, jitter: 0.1 };

  it.each([
    [1, 400],
    [2, 800],
    [3, 1_600],
    [7, 25_600],
    [8, 30_000],
    [60, 30_000],
  ])('after try %i is %i ms in the middle of the jitter (RETRY-011, RETRY-020, RETRY-005)', (attempt, expected) => {
    expect(retryDelay(policy, attempt, undefined, 0.5)).toBe(expected);
  });

  it.each([
    [0, 1_440],
    [1, 1_760],
  ])('varies by a tenth: random %d (RETRY-006)', (random, expected) => {
    expect(retryDelay(policy, 3, undefined, random)).toBe(expected);
  });

  it('stays between the ends whatever the jitter', () => {
    expect(retryDelay({ ...policy, jitter: 1 }, 1, undefined, 0)).toBe(400);
    expect(retryDelay({ ...policy, jitter: 1 }, 40, undefined, 1)).toBe(30_000);
  });

  it.each([
    [1_500, 1_500],
    [90_000, 30_000],
    [0, 0],
    [-5, 0],
  ])('asked for by the service, %i ms, is waited out up to the cap: %i (RETRY-010, RETRY-019, RETRY-005)', (asked, expected) => {
    expect(retryDelay(policy, 1, asked, 0)).toBe(expected);
  });

  it('is exact without jitter (RETRY-026, RETRY-030)', () => {
    for (const random of [0, 0.3, 1]) expect(retryDelay({ ...policy, jitter: 0 }, 2, undefined, random)).toBe(800);
  });
});

describe('a policy', () => {
  it('takes what the block says, then the channel, then the defaults (RETRY-022)', () => {
    expect(retryPolicy({ attempts: 5 }, { minDelayMs: 400 })).toEqual({ attempts: 5, minDelayMs: 400, maxDelayMs: 30_000, jitter: 0.1 });
    expect(retryPolicy(undefined)).toEqual(RETRY_DEFAULTS);
  });
});
