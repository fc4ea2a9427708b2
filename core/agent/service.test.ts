import { describe, expect, it } from 'vitest';
import { createOfflineProvider } from '../../extensions/providers/offline/provider.ts';
import { type AgentEvent, type ContextEngine, messageText, type Tool } from '../../sdk/index.ts';
import { createAgentHost } from '../../test/agent-host.ts';

const hanging = (started: () => void): Tool => ({
  name: 'hang',
  description: 'never ends',
  parameters: { type: 'object' },
  execute: () => {
    started();
    return new Promise(() => undefined);
  },
});
const lifecycle = (events: readonly AgentEvent[], runId: string) =>
  events.filter((event) => event.stream === 'lifecycle' && event.runId === runId).map(({ data }) => data);
const until = async (check: () => boolean) => {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 2));
};

describe('accept', () => {
  it('opens the session under its canonical key and answers the same again for the same id', async () => {
    const host = await createAgentHost();
    const [first, second] = await Promise.all([
      host.agent.accept({ runId: 'r', message: '[[offline: say once]]', sessionKey: 'main' }),
      host.agent.accept({ runId: 'r', message: '[[offline: say twice]]', sessionKey: 'main' }),
    ]);
    expect(second).toEqual(first);
    expect(first).toMatchObject({ runId: 'r', sessionKey: 'agent:main:main', agentId: 'main' });
    await host.agent.wait('r', 5_000);
    expect(await host.agent.accept({ runId: 'r', message: 'late', sessionKey: 'main' })).toEqual(first);
    await host.idle();
    expect((await host.messages()).map(messageText)).toEqual(['[[offline: say once]]', 'once']);
    expect((await host.agent.accept({ runId: 'by-id', message: '[[offline: say x]]', sessionId: first.sessionId })).sessionKey).toBe('agent:main:main');
  });

  it('refuses what it does not know', async () => {
    const host = await createAgentHost({ config: { agents: { list: [{ id: 'Work', default: true }] } } });
    await expect(host.agent.accept({ runId: '1', message: 'x', agentId: 'nobody' })).rejects.toMatchObject({ code: 'DUR_AGENT_UNKNOWN' });
    await expect(host.agent.accept({ runId: '2', message: 'x', sessionKey: 'agent:nobody:main' })).rejects.toMatchObject({ code: 'DUR_AGENT_UNKNOWN' });
    expect(await host.sessions.get('agent:nobody:main')).toBeUndefined();
    await expect(host.agent.accept({ runId: '3', message: 'x', sessionId: 'none' })).rejects.toMatchObject({ code: 'DUR_SESSION_UNKNOWN' });
    await expect(host.agent.wait('4', 1)).rejects.toMatchObject({ code: 'DUR_RUN_UNKNOWN' });
    expect(await host.agent.accept({ runId: '5', message: '[[offline: say x]]' })).toMatchObject({ agentId: 'work', sessionKey: 'agent:work:main' });
    expect(host.agent.workspaceDir('work')).toBe(`${host.dir}/workspace`);
  });

  it('emits session_start once per session', async () => {
    const host = await createAgentHost();
    const seen: string[] = [];
    host.on('session_start', ({ sessionKey }) => void seen.push(sessionKey ?? ''));
    await host.run('[[offline: say a]]');
    await host.run('[[offline: say b]]');
    expect(seen).toEqual(['agent:main:main']);
  });
});

describe('runs', () => {
  it('of one session go one after the other, of several sessions side by side', async () => {
    const host = await createAgentHost({ providers: [createOfflineProvider({ latencyMs: 60 })] });
    const ids = await Promise.all(['a', 'a', 'b', 'c'].map((sessionKey, index) => host.start(`[[offline: say ${index}]]`, { sessionKey })));
    await Promise.all(ids.map((id) => host.agent.wait(id, 5_000)));
    const at = (id: string | undefined, phase: string) => host.events.findIndex((event) => event.runId === id && event.data.phase === phase);
    const [a1, a2, b, c] = ids;
    expect(at(a2, 'start')).toBeGreaterThan(at(a1, 'end'));
    for (const other of [b, c]) expect(at(other, 'start')).toBeLessThan(at(a1, 'end'));
  });

  it('of all sessions are bounded by agents.defaults.maxConcurrent (AMB-039, QUEUE-014)', async () => {
    let running = 0;
    let most = 0;
    const offline = createOfflineProvider({});
    const counting = {
      ...offline,
      async *stream(...args: Parameters<NonNullable<typeof offline.stream>>) {
        running += 1;
        most = Math.max(most, running);
        try {
          await new Promise((resolve) => setTimeout(resolve, 10));
          yield* offline.stream?.(...args) ?? [];
        } finally {
          running -= 1;
        }
      },
    };
    for (const [configured, expected] of [
      [undefined, 4],
      [2, 2],
    ] as const) {
      most = 0;
      const config = configured === undefined ? {} : { agents: { defaults: { maxConcurrent: configured } } };
      const host = await createAgentHost({ providers: [counting], config });
      const ids = await Promise.all(Array.from({ length: 9 }, (_none, index) => host.start('[[offline: say x]]', { sessionKey: `s${index}` })));
      await Promise.all(ids.map((id) => host.agent.wait(id, 5_000)));
      expect(most).toBe(expected);
    }
  });

  it('start fifty at once on a fresh workspace and all succeed', async () => {
    const host = await createAgentHost({ config: { agents: { defaults: { maxConcurrent: 50 } } } });
    const ids = await Promise.all(Array.from({ length: 50 }, (_none, index) => host.start(`[[offline: say ${index}]]`, { sessionKey: `s${index}` })));
    const results = await Promise.all(ids.map((id) => host.agent.wait(id, 20_000)));
    expect(results.map((result) => result?.payloads[0]?.text)).toEqual(ids.map((_id, index) => `${index}`));
    await host.idle();
    expect(host.leases()).toBe(0);
  });

  it('keep to the generation they began with', async () => {
    const host = await createAgentHost({ providers: [createOfflineProvider({ latencyMs: 40 })] });
    const id = await host.start('[[offline: say old]]');
    await until(() => host.leases() === 1);
    host.swap({ providers: [] });
    expect((await host.agent.wait(id, 5_000))?.payloads[0]?.text).toBe('old');
    await host.idle();
    expect((await host.run('[[offline: say new]]')).error?.code).toBe('DUR_MODEL_UNKNOWN');
  });

  it('go on under the next generation when the time of theirs is up, from what is on disk', async () => {
    const look = {
      name: 'look',
      description: 'looks',
      parameters: { type: 'object' },
      execute: async () => ({ content: [{ type: 'text' as const, text: 'seen' }] }),
    };
    const offline = createOfflineProvider({});
    let calls = 0;
    const stuck = {
      ...offline,
      async *stream(...args: Parameters<NonNullable<typeof offline.stream>>) {
        calls += 1;
        if (calls === 2) await new Promise(() => undefined);
        yield* offline.stream?.(...args) ?? [];
      },
    };
    const host = await createAgentHost({ tools: [look], providers: [stuck] });
    const id = await host.start('[[offline: tool look]] [[offline: say done]]');
    await until(() => calls === 2);
    host.swap({ providers: [offline] });
    host.expire();
    expect(await host.agent.wait(id, 5_000)).toMatchObject({ status: 'ok', payloads: [{ text: 'done' }], meta: { aborted: false } });
    await host.idle();
    expect((await host.messages()).map(({ role }) => role)).toEqual(['user', 'assistant', 'toolResult', 'assistant']);
    expect(lifecycle(host.events, id).map(({ phase }) => phase)).toEqual(['start', 'end']);
    expect(host.leases()).toBe(0);
  });

  it('leave their result for a while, longer where it is on disk, and a wait that ends early stops nothing', async () => {
    let time = 1_000_000;
    const host = await createAgentHost({ providers: [createOfflineProvider({ latencyMs: 30 })], now: () => time });
    const id = await host.start('[[offline: say x]]');
    expect(await host.agent.wait(id, 1)).toBeUndefined();
    expect((await host.agent.wait(id, 5_000))?.status).toBe('ok');
    time += 599_000;
    expect((await host.agent.wait(id, 0))?.status).toBe('ok');
    const booked = await host.start('[[offline: say y]]', { isBooked: true });
    expect((await host.agent.wait(booked, 5_000))?.status).toBe('ok');
    time += 602_000;
    expect(await host.agent.wait(id, 0)).toMatchObject({ status: 'ok', payloads: [{ text: 'x' }] });
    await expect(host.agent.wait(booked, 0)).rejects.toMatchObject({ code: 'DUR_RUN_UNKNOWN' });
  });

  it('do not suffer from a listener that throws', async () => {
    const host = await createAgentHost();
    host.agent.onEvent(() => {
      throw new Error('bad listener');
    });
    expect((await host.run('[[offline: say x]]')).status).toBe('ok');
  });
});

describe('abort', () => {
  it('takes a queued run out of its lane: it never starts, and its end is told', async () => {
    const host = await createAgentHost({ providers: [createOfflineProvider({ latencyMs: 50 })] });
    const first = await host.start('[[offline: say first]]');
    const second = await host.start('[[offline: say second]]');
    expect(host.agent.active('main').map(({ runId }) => runId)).toEqual([first, second]);
    expect(host.agent.abort({ sessionKey: 'main', runId: second, origin: 'rpc' })).toEqual({ aborted: true, runIds: [second] });
    expect(await host.agent.wait(second, 5_000)).toMatchObject({ status: 'ok', payloads: [], meta: { aborted: true, stopReason: 'rpc' } });
    expect(lifecycle(host.events, second)).toMatchObject([{ phase: 'end', aborted: true, stopReason: 'rpc' }]);
    expect((await host.agent.wait(first, 5_000))?.status).toBe('ok');
    await host.idle();
    expect((await host.messages()).map(messageText)).toEqual(['[[offline: say first]]', 'first']);
  });

  it('keeps what was streamed, marked, and gives the engine each entry', async () => {
    const host = await createAgentHost();
    const id = await host.start('[[offline: say half a sentence]] [[offline: stall]]');
    await until(() => host.events.some((event) => String(event.data.text ?? '').includes('sentence')));
    host.agent.abort({ sessionKey: 'main', origin: 'stop' });
    expect(await host.agent.wait(id, 5_000)).toMatchObject({
      status: 'ok',
      payloads: [{ text: 'half a sentence' }],
      meta: { aborted: true, stopReason: 'stop' },
    });
    await host.idle();
    expect((await host.messages()).at(-1)).toMatchObject({
      role: 'assistant',
      stopReason: 'aborted',
      content: [{ text: 'half a sentence' }],
      openclawAbort: { aborted: true, origin: 'stop', runId: id },
    });
    const session = await host.sessions.get('agent:main:main');
    expect(session).toMatchObject({ status: 'killed', abortedLastRun: true });
    expect(host.state.cursors.get('legacy', session?.sessionId ?? '')).toBe(2);
    expect(host.leases()).toBe(0);
    expect((await host.run('[[offline: say next]]')).payloads[0]?.text).toBe('next');
    expect(await host.sessions.get('agent:main:main')).toMatchObject({ status: 'done', abortedLastRun: false });
  });

  it('leaves a tool that ignores it, and no call without a result', async () => {
    let started = false;
    const host = await createAgentHost({ tools: [hanging(() => (started = true))] });
    const id = await host.start('[[offline: tool hang {"n":1}]] [[offline: also hang {"n":2}]] [[offline: say never]]');
    await until(() => started);
    host.agent.abort({ runId: id, origin: 'rpc' });
    expect(await host.agent.wait(id, 5_000)).toMatchObject({ meta: { aborted: true } });
    await host.idle();
    const messages = await host.messages();
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'toolResult', 'toolResult']);
    expect(messages.slice(2)).toMatchObject([{ isError: true }, { isError: true }]);
    expect(host.leases()).toBe(0);
  });

  it('reaches an engine that hangs', async () => {
    const signals: AbortSignal[] = [];
    const engine = {
      info: { id: 'stuck', name: 'Stuck' },
      ingest: async () => ({ ingested: true }),
      assemble: ({ signal }: { signal?: AbortSignal }) => {
        if (signal !== undefined) signals.push(signal);
        return new Promise<never>(() => undefined);
      },
      compact: async () => ({ ok: true, compacted: false }),
    };
    const host = await createAgentHost({ engine });
    const id = await host.start('x');
    await until(() => signals.length === 1);
    host.agent.abort({ runId: id, origin: 'rpc' });
    expect(await host.agent.wait(id, 5_000)).toMatchObject({ status: 'ok', meta: { aborted: true } });
    expect(signals[0]?.aborted).toBe(true);
    await host.idle();
    expect(host.leases()).toBe(0);
  });

  it('is an error when it is the deadline', async () => {
    const host = await createAgentHost();
    const result = await host.run('[[offline: stall]]', { timeoutSeconds: 0.05 });
    expect(result).toMatchObject({ status: 'error', error: { code: 'DUR_RUN_TIMEOUT' }, meta: { aborted: true, stopReason: 'timeout' } });
    expect(await host.sessions.get('agent:main:main')).toMatchObject({ status: 'timeout' });
  });

  it('of nothing aborts nothing', async () => {
    const host = await createAgentHost();
    expect(host.agent.abort({ origin: 'rpc' })).toEqual({ aborted: false, runIds: [] });
    expect(host.agent.abort({ runId: 'none', origin: 'rpc' })).toEqual({ aborted: false, runIds: [] });
  });
});

describe('a provider that fails', () => {
  it.each([
    ['[[offline: throw no route]]', 'DUR_PROVIDER_FAILED'],
    ['[[offline: fail rate_limit]]', 'DUR_PROVIDER_FAILED'],
    ['[[offline: drop]]', 'DUR_PROVIDER_STREAM'],
    ['[[offline: stall]]', 'DUR_PROVIDER_STALLED'],
  ])('%s ends the run with %s, in the transcript and in the events', async (message, code) => {
    const host = await createAgentHost({ limits: { stall: 40 } });
    const result = await host.run(message);
    expect(result).toMatchObject({ status: 'error', error: { code }, payloads: [{ isError: true, text: result.error?.message }] });
    expect((await host.messages()).at(-1)).toMatchObject({ role: 'assistant', stopReason: 'error', errorMessage: result.error?.message });
    expect(lifecycle(host.events, result.runId).at(-1)).toMatchObject({ phase: 'error', error: result.error?.message });
    expect(host.leases()).toBe(0);
    // the failed reply is no part of the next request
    expect((await host.run('[[offline: say better]]')).payloads[0]?.text).toBe('better');
  });
});

describe('drain', () => {
  it('refuses new runs and waits for the running ones', async () => {
    const host = await createAgentHost({ providers: [createOfflineProvider({ latencyMs: 40 })] });
    const id = await host.start('[[offline: say last]]');
    const drained = host.agent.drain(5_000);
    await expect(host.start('late')).rejects.toMatchObject({ code: 'DUR_HOST_STOPPED' });
    await drained;
    expect((await host.agent.wait(id, 0))?.payloads[0]?.text).toBe('last');
    expect(host.leases()).toBe(0);
  });

  it('aborts what does not end in time, an end of turn included', async () => {
    let inAfterTurn = false;
    const engine: ContextEngine = {
      info: { id: 'slow', name: 'Slow' },
      ingest: async () => ({ ingested: true }),
      assemble: async ({ messages }) => ({ messages, estimatedTokens: 1 }),
      compact: async () => ({ ok: true, compacted: false }),
      afterTurn: () => {
        inAfterTurn = true;
        return new Promise<never>(() => undefined);
      },
    };
    const host = await createAgentHost({ engine });
    const running = await host.start('[[offline: stall]]');
    await host.start('[[offline: say x]]', { sessionKey: 'other' });
    await until(() => inAfterTurn);
    await host.agent.drain(10);
    expect(await host.agent.wait(running, 0)).toMatchObject({
      status: 'error',
      error: { code: 'DUR_HOST_STOPPED' },
      meta: { aborted: true, stopReason: 'shutdown' },
    });
    expect(host.leases()).toBe(0);
  });
});
