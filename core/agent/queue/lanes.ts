/** First-in-first-out lanes, each with a limit of its own; an empty lane costs nothing. */
export interface Lanes {
  /** Runs `task` when the lane has room. Aborting `signal` takes it out of the queue and rejects with the signal's reason; a running task is not touched. */
  run<T>(lane: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  counts(): { running: number; waiting: number };
  /** Of one lane. */
  depth(lane: string): { running: number; waiting: number };
  /** Lanes with something in them; a longest wait in milliseconds where somebody waits. */
  list(): LaneState[];
}

export interface LaneState {
  lane: string;
  running: number;
  waiting: number;
  oldestWaitMs?: number;
}

interface Lane {
  running: number;
  /** Those that wait, first come first, and since when. */
  waiting: Map<() => void, number>;
}

/** `limitOf` is asked whenever a place may be free, so that a changed limit holds from the next start on. */
export function createLanes(limitOf: (lane: string) => number, now: () => number = Date.now): Lanes {
  const lanes = new Map<string, Lane>();

  function enter(name: string, lane: Lane, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (lane.waiting.size === 0 && lane.running < limitOf(name)) {
      lane.running += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const start = (): void => {
        signal?.removeEventListener('abort', give);
        resolve();
      };
      const give = (): void => {
        lane.waiting.delete(start);
        drop(name, lane);
        reject(signal?.reason);
      };
      lane.waiting.set(start, now());
      signal?.addEventListener('abort', give, { once: true });
    });
  }

  function leave(name: string, lane: Lane): void {
    lane.running -= 1;
    for (const start of lane.waiting.keys()) {
      if (lane.running >= limitOf(name)) break;
      lane.waiting.delete(start);
      lane.running += 1;
      start();
    }
    drop(name, lane);
  }

  function drop(name: string, lane: Lane): void {
    if (lane.running === 0 && lane.waiting.size === 0) lanes.delete(name);
  }

  return {
    async run(name, task, signal) {
      let lane = lanes.get(name);
      if (lane === undefined) {
        lane = { running: 0, waiting: new Map() };
        lanes.set(name, lane);
      }
      await enter(name, lane, signal);
      try {
        return await task();
      } finally {
        leave(name, lane);
      }
    },
    counts() {
      let running = 0;
      let waiting = 0;
      for (const lane of lanes.values()) {
        running += lane.running;
        waiting += lane.waiting.size;
      }
      return { running, waiting };
    },
    depth(name) {
      const lane = lanes.get(name);
      return { running: lane?.running ?? 0, waiting: lane?.waiting.size ?? 0 };
    },
    list() {
      const time = now();
      return Array.from(lanes, ([lane, { running, waiting }]) => {
        const [oldest] = waiting.values();
        return { lane, running, waiting: waiting.size, ...(oldest === undefined ? {} : { oldestWaitMs: Math.max(0, time - oldest) }) };
      });
    },
  };
}
