import { describe, expect, it, vi } from 'vitest';
import { createHealth } from './health.ts';

function health() {
  let count = 0;
  let failure: Error | undefined;
  const refreshed = vi.fn();
  const channels: Array<{ key: string; value: object }> = [];
  const source = { current: () => ({ config: {}, plan: { slots: { sessionStore: { key: 'local' } } }, loaded: () => channels }) };
  const sessions = {
    canonicalKey: () => 'agent:main:main',
    list: async () => {
      if (failure !== undefined) throw failure;
      return { sessions: [], total: count };
    },
  };
  return {
    refreshed,
    channels,
    set: (next: number) => (count = next),
    fail: (error: Error) => (failure = error),
    health: createHealth({ source, sessions, agent: { queue: { state: () => QUEUE } } } as never, refreshed),
  };
}

const QUEUE = {
  lanes: [{ lane: 'main', running: 4, waiting: 2, oldestWaitMs: 9_000 }],
  sessions: { busy: 6, waiting: 0 },
  queued: 3,
  backlog: 0,
  inbox: { waiting: 5, started: 4, dead: 1 },
  outbox: { pending: 2, sending: 0, dead: 0 },
};

describe('health', () => {
  it('answers the last measure at once and takes a newer one behind it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { health: subject, set, refreshed } = health();
    expect((await subject.get()).sessions.count).toBe(0);
    set(3);
    expect((await subject.get()).sessions.count).toBe(0);
    expect(refreshed).toHaveBeenCalledTimes(1);
    vi.setSystemTime(Date.now() + 2000);
    expect((await subject.get()).sessions.count).toBe(0);
    await vi.waitFor(() => expect(subject.cached()?.sessions.count).toBe(3));
    set(4);
    expect((await subject.get({ probe: true })).sessions.count).toBe(4);
    vi.setSystemTime(Date.now() + 60_000);
    set(5);
    expect((await subject.get()).sessions.count).toBe(5);
    expect(subject.version).toBe(4);
    vi.useRealTimers();
  });

  it('knows a channel that has just been loaded at once', async () => {
    const { health: subject, channels } = health();
    expect((await subject.get()).channelOrder).toEqual([]);
    channels.push({ key: 'irc', value: { meta: { label: 'IRC' } } });
    expect((await subject.get()).channelOrder).toEqual(['irc']);
  });

  it('is not ok while the session store fails, and says why; what waits is told all the same', async () => {
    const { health: subject, fail } = health();
    fail(new Error('the store is gone'));
    expect(await subject.get()).toMatchObject({ ok: false, error: 'the store is gone', queue: QUEUE });
  });
});
