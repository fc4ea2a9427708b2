import { type DurarError, errorText } from '../../sdk/index.ts';

/** How long one disposer may take before it is given up, milliseconds. */
const DISPOSE_TIMEOUT_MS = 5_000;

/** One extension's lifetime. Everything that must end with it is deferred here. */
export interface Scope {
  readonly signal: AbortSignal;
  /** Runs at disposal, last added first. After disposal it runs at once. */
  defer(dispose: () => unknown): void;
  /** Aborts the signal and runs every disposer once. Never rejects: returns what went wrong. */
  dispose(): Promise<unknown[]>;
}

export function createScope(): Scope {
  const controller = new AbortController();
  const disposers: Array<() => unknown> = [];
  let disposal: Promise<unknown[]> | undefined;

  async function run(): Promise<unknown[]> {
    controller.abort();
    const problems: unknown[] = [];
    for (let dispose = disposers.pop(); dispose !== undefined; dispose = disposers.pop()) {
      try {
        await within(DISPOSE_TIMEOUT_MS, dispose, () => new Error(`a disposer did not end within ${DISPOSE_TIMEOUT_MS} ms`));
      } catch (error) {
        problems.push(error);
      }
    }
    return problems;
  }

  return {
    signal: controller.signal,
    defer(dispose) {
      if (disposal === undefined) disposers.push(dispose);
      else disposal = disposal.then(async (problems) => [...problems, ...(await settle(dispose))]);
    },
    dispose() {
      disposal ??= run();
      return disposal;
    },
  };
}

/** Runs `task` and rejects with `late()` when it has not settled in time. The task itself goes on; give it a signal where that matters. */
export function within<T>(ms: number, task: () => T | PromiseLike<T>, late: () => DurarError | Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), ms);
    const end =
      <V>(settled: (value: V) => void) =>
      (value: V) => {
        clearTimeout(timer);
        settled(value);
      };
    try {
      Promise.resolve(task()).then(end(resolve), end(reject));
    } catch (error) {
      end(reject)(error);
    }
  });
}

async function settle(dispose: () => unknown): Promise<unknown[]> {
  try {
    await dispose();
    return [];
  } catch (error) {
    return [error];
  }
}

/** One line for what a disposal left behind. */
export function describeProblems(problems: readonly unknown[]): string {
  return problems.map(errorText).join('; ');
}
