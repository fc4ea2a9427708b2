import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Batch, createQueue, type Queue, type QueueItem, type QueueSettings } from './queue.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Sessions whose turns end when told. */
function desk(defaults: Partial<QueueSettings> = {}, canSteer = false) {
  const turns: Array<{ session: string; batch: Batch<QueueItem>; end(): void }> = [];
  const running = new Map<string, PromiseWithResolvers<void>>();
  const log: string[] = [];
  const queue: Queue<QueueItem> = createQueue({
    isBusy: (session) => running.has(session),
    idle: async (session) => running.get(session)?.promise,
    async steer(session, item) {
      log.push(`steer ${item.id}`);
      return canSteer && running.has(session);
    },
    interrupt(session) {
      log.push('interrupt');
      end(session);
    },
    begin(session, batch) {
      if (running.has(session)) throw new Error('two turns in one session');
      running.set(session, Promise.withResolvers());
      turns.push({ session, batch, end: () => end(session) });
    },
    dropped: (_session, item, reason) => log.push(`${reason} ${item.id}`),
  });
  function end(session: string): void {
    const turn = running.get(session);
    running.delete(session);
    turn?.resolve();
  }
  const settings: QueueSettings = { mode: 'collect', debounceMs: 1_000, cap: 20, drop: 'summarize', ...defaults };
  return {
    queue,
    turns,
    log,
    end: (session = 's') => end(session),
    say: (id: string, { session = 's', route = 'irc', ...own }: { session?: string; route?: string } & Partial<QueueSettings> = {}) =>
      queue.offer(session, { id, text: `text of ${id}`, route }, { ...settings, ...own }),
    /** What each turn answered. */
    answered: () => turns.map(({ batch }) => batch.items.map(({ id }) => id).join('+')),
  };
}

const quiet = () => vi.advanceTimersByTimeAsync(1_000);

describe('an idle session', () => {
  it('begins at once, without waiting for quiet', async () => {
    const { say, answered } = desk();
    await say('m1');
    expect(answered()).toEqual(['m1']);
  });

  it('leaves no trace when its turns are over', async () => {
    const { say, end, queue } = desk();
    await say('m1');
    await say('m2');
    expect(queue.counts()).toEqual({ sessions: 1, waiting: 1 });
    end();
    await quiet();
    end();
    await quiet();
    expect(queue.counts()).toEqual({ sessions: 0, waiting: 0 });
  });
});

describe('collect', () => {
  it('answers all that waited in one turn (QUEUE-021, QUEUE-028)', async () => {
    const { say, end, answered } = desk();
    for (const id of ['m1', 'm2', 'm3', 'm4']) await say(id);
    end();
    await quiet();
    expect(answered()).toEqual(['m1', 'm2+m3+m4']);
  });

  it('keeps routes apart, in order (QUEUE-022)', async () => {
    const { say, end, answered } = desk();
    await say('m1');
    await say('a1', { route: 'a' });
    await say('a2', { route: 'a' });
    await say('b1', { route: 'b' });
    await say('a3', { route: 'a' });
    for (let turn = 0; turn < 4; turn += 1) {
      end();
      await quiet();
    }
    expect(answered()).toEqual(['m1', 'a1+a2', 'b1', 'a3']);
  });

  it('is put off by each new message until it is quiet (QUEUE-033, QUEUE-041)', async () => {
    const { say, end, answered } = desk();
    await say('m1');
    await say('m2');
    end();
    for (const id of ['m3', 'm4', 'm5']) {
      await vi.advanceTimersByTimeAsync(500);
      await say(id);
    }
    await vi.advanceTimersByTimeAsync(999);
    expect(answered()).toEqual(['m1']);
    await vi.advanceTimersByTimeAsync(1);
    expect(answered()).toEqual(['m1', 'm2+m3+m4+m5']);
  });
});

describe('followup', () => {
  it('gives each its own turn (QUEUE-020)', async () => {
    const { say, end, answered } = desk({ mode: 'followup' });
    for (const id of ['m1', 'm2', 'm3']) await say(id);
    for (let turn = 0; turn < 3; turn += 1) {
      end();
      await quiet();
    }
    expect(answered()).toEqual(['m1', 'm2', 'm3']);
  });
});

describe('steer', () => {
  it.each(['steer', 'queue'] as const)('%s puts the message into the running turn and nothing more (QUEUE-017, QUEUE-026, QUEUE-028)', async (mode) => {
    const { say, end, answered, log } = desk({ mode }, true);
    await say('m1');
    await say('m2');
    end();
    await quiet();
    expect(log).toEqual(['steer m2']);
    expect(answered()).toEqual(['m1']);
  });

  it('waits for its own turn when the running one cannot take it (QUEUE-019, QUEUE-040)', async () => {
    const { say, end, answered } = desk({ mode: 'steer' });
    await say('m1');
    await say('m2');
    end();
    await vi.advanceTimersByTimeAsync(999);
    expect(answered()).toEqual(['m1']);
    await vi.advanceTimersByTimeAsync(1);
    expect(answered()).toEqual(['m1', 'm2']);
  });

  it('does not let a message get ahead of one that waits', async () => {
    const { say, end, answered, log } = desk({ mode: 'steer' }, true);
    await say('m1');
    await say('m2', { mode: 'followup' });
    await say('m3');
    end();
    await quiet();
    end();
    await quiet();
    expect(log).toEqual([]);
    expect(answered()).toEqual(['m1', 'm2', 'm3']);
  });

  it.each(['steer-backlog', 'steer+backlog'] as const)('%s does both (QUEUE-023, QUEUE-024, QUEUE-027)', async (mode) => {
    const { say, end, answered, log } = desk({ mode }, true);
    await say('m1');
    await say('m2');
    end();
    await quiet();
    expect(log).toEqual(['steer m2']);
    expect(answered()).toEqual(['m1', 'm2']);
  });
});

describe('interrupt', () => {
  it('ends the turn and runs the newest at once (QUEUE-025)', async () => {
    const { say, answered, log } = desk({ mode: 'interrupt' });
    await say('m1');
    await say('m2');
    await vi.advanceTimersByTimeAsync(0);
    expect(log).toEqual(['interrupt']);
    expect(answered()).toEqual(['m1', 'm2']);
  });

  it('forgets older ones that still waited', async () => {
    const { say, answered, log } = desk();
    await say('m1');
    await say('m2');
    await say('m3', { mode: 'interrupt' });
    await vi.advanceTimersByTimeAsync(0);
    expect(log).toEqual(['superseded m2', 'interrupt']);
    expect(answered()).toEqual(['m1', 'm3']);
  });
});

describe('a full queue', () => {
  const fill = async (own: Partial<QueueSettings>) => {
    const made = desk({ cap: 2, ...own });
    await made.say('m0');
    for (const id of ['m1', 'm2', 'm3', 'm4']) await made.say(id);
    made.end();
    await quiet();
    return made;
  };

  it.each(['collect', 'followup', 'steer-backlog', 'steer'] as const)('holds its cap in mode %s (QUEUE-037 to QUEUE-040)', async (mode) => {
    const { queue, say } = desk({ mode, cap: 2, drop: 'old' });
    for (const id of ['m0', 'm1', 'm2', 'm3', 'm4']) await say(id);
    expect(queue.waiting('s').map(({ id }) => id)).toEqual(['m3', 'm4']);
  });

  it('drops the oldest (QUEUE-043)', async () => {
    const { answered, log } = await fill({ drop: 'old' });
    expect(answered()).toEqual(['m0', 'm3+m4']);
    expect(log).toEqual(['full m1', 'full m2']);
  });

  it('drops the newest (QUEUE-044)', async () => {
    const { answered, log } = await fill({ drop: 'new' });
    expect(answered()).toEqual(['m0', 'm1+m2']);
    expect(log).toEqual(['full m3', 'full m4']);
  });

  it('tells in short what it dropped (QUEUE-045, QUEUE-046)', async () => {
    const { turns, log } = await fill({});
    expect(log).toEqual([]);
    expect(turns[1]?.batch.items.map(({ id }) => id)).toEqual(['m3', 'm4']);
    expect(turns[1]?.batch.dropped).toEqual(['m1', 'm2']);
    expect(turns[1]?.batch.summary).toBe('[2 earlier messages were dropped because the queue was full]\n- text of m1\n- text of m2');
  });

  it('keeps a summary short however much was dropped', async () => {
    const { turns, say, end } = desk({ cap: 1 });
    for (let n = 0; n < 5_000; n += 1) await say(`m${n}`);
    end();
    await quiet();
    expect(turns[1]?.batch.dropped).toHaveLength(4_998);
    expect(turns[1]?.batch.summary?.split('\n')).toHaveLength(42);
  });

  it('counts each session by itself (QUEUE-042)', async () => {
    const { say, queue } = desk({ cap: 1, drop: 'new' });
    for (const session of ['s', 't']) for (const id of ['m1', 'm2', 'm3']) await say(`${session}${id}`, { session });
    expect(queue.waiting('s')).toHaveLength(1);
    expect(queue.waiting('t')).toHaveLength(1);
  });
});

describe('sessions', () => {
  it('never wait for each other (QUEUE-002)', async () => {
    const { say, answered } = desk();
    await say('a1', { session: 'a' });
    await say('a2', { session: 'a' });
    await say('b1', { session: 'b' });
    expect(answered()).toEqual(['a1', 'b1']);
  });

  it('a waiting message can be taken out', async () => {
    const { say, end, queue, answered } = desk();
    for (const id of ['m1', 'm2', 'm3']) await say(id);
    expect(queue.remove('s', 'm2')).toBe(true);
    expect(queue.remove('s', 'm2')).toBe(false);
    end();
    await quiet();
    expect(answered()).toEqual(['m1', 'm3']);
  });
});
