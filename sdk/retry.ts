import { setTimeout as sleep } from 'node:timers/promises';

/** How one request is retried. Source: the retry page. */
export interface RetryPolicy {
  /** Tries in all, the first included. */
  attempts: number;
  /** milliseconds before the second try; doubled for each further one */
  minDelayMs: number;
  /** No wait is longer, not even one that the service asks for. */
  maxDelayMs: number;
  /** A wait varies by this share of itself, up and down: 0 to 1. */
  jitter: number;
}

export const RETRY_DEFAULTS: Readonly<RetryPolicy> = { attempts: 3, minDelayMs: 500, maxDelayMs: 30_000, jitter: 0.1 };

/** JSON Schema of a channel's `retry` block, for its manifest or `configSchema`. Each member is optional; give defaults with `retryPolicy`. */
export const RETRY_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: {
    attempts: { type: 'integer', minimum: 1, maximum: 20 },
    minDelayMs: { type: 'integer', minimum: 0 },
    maxDelayMs: { type: 'integer', minimum: 0 },
    jitter: { type: 'number', minimum: 0, maximum: 1 },
  },
} as const;

/** What a failed try means. */
export interface RetryVerdict {
  retry: boolean;
  /** milliseconds that the service asked to wait */
  afterMs?: number | undefined;
}

export interface RetryOptions {
  policy: RetryPolicy;
  /** Asked after each failed try but the last. */
  judge(error: unknown): RetryVerdict;
  /** Ends a wait; the last error of the service is thrown, not the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Told before each wait. */
  onRetry?(retry: { attempt: number; delayMs: number; error: unknown }): void;
  /** 0 up to 1; for tests */
  random?: () => number;
}

/** The policy of a configuration block, filled with the channel's defaults. */
export function retryPolicy(block: unknown, defaults: Partial<RetryPolicy> = {}): RetryPolicy {
  const given = typeof block === 'object' && block !== null ? Object.entries(block).filter(([, value]) => typeof value === 'number') : [];
  return { ...RETRY_DEFAULTS, ...defaults, ...Object.fromEntries(given) };
}

/** Runs one request until it succeeds, fails for good or the tries are used up; then the last error is thrown. A request that succeeded is never sent again. */
export async function withRetry<Result>(request: (attempt: number) => Promise<Result>, options: RetryOptions): Promise<Result> {
  const { policy, judge, signal, onRetry, random = Math.random } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request(attempt);
    } catch (error) {
      if (attempt >= policy.attempts || signal?.aborted) throw error;
      const verdict = judge(error);
      if (!verdict.retry) throw error;
      const delayMs = retryDelay(policy, attempt, verdict.afterMs, random());
      onRetry?.({ attempt, delayMs, error });
      try {
        await sleep(delayMs, undefined, signal === undefined ? {} : { signal });
      } catch (interruption) {
        if (!signal?.aborted) throw interruption;
        throw error;
      }
    }
  }
}

/**
 * Milliseconds before the try after `attempt`. What the service asked for is waited out, bounded by the cap alone; a wait of our own varies
 * within the jitter and stays between the policy's ends. `random`: 0 up to 1.
 */
export function retryDelay(policy: RetryPolicy, attempt: number, afterMs: number | undefined, random: number): number {
  const { minDelayMs, maxDelayMs, jitter } = policy;
  if (afterMs !== undefined) return Math.min(Math.max(0, afterMs), maxDelayMs);
  const base = Math.min(minDelayMs * 2 ** (attempt - 1), maxDelayMs);
  return Math.round(Math.min(Math.max(base * (1 + jitter * (2 * random - 1)), minDelayMs), maxDelayMs));
}
