export interface Deadline {
  /** milliseconds */
  ms: number;
  /** Ends the wait early, with its reason. */
  signal?: AbortSignal | undefined;
  expired: () => Error;
}

/**
 * Waits for `work` until it settles, its time is up or `signal` is aborted, whichever is first. `work` gets a signal that is aborted in the
 * last two cases; what it does after that is ignored, so a call that hangs cannot hold a run.
 */
export function withDeadline<T>(deadline: Deadline, work: (signal: AbortSignal) => PromiseLike<T> | T): Promise<T> {
  const { ms, signal } = deadline;
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const stop = (reason: unknown): void => {
      end();
      controller.abort(reason);
      reject(reason);
    };
    const onAbort = (): void => stop(signal?.reason);
    const timer = setTimeout(() => stop(deadline.expired()), ms);
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    if (signal?.aborted) {
      onAbort();
      return;
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    const settle =
      <V>(settled: (value: V) => void) =>
      (value: V): void => {
        end();
        settled(value);
      };
    try {
      Promise.resolve(work(controller.signal)).then(settle(resolve), settle(reject));
    } catch (error) {
      settle(reject)(error);
    }
  });
}
