import { describe, expect, it } from 'vitest';
import { createOfflineProvider } from '../../../extensions/providers/offline/provider.ts';
import { adaptEngine } from '../../../sdk/ancestor/engine.ts';
import {
  type AgentMessage,
  type ContextEngine,
  delegateCompactionToRuntime,
  durarError,
  type IngestParams,
  messageText,
  type ProviderRequest,
} from '../../../sdk/index.ts';
import { createAgentHost, type HostParts } from '../../../test/agent-host.ts';

type Call = { method: string; params: Record<string, unknown> };

/** An engine that passes messages on and remembers every call. */
function recording(calls: Call[], more: Partial<ContextEngine> = {}, info: Partial<ContextEngine['info']> = {}): ContextEngine {
  const engine: ContextEngine = {
    info: { id: 'recorder', name: 'Recorder', ...info },
    ingest: async () => ({ ingested: true }),
    assemble: async ({ messages }) => ({ messages, estimatedTokens: 10 }),
    compact: async () => ({ ok: true, compacted: false, reason: 'not my work' }),
    ...more,
  };
  for (const method of ['ingest', 'assemble', 'compact', 'bootstrap', 'ingestBatch', 'afterTurn', 'prepareSubagentSpawn'] as const) {
    const own = engine[method] as ((params: unknown) => unknown) | undefined;
    if (own === undefined) continue;
    Object.assign(engine, {
      [method]: (params: Record<string, unknown>) => {
        const { signal, runtimeContext, ...plain } = params;
        calls.push({ method, params: { ...structuredClone(plain), hasSignal: signal instanceof AbortSignal, hasRuntime: runtimeContext !== undefined } });
        return own.call(engine, params);
      },
    });
  }
  return engine;
}

const messagesOf = (params: Record<string, unknown> | undefined) => (params?.messages ?? []) as AgentMessage[];
const named = (calls: readonly Call[], method: string) => calls.filter((call) => call.method === method).map((call) => call.params);
const order = (calls: readonly Call[]) => calls.map((call) => call.method);
const ingested = (calls: readonly Call[]) => named(calls, 'ingest').map((params) => [params.seq, messageText(params.message as AgentMessage), params.replay]);
const look = {
  name: 'look',
  description: 'looks',
  parameters: { type: 'object' },
  execute: async () => ({ content: [{ type: 'text' as const, text: 'seen' }] }),
};

function watchedProvider(requests: ProviderRequest[]) {
  const offline = createOfflineProvider({});
  const stream = offline.stream?.bind(offline);
  return {
    ...offline,
    stream(request: ProviderRequest, options: { signal: AbortSignal }) {
      requests.push(structuredClone(request));
      return stream?.(request, options) ?? (async function* none() {})();
    },
  };
}

describe('the engine sees each point of a turn', () => {
  it('in order: ingest as each entry is written, assemble before each model run, afterTurn last (ENGINE-019, ENGINE-021, ENGINE-025, ENGINE-068)', async () => {
    const calls: Call[] = [];
    const host = await createAgentHost({ engine: recording(calls, { afterTurn: async () => undefined }), tools: [look] });
    const result = await host.run('[[offline: tool look]] [[offline: say done]]');
    expect(result.meta.contextEngine).toBe('recorder');
    expect(order(calls)).toEqual(['ingest', 'assemble', 'ingest', 'ingest', 'assemble', 'ingest', 'afterTurn']);
    expect(ingested(calls)).toEqual([
      [1, '[[offline: tool look]] [[offline: say done]]', undefined],
      [2, '', undefined],
      [3, 'seen', undefined],
      [4, 'done', undefined],
    ]);
    const { sessionId, sessionKey } = result;
    expect(named(calls, 'ingest')[0]).toMatchObject({ sessionId, sessionKey, entryId: expect.stringMatching(/^[0-9a-f]{8}$/), hasSignal: true });
  });

  it('gives assemble the history, a positive budget, the model and the prompt (ENGINE-022, ENGINE-050)', async () => {
    const calls: Call[] = [];
    const host = await createAgentHost({ engine: recording(calls) });
    await host.run('[[offline: say one]]');
    await host.run('[[offline: say two]]');
    const [first, second] = named(calls, 'assemble');
    expect(messagesOf(first).map(messageText)).toEqual(['[[offline: say one]]']);
    expect(messagesOf(second).map(messageText)).toEqual(['[[offline: say one]]', 'one', '[[offline: say two]]']);
    expect(second).toMatchObject({ model: 'offline/script', prompt: '[[offline: say two]]', hasSignal: true });
    expect(second?.entryIds).toEqual(
      named(calls, 'ingest')
        .slice(0, 3)
        .map(({ entryId }) => entryId),
    );
    expect(first?.tokenBudget).toBeGreaterThan(0);
    expect(first?.tokenBudget).toBeLessThan(200_000 - 20_000);
  });

  it('keeps the budget positive when prompt and tools are larger than the window (ENGINE-022)', async () => {
    const calls: Call[] = [];
    const host = await createAgentHost({ engine: recording(calls), config: { agents: { defaults: { contextTokens: 100 } } } });
    await host.run('[[offline: say one]]');
    expect(named(calls, 'assemble')[0]?.tokenBudget).toBe(12);
  });

  it('sends the model what assemble returned, with the addition before everything else, for this run only (ENGINE-001, ENGINE-002, ENGINE-031, ENGINE-032, ENGINE-033, ENGINE-059)', async () => {
    const requests: ProviderRequest[] = [];
    const marker: AgentMessage = { role: 'user', content: '[[offline: say from the engine]]', timestamp: 1 };
    let addition: string | undefined = 'ENGINE SAYS FIRST';
    const engine = recording([], {
      assemble: async () => ({ messages: [marker], estimatedTokens: 5, ...(addition === undefined ? {} : { systemPromptAddition: addition }) }),
    });
    const host = await createAgentHost({ engine, providers: [watchedProvider(requests)] });
    const result = await host.run('dropped by the engine');
    expect(result.payloads[0]?.text).toBe('from the engine');
    expect(requests[0]?.messages).toEqual([marker]);
    expect(requests[0]?.systemPrompt?.startsWith('ENGINE SAYS FIRST\n\n')).toBe(true);
    addition = undefined;
    await host.run('again');
    expect(requests[1]?.systemPrompt).not.toContain('ENGINE SAYS FIRST');
    expect(result.meta.context?.estimatedTokens).toBe(5);
  });

  it('passes isHeartbeat on (ENGINE-048)', async () => {
    const calls: Call[] = [];
    const host = await createAgentHost({ engine: recording(calls) });
    await host.run('[[offline: say ok]]', { trigger: 'heartbeat' });
    expect(named(calls, 'ingest').map((params) => params.isHeartbeat)).toEqual([true, true]);
  });

  it('gives afterTurn the whole history, after the reply is out, and its slowness holds nobody (ENGINE-026, ENGINE-068)', async () => {
    const calls: Call[] = [];
    let open: (() => void) | undefined;
    const slow = new Promise<void>((resolve) => {
      open = resolve;
    });
    const host = await createAgentHost({ engine: recording(calls, { afterTurn: () => slow }) });
    const first = await host.agent.wait(await host.start('[[offline: say quick]]'), 5_000);
    expect(first?.payloads[0]?.text).toBe('quick');
    expect(host.events.at(-1)).toMatchObject({ stream: 'lifecycle', data: { phase: 'end' } });
    const other = await host.agent.wait(await host.start('[[offline: say other]]', { sessionKey: 'other' }), 5_000);
    expect(other?.status).toBe('ok');
    const second = await host.start('[[offline: say second]]');
    expect(await host.agent.wait(second, 50)).toBeUndefined();
    open?.();
    expect((await host.agent.wait(second, 5_000))?.payloads[0]?.text).toBe('second');
    await host.idle();
    const facts = named(calls, 'afterTurn').filter((params) => params.sessionKey === 'agent:main:main');
    expect(facts.map((params) => [(params.messages as AgentMessage[]).length, params.prePromptMessageCount])).toEqual([
      [2, 0],
      [4, 2],
    ]);
    expect(facts[0]).toMatchObject({ sessionFile: expect.stringContaining('.jsonl'), tokenBudget: expect.any(Number) });
  });

  it('calls no member that is not invoked yet (ENGINE-029, ENGINE-069, ENGINE-074)', async () => {
    const calls: Call[] = [];
    const host = await createAgentHost({ engine: recording(calls, { prepareSubagentSpawn: () => Promise.reject(new Error('never')) }) });
    expect((await host.run('[[offline: say x]]')).status).toBe('ok');
    expect(order(calls)).not.toContain('prepareSubagentSpawn');
  });
});

describe('delivery', () => {
  it('gives an engine with ingestBatch the turn at its end, and ingest nothing (ENGINE-066, ENGINE-067)', async () => {
    const calls: Call[] = [];
    const engine = recording(calls, { ingestBatch: async ({ messages }) => ({ ingestedCount: messages.length }), afterTurn: async () => undefined });
    const host = await createAgentHost({ engine, tools: [look] });
    await host.run('[[offline: tool look]] [[offline: say done]]');
    expect(order(calls)).toEqual(['assemble', 'assemble', 'ingestBatch', 'afterTurn']);
    const batch = named(calls, 'ingestBatch')[0];
    expect(messagesOf(batch).map(({ role }) => role)).toEqual(['user', 'assistant', 'toolResult', 'assistant']);
    expect(batch?.entries).toMatchObject([{ seq: 1 }, { seq: 2 }, { seq: 3 }, { seq: 4 }]);
    expect(batch).not.toHaveProperty('replay');
  });

  it.each([
    ['afterTurn alone', { afterTurn: async () => undefined, ingestBatch: async () => ({ ingestedCount: 0 }) }, ['assemble', 'afterTurn']],
    ['else ingestBatch', { ingestBatch: async () => ({ ingestedCount: 2 }) }, ['assemble', 'ingestBatch']],
    ['else ingest', {}, ['assemble', 'ingest', 'ingest']],
  ])("follows the ancestor's rule for its plugins: %s (ENGINE-066)", async (_name, members, expected) => {
    const calls: Call[] = [];
    const host = await createAgentHost({ engine: adaptEngine(recording(calls, members), 'recorder') });
    await host.run('[[offline: say x]]');
    expect(order(calls)).toEqual(expected);
  });

  it('calls bootstrap once per session and process, before anything else, and not again for later runs (ENGINE-064, ENGINE-065)', async () => {
    const calls: Call[] = [];
    const engine = recording(calls, { bootstrap: async () => ({ bootstrapped: true }) });
    const host = await createAgentHost({ engine });
    for (const text of ['a', 'b', 'c']) await host.run(`[[offline: say ${text}]]`);
    expect(order(calls).filter((method) => method === 'bootstrap')).toHaveLength(1);
    expect(order(calls)[0]).toBe('bootstrap');
    const again = await host.restart();
    await again.run('[[offline: say d]]');
    const second = named(calls, 'bootstrap')[1];
    expect(messagesOf(second).length).toBe(6);
    expect(ingested(calls).map(([seq]) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('replays what a new engine without bootstrap has not seen, flagged, once (ENGINE-099, ENGINE-100)', async () => {
    const host = await createAgentHost();
    await host.run('[[offline: say one]]');
    const calls: Call[] = [];
    host.swap({ engine: recording(calls) });
    await host.run('[[offline: say two]]');
    expect(ingested(calls)).toEqual([
      [1, '[[offline: say one]]', true],
      [2, 'one', true],
      [3, '[[offline: say two]]', undefined],
      [4, 'two', undefined],
    ]);
    host.swap({ engine: recording(calls, { bootstrap: async () => ({ bootstrapped: true }) }, { id: 'importer' }) });
    calls.length = 0;
    await host.run('[[offline: say three]]');
    expect(order(calls)[0]).toBe('bootstrap');
    expect(ingested(calls).map(([seq, , replay]) => [seq, replay])).toEqual([
      [5, undefined],
      [6, undefined],
    ]);
  });

  it('ingests each entry exactly once across a crash: what was not acknowledged comes again, flagged (ENGINE-019, ENGINE-020)', async () => {
    const calls: Call[] = [];
    const host = await createAgentHost({ engine: recording(calls) });
    await host.run('[[offline: say one]]');
    const session = await host.sessions.get('agent:main:main');
    if (session === undefined) throw new Error('no session');
    // a process that died between the write and the engine's answer
    await host.sessions.append(session, [{ type: 'message', message: { role: 'user', content: 'written, never delivered', timestamp: 1 } }]);
    calls.length = 0;
    const again = await host.restart();
    await again.run('[[offline: say two]]');
    await again.run('[[offline: say three]]');
    expect(ingested(calls)).toEqual([
      [3, 'written, never delivered', true],
      [4, '[[offline: say two]]', undefined],
      [5, 'two', undefined],
      [6, '[[offline: say three]]', undefined],
      [7, 'three', undefined],
    ]);
    expect(again.state.cursors.get('recorder', session.sessionId)).toBe(7);
  });

  it('delivers again, flagged and in order, what ingest failed on (ENGINE-101)', async () => {
    const calls: Call[] = [];
    let broken = true;
    const engine = recording(calls, {
      async ingest({ message }: IngestParams) {
        if (broken && message.role === 'assistant') throw new Error('index is locked');
        return { ingested: true };
      },
    });
    const host = await createAgentHost({ engine });
    const result = await host.run('[[offline: say one]]');
    // the reply was there already: its result stands and carries the failure
    expect(result).toMatchObject({ status: 'ok', payloads: [{ text: 'one' }] });
    expect(result.meta.problems).toMatchObject([{ code: 'DUR_ENGINE_FAILED', message: expect.stringContaining("'recorder'") }]);
    broken = false;
    calls.length = 0;
    await host.run('[[offline: say two]]');
    expect(ingested(calls)).toEqual([
      [2, 'one', true],
      [3, '[[offline: say two]]', undefined],
      [4, 'two', undefined],
    ]);
  });

  it('keeps the sessions of one engine apart and at most one call per session', async () => {
    const busy = new Map<string, number>();
    let most = 0;
    const enter = async (sessionId: string) => {
      busy.set(sessionId, (busy.get(sessionId) ?? 0) + 1);
      most = Math.max(most, busy.get(sessionId) ?? 0);
      await new Promise((resolve) => setTimeout(resolve, 1));
      busy.set(sessionId, (busy.get(sessionId) ?? 0) - 1);
    };
    const engine = recording([], {
      async ingest({ sessionId }) {
        await enter(sessionId);
        return { ingested: true };
      },
      async assemble({ sessionId, messages }) {
        await enter(sessionId);
        return { messages, estimatedTokens: 1 };
      },
      afterTurn: ({ sessionId }) => enter(sessionId),
    });
    const host = await createAgentHost({ engine });
    const ids = await Promise.all(Array.from({ length: 12 }, (_none, index) => host.start(`[[offline: say ${index}]]`, { sessionKey: `s${index % 3}` })));
    const results = await Promise.all(ids.map((id) => host.agent.wait(id, 10_000)));
    expect(results.every((result) => result?.status === 'ok')).toBe(true);
    expect(most).toBe(1);
  });
});

describe('an engine that fails', () => {
  const failing = (assemble: ContextEngine['assemble']): HostParts => ({
    engine: recording([], { assemble }),
    limits: { engine: { assemble: 40, bootstrap: 40, ingest: 40 } },
  });

  it.each([
    ['throws', () => Promise.reject(new Error('no index')), 'DUR_ENGINE_FAILED', 'no index'],
    [
      'throws at once',
      () => {
        throw new TypeError('undefined is no function');
      },
      'DUR_ENGINE_FAILED',
      'no function',
    ],
    ['hangs', () => new Promise<never>(() => undefined), 'DUR_ENGINE_TIMEOUT', '40 ms'],
    ['returns nothing', async () => undefined as never, 'DUR_ENGINE_RESULT', 'undefined'],
    ['returns no messages', async () => ({ estimatedTokens: 1 }) as never, 'DUR_ENGINE_RESULT', "'messages'"],
    [
      'returns a foreign message',
      async () => ({ messages: [{ role: 'system', content: 'x' }], estimatedTokens: 1 }) as never,
      'DUR_ENGINE_RESULT',
      "'messages[0]'",
    ],
    ['leaves the estimate out', async () => ({ messages: [] }) as never, 'DUR_ENGINE_RESULT', "'estimatedTokens'"],
    ['returns NaN as the estimate', async () => ({ messages: [], estimatedTokens: Number.NaN }), 'DUR_ENGINE_RESULT', "'estimatedTokens'"],
    [
      'returns an addition that is no text',
      async () => ({ messages: [], estimatedTokens: 1, systemPromptAddition: 7 }) as never,
      'DUR_ENGINE_RESULT',
      "'systemPromptAddition'",
    ],
    [
      'returns more than the budget',
      async ({ tokenBudget }) => ({ messages: [{ role: 'user', content: 'x'.repeat(tokenBudget * 8), timestamp: 1 }], estimatedTokens: 3 }),
      'DUR_ENGINE_BUDGET',
      'budget of',
    ],
  ] as Array<[string, ContextEngine['assemble'], string, string]>)(
    'in assemble: %s (ENGINE-060, ENGINE-063, ENGINE-101, ENGINE-102)',
    async (_name, assemble, code, text) => {
      const host = await createAgentHost(failing(assemble));
      const result = await host.run('[[offline: say never]]');
      expect(result).toMatchObject({ status: 'error', error: { code, owner: { extension: 'engine-extension', hook: 'context.assemble' } } });
      expect(result.error?.message).toContain(text);
      expect(result.error?.message).toContain("'recorder'");
      expect(result.error?.hint).not.toBe('');
      expect(host.logged.filter(({ level }) => level === 'error').map(({ message }) => message)).toContain(result.error?.message);
      // the user's words are kept, the lease is back, and a better engine heals the session
      expect((await host.messages()).map(messageText)).toEqual(['[[offline: say never]]']);
      expect(host.leases()).toBe(0);
      host.swap({ engine: recording([]) });
      expect((await host.run('[[offline: say healed]]')).payloads[0]?.text).toBe('healed');
    },
  );

  it.each([
    ['bootstrap', { bootstrap: () => Promise.reject(new Error('import failed')) }],
    ['ingest', { ingest: () => Promise.reject(new Error('import failed')) }],
    ['ingest', { ingest: () => new Promise<never>(() => undefined) }],
    ['ingest', { ingest: async () => 'yes' as never }],
  ] as Array<[string, Partial<ContextEngine>]>)('in %s: the run fails with its name, the words are kept (ENGINE-101)', async (method, members) => {
    const host = await createAgentHost({ engine: recording([], members), limits: { engine: { ingest: 40 } } });
    const result = await host.run('[[offline: say never]]');
    expect(result.error).toMatchObject({ code: expect.stringMatching(/^DUR_ENGINE_/), owner: { hook: `context.${method}` } });
    expect((await host.messages()).map(messageText)).toEqual(['[[offline: say never]]']);
    expect(host.leases()).toBe(0);
  });

  it('in afterTurn or ingestBatch: logged, and the result stands (ENGINE-101)', async () => {
    const engine = recording([], { afterTurn: () => Promise.reject(new Error('late trouble')) });
    const host = await createAgentHost({ engine });
    expect((await host.run('[[offline: say fine]]')).status).toBe('ok');
    expect(host.logged.map(({ message }) => message).join()).toContain('late trouble');
    host.swap({ engine: recording([], { ingestBatch: () => Promise.reject(new Error('batch trouble')) }, { id: 'batcher' }) });
    expect((await host.run('[[offline: say fine]]', { sessionKey: 'fresh' })).status).toBe('ok');
    expect(host.logged.map(({ message }) => message).join()).toContain('batch trouble');
    expect(host.leases()).toBe(0);
  });

  it('to load at all: runs fail with the reason of the slot and nothing else serves them (ENGINE-102, ENGINE-103, ENGINE-104)', async () => {
    const slotFailure = durarError('DUR_SLOT_UNKNOWN', { slot: 'contextEngine', key: 'nope' });
    const host = await createAgentHost({ slotFailure });
    const result = await host.run('[[offline: say never]]');
    expect(result.error).toMatchObject({ code: 'DUR_SLOT_UNKNOWN', message: expect.stringContaining("'nope'") });
    expect((await host.messages()).map(messageText)).toEqual(['[[offline: say never]]']);
  });
});

describe('hooks around the engine', () => {
  it('lets interceptors change what was assembled, after the engine (ENGINE-001)', async () => {
    const requests: ProviderRequest[] = [];
    const host = await createAgentHost({ engine: recording([]), providers: [watchedProvider(requests)] });
    host.on('context.assemble', ({ messages, params }) => ({
      messages: [{ role: 'user', content: `budget ${params.tokenBudget > 0}`, timestamp: 1 }, ...messages],
      estimatedTokens: 1,
    }));
    await host.run('[[offline: say x]]');
    expect(requests[0]?.messages.map(messageText)).toEqual(['budget true', '[[offline: say x]]']);
  });

  it('tells observers of every entry, whatever the engine takes', async () => {
    const seen: unknown[] = [];
    const host = await createAgentHost({ engine: recording([], { ingestBatch: async () => ({ ingestedCount: 2 }) }) });
    host.on('context.ingest', ({ seq, message, replay }) => void seen.push([seq, message.role, replay]));
    host.on('context.bootstrap', () => void seen.push('bootstrap'));
    host.on('context.afterTurn', ({ prePromptMessageCount }) => void seen.push(['after', prePromptMessageCount]));
    await host.run('[[offline: say x]]');
    expect(seen).toEqual(['bootstrap', [1, 'user', false], [2, 'assistant', false], ['after', 0]]);
  });
});

describe('compaction', () => {
  const long = (count: number) => `[[offline: tokens ${count}]]`;

  it('answers an overflow through the engine and tries again (ENGINE-023, ENGINE-077, ENGINE-081)', async () => {
    for (const ownsCompaction of [true, false]) {
      const calls: Call[] = [];
      let compacted = false;
      const engine = recording(
        calls,
        {
          async compact() {
            compacted = true;
            return { ok: true, compacted: true, result: { tokensBefore: 100, summary: 'short' } };
          },
          assemble: async ({ messages }) => ({ messages: compacted ? messages.slice(-1) : messages, estimatedTokens: 1 }),
          afterTurn: async () => undefined,
        },
        { ownsCompaction },
      );
      const host = await createAgentHost({ engine });
      await host.run('[[offline: say before]]');
      const result = await host.run('[[offline: fail context_overflow 1]] [[offline: say after]]');
      expect(result).toMatchObject({ status: 'ok', payloads: [{ text: 'after' }] });
      expect(named(calls, 'compact')).toMatchObject([
        { compactionTarget: 'budget', tokenBudget: expect.any(Number), currentTokenCount: expect.any(Number), hasRuntime: true, hasSignal: true },
      ]);
      const phases = host.events.filter((event) => event.stream === 'compaction').map((event) => event.data);
      expect(phases).toEqual([{ phase: 'start' }, { phase: 'end', willRetry: true, completed: true }]);
      expect(named(calls, 'afterTurn').at(-1)).toMatchObject({ autoCompactionSummary: 'short' });
      expect(await host.sessions.get('agent:main:main')).toMatchObject({ compactionCount: 1 });
    }
  });

  it('ends when compaction does nothing, with the overflow as the error (ENGINE-082, ENGINE-086)', async () => {
    const calls: Call[] = [];
    const host = await createAgentHost({ engine: recording(calls) });
    await host.run('[[offline: say before]]');
    const result = await host.run('[[offline: fail context_overflow]]');
    expect(result.error).toMatchObject({ code: 'DUR_CONTEXT_OVERFLOW', message: expect.stringContaining('not my work') });
    expect(named(calls, 'compact')).toHaveLength(1);
    expect((await host.entries()).some((entry) => entry.type === 'compaction')).toBe(false);
  });

  it('ends when compaction says it worked and the context is as large as before (ENGINE-023)', async () => {
    const calls: Call[] = [];
    const requests: ProviderRequest[] = [];
    const engine = recording(calls, { compact: async () => ({ ok: true, compacted: true }) });
    const host = await createAgentHost({ engine, providers: [watchedProvider(requests)] });
    const result = await host.run('[[offline: fail context_overflow]]');
    expect(result.error).toMatchObject({ code: 'DUR_CONTEXT_OVERFLOW', message: expect.stringContaining('did not make it smaller') });
    expect(requests).toHaveLength(2);
    expect(host.leases()).toBe(0);
  });

  it('puts an overflow down to prompt and tools where these take the window, whatever engine there is', async () => {
    const host = await createAgentHost({ engine: recording([]), config: { agents: { defaults: { contextTokens: 20 } } } });
    const { error } = await host.run('[[offline: fail context_overflow]]');
    expect(error).toMatchObject({ code: 'DUR_CONTEXT_OVERFLOW', owner: {}, message: expect.stringContaining('of the 20 tokens of its window') });
    expect(error?.hint).toContain('durar context detail');
  });

  it('keeps the overflow as the error when compact throws, with the cause (ENGINE-101)', async () => {
    const host = await createAgentHost({ engine: recording([], { compact: () => Promise.reject(new Error('store is gone')) }) });
    const result = await host.run('[[offline: fail context_overflow]]');
    expect(result.error).toMatchObject({
      code: 'DUR_CONTEXT_OVERFLOW',
      message: expect.stringContaining('store is gone'),
      owner: { extension: 'engine-extension' },
    });
  });

  it('makes one summary through the host for an engine that delegates, and keeps the recent messages as they are (ENGINE-037, ENGINE-038, ENGINE-039, ENGINE-084)', async () => {
    const requests: ProviderRequest[] = [];
    const host = await createAgentHost({ engine: recording([], { compact: delegateCompactionToRuntime }), providers: [watchedProvider(requests)] });
    for (const text of ['alpha', 'beta', 'gamma']) await host.run(`[[offline: say ${text}]]`);
    requests.length = 0;
    const result = await host.run('[[offline: fail context_overflow 1]] [[offline: say done]]');
    expect(result.payloads[0]?.text).toBe('done');
    const summaries = (await host.entries()).filter((entry) => entry.type === 'compaction');
    expect(summaries).toHaveLength(1);
    expect(requests.map(({ tools, systemPrompt }) => tools.length === 0 && systemPrompt?.includes('summary'))).toContain(true);
    const [, summaryCall, retry] = requests;
    expect(messageText(summaryCall?.messages[0] as AgentMessage)).toContain('alpha');
    const texts = retry?.messages.map(messageText) ?? [];
    expect(texts[0]).toContain((summaries[0] as { summary: string }).summary.slice(0, 20));
    expect(texts.at(-1)).toBe('[[offline: fail context_overflow 1]] [[offline: say done]]');
    expect(texts.length).toBeLessThan(7);
  });

  it('never parts a tool call from its result (ENGINE-038)', async () => {
    const requests: ProviderRequest[] = [];
    const host = await createAgentHost({ providers: [watchedProvider(requests)], tools: [look] });
    for (let turn = 0; turn < 4; turn += 1) await host.run('[[offline: tool look]] [[offline: say done]]');
    await host.run('[[offline: fail context_overflow 2]] [[offline: say end]]');
    for (const { messages } of requests) {
      const calls = messages.flatMap((message) =>
        message.role === 'assistant' ? message.content.flatMap((block) => (block.type === 'toolCall' ? [block.id] : [])) : [],
      );
      const results = messages.flatMap((message) => (message.role === 'toolResult' ? [message.toolCallId] : []));
      expect(results).toEqual(calls);
    }
  });

  it('on the threshold the host summarises for an engine that does not own compaction, and its compact is not asked (ENGINE-061, ENGINE-079)', async () => {
    const calls: Call[] = [];
    const engine = recording(calls, { assemble: async ({ messages }) => ({ messages, estimatedTokens: 1_000_000 }) });
    const host = await createAgentHost({ engine });
    await host.run('[[offline: say one]]');
    await host.run('[[offline: say two]]');
    expect(named(calls, 'compact')).toEqual([]);
    expect((await host.entries()).filter((entry) => entry.type === 'compaction').length).toBeGreaterThan(0);
    expect((await host.sessions.get('agent:main:main'))?.compactionCount).toBeGreaterThan(0);
    // the cursor passes over entries that are no messages
    expect(ingested(calls).map(([, text]) => text)).toEqual(['[[offline: say one]]', 'one', '[[offline: say two]]', 'two']);
  });

  it('on the threshold asks an engine that owns compaction, and the host makes no summary (ENGINE-061, ENGINE-075, ENGINE-083)', async () => {
    const calls: Call[] = [];
    const engine = recording(calls, { assemble: async ({ messages }) => ({ messages, estimatedTokens: 1_000_000 }) }, { ownsCompaction: true });
    const host = await createAgentHost({ engine });
    await host.run('[[offline: say one]]');
    expect(named(calls, 'compact')).toMatchObject([{ compactionTarget: 'threshold' }]);
    expect((await host.entries()).some((entry) => entry.type === 'compaction')).toBe(false);
  });

  it("takes the provider's own count for the threshold, and lets a small context be", async () => {
    const host = await createAgentHost();
    await host.run('[[offline: say small]]');
    expect(host.events.some((event) => event.stream === 'compaction')).toBe(false);
    await host.run('[[offline: usage 190000 10]] [[offline: say large]]');
    expect(host.events.some((event) => event.stream === 'compaction')).toBe(true);
  });

  it('carries a long conversation through a small window to its end (ENGINE-023, ENGINE-083)', async () => {
    const host = await createAgentHost({ config: { agents: { defaults: { model: 'offline/small' } } } });
    for (let turn = 0; turn < 8; turn += 1) {
      const result = await host.run(`${long(400)} turn ${turn}`);
      expect(result.status).toBe('ok');
    }
    expect((await host.entries()).filter((entry) => entry.type === 'compaction').length).toBeGreaterThan(0);
    const seqs = (await host.entries()).map((entry) => entry.seq);
    expect(seqs).toEqual(seqs.map((_seq, index) => index + 1));
  });

  it('lets a hook compact in place of the engine, and tells the others before and after', async () => {
    const calls: Call[] = [];
    const seen: unknown[] = [];
    const host = await createAgentHost({ engine: recording(calls) });
    host.on('context.compact', () => ({ ok: true, compacted: true }));
    host.on('before_compaction', ({ messageCount }) => void seen.push(['before', messageCount]));
    host.on('after_compaction', ({ messageCount }) => void seen.push(['after', messageCount]));
    await host.run('[[offline: fail context_overflow 1]] [[offline: say ok]]');
    expect(named(calls, 'compact')).toEqual([]);
    expect(seen).toEqual([
      ['before', 1],
      ['after', 1],
    ]);
  });
});
