import { errorText } from '../../../sdk/index.ts';
import type { Logger } from '../../logging/logger.ts';
import { createLanes } from '../queue/lanes.ts';

/** Work beside the turns: one job at a time for a session, bounded, nobody waits for it. */
export interface ShadowQueue {
  /** false: too much waits already, and the job is not taken. */
  add(sessionId: string, job: (signal: AbortSignal) => Promise<void>): boolean;
  /** Ends what runs or waits for a session; resolves when it has ended. */
  end(sessionId: string): Promise<void>;
  /** Waits for everything up to `ms`, then ends it. */
  drain(ms: number): Promise<void>;
}

/** Jobs of a session, and of all, that may wait. */
const MOST_WAITING = { session: 16, all: 256 };
/** Sessions served at once: comparing is not worth the whole machine. */
const AT_ONCE = 4;
const ALL = 'all';

export function createShadowQueue({ log }: { log: Logger }): ShadowQueue {
  const lanes = createLanes((lane) => (lane === ALL ? AT_ONCE : 1));
  const sessions = new Map<string, { controller: AbortController; tasks: Set<Promise<void>> }>();
  let waiting = 0;

  function add(sessionId: string, job: (signal: AbortSignal) => Promise<void>): boolean {
    const own = sessions.get(sessionId) ?? { controller: new AbortController(), tasks: new Set() };
    if (own.tasks.size >= MOST_WAITING.session || waiting >= MOST_WAITING.all) return false;
    sessions.set(sessionId, own);
    const { signal } = own.controller;
    waiting += 1;
    const task = lanes
      .run(`session:${sessionId}`, () => lanes.run(ALL, () => job(signal), signal), signal)
      .catch((error: unknown) => {
        if (!signal.aborted) log.error(`the shadow engine's turn could not be compared: ${errorText(error)}`, { sessionId });
      })
      .finally(() => {
        waiting -= 1;
        own.tasks.delete(task);
        if (own.tasks.size === 0 && sessions.get(sessionId) === own) sessions.delete(sessionId);
      });
    own.tasks.add(task);
    return true;
  }

  async function end(sessionId: string): Promise<void> {
    const own = sessions.get(sessionId);
    if (own === undefined) return;
    own.controller.abort();
    await Promise.all(own.tasks);
  }

  const all = () => Promise.all([...sessions.values()].flatMap(({ tasks }) => [...tasks]));

  return {
    add,
    end,
    async drain(ms) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms);
      });
      await Promise.race([all(), late]);
      clearTimeout(timer);
      await Promise.all([...sessions.keys()].map(end));
    },
  };
}
