/** How long and how many outcomes are remembered. */
const TTL_MS = 300_000;
const MAX_CALLS = 1000;

/** Calls by their key: a repeat gets the promise of the first. What failed before it had any effect may be tried again. */
export class RepeatedCalls<Result> {
  readonly #calls = new Map<string, { outcome: Promise<Result>; at: number }>();

  /** `run` calls `sent` when it begins to have an effect. */
  once(key: string, run: (sent: () => void) => Promise<Result>): Promise<Result> {
    const oldest = Date.now() - TTL_MS;
    for (const [known, { at }] of this.#calls) {
      if (at >= oldest && this.#calls.size < MAX_CALLS) break;
      this.#calls.delete(known);
    }
    const first = this.#calls.get(key);
    if (first !== undefined) return first.outcome;
    let isSent = false;
    const outcome = run(() => {
      isSent = true;
    });
    this.#calls.set(key, { outcome, at: Date.now() });
    outcome.catch(() => {
      if (!isSent) this.#calls.delete(key);
    });
    return outcome;
  }
}
