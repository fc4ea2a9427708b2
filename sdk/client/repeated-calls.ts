import { createHash } from 'node:crypto';

const TTL_MS = 300_000;
const MAX_CALLS = 1000;
/** Characters of all remembered outcomes together. */
const MAX_CHARS = 64 * 1024 * 1024;

interface Call<Result> {
  outcome: Promise<Result>;
  /** epoch ms */
  at: number;
  chars: number;
}

/**
 * Calls by their key: a repeat gets the promise of the first. What failed before it had any effect may be tried again. Outcomes are
 * remembered for five minutes, the oldest given up first when there are many or large ones.
 */
export class RepeatedCalls<Result> {
  readonly #calls = new Map<string, Call<Result>>();
  #chars = 0;

  /** `run` calls `sent` when it begins to have an effect. */
  once(key: string, run: (sent: () => void) => Promise<Result>): Promise<Result> {
    this.#forgetOld();
    const id = createHash('sha256').update(key).digest('base64');
    const first = this.#calls.get(id);
    if (first !== undefined) return first.outcome;
    let isSent = false;
    const outcome = run(() => {
      isSent = true;
    });
    const call: Call<Result> = { outcome, at: Date.now(), chars: 0 };
    this.#calls.set(id, call);
    outcome.then(
      (result) => {
        if (this.#calls.get(id) !== call) return;
        call.chars = JSON.stringify(result)?.length ?? 0;
        this.#chars += call.chars;
      },
      () => {
        if (!isSent) this.#forget(id, call);
      },
    );
    return outcome;
  }

  #forgetOld(): void {
    const oldest = Date.now() - TTL_MS;
    for (const [id, call] of this.#calls) {
      if (call.at >= oldest && this.#calls.size < MAX_CALLS && this.#chars <= MAX_CHARS) break;
      this.#forget(id, call);
    }
  }

  #forget(id: string, call: Call<Result>): void {
    if (this.#calls.get(id) !== call) return;
    this.#calls.delete(id);
    this.#chars -= call.chars;
  }
}
