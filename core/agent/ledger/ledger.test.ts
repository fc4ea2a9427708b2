import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLegacyEngine } from '../../../extensions/context-engines/legacy/engine.ts';
import { type AgentMessage, type AssembleResult, type ContextEngine, messageText, type ProviderRequest, type Tool } from '../../../sdk/index.ts';
import { type AgentHost, createAgentHost } from '../../../test/agent-host.ts';
import { createEntryFinder } from './entry-finder.ts';
import { createLedger, type TurnPart, type TurnRecord } from './ledger.ts';
import { formatTurn, formatTurns } from './ledger-text.ts';

const last = (host: AgentHost, turn?: string): TurnRecord => host.agent.turn({ sessionKey: 'main', turn });
const ofKind = ({ parts }: TurnRecord, kind: TurnPart['kind']) => parts.filter((part) => part.kind === kind);
const sources = (record: TurnRecord, kind: TurnPart['kind'] = 'message') => ofKind(record, kind).map(({ source }) => source);
const entrySources = async (host: AgentHost) => (await host.entries()).filter(({ type }) => type === 'message').map(({ id }) => `entry:${id}`);
const sum = (parts: readonly TurnPart[]) => parts.reduce((total, { tokens }) => total + tokens, 0);

/** The legacy engine with another `assemble`. */
function engine(assemble: (given: AgentMessage[]) => Partial<AssembleResult>): ContextEngine {
  const legacy = createLegacyEngine();
  return {
    info: { id: 'odd', name: 'Odd', version: '2.1.0' },
    ingest: (params) => legacy.ingest(params),
    compact: (params) => legacy.compact(params),
    assemble: async ({ messages }) => ({ messages, estimatedTokens: 7, ...assemble(messages) }),
  };
}

function tool(name: string, text: string): Tool {
  return { name, description: `${name} does it`, parameters: { type: 'object' }, execute: async () => ({ content: [{ type: 'text', text }] }) };
}

describe('the record of a turn', () => {
  it('says who served it, how the window was divided, and what each call cost (ENGINE-062)', async () => {
    const host = await createAgentHost({ engine: engine(() => ({})), tools: [{ tool: tool('look', 'found'), owner: 'looker' }] });
    const { runId, meta } = await host.run('[[offline: tool look {}]] [[offline: say done]]');
    const record = last(host);
    expect(record).toMatchObject({
      runId,
      sessionKey: 'agent:main:main',
      status: 'ok',
      engine: { id: 'odd', owner: 'engine-extension', version: '2.1.0' },
      model: 'offline/script',
      budget: { window: 200_000, messages: meta.context?.tokenBudget },
      request: { engine: 7 },
      callCount: 2,
      compactions: [],
    });
    const [first, second] = record.calls;
    expect([first?.stopReason, second?.stopReason]).toEqual(['toolUse', 'stop']);
    expect(second?.estimated).toBeGreaterThan(first?.estimated ?? 0);
    expect((first?.reported ?? 0) + (second?.reported ?? 0)).toBe(record.usage.input);
    expect(record.request).toMatchObject({ estimated: second?.estimated, corrected: second?.corrected, reported: second?.reported });
  });

  it('names the source of each part, and the parts add up to the request (CTX-001, CTX-038 to CTX-040)', async () => {
    const host = await createAgentHost({
      tools: [{ tool: tool('look', 'found'), owner: 'looker' }],
      promptSections: [
        { id: 'weather', build: async () => 'It rains.' },
        {
          id: 'list',
          build: async () => '<available_skills>\n<skill><name>paint</name></skill>\n<skill><name>sing</name></skill>\n</available_skills>',
        },
      ],
      engine: engine(() => ({ systemPromptAddition: 'Ask me to search.' })),
    });
    const workspace = join(host.dir, 'workspace');
    mkdirSync(workspace, { recursive: true });
    writeFileSync(join(workspace, 'AGENTS.md'), `Be kind. ${'x'.repeat(400)}`);
    host.on('before_prompt_build', () => ({ prependContext: 'It is late.', appendSystemContext: 'Mind the gap.' }));
    await host.run('[[offline: tool look {}]] [[offline: say done]]');
    const record = last(host);
    const system = ofKind(record, 'system');
    expect(system[0]).toMatchObject({ name: 'Engine addition', source: 'engine:odd' });
    for (const [name, source] of [
      ['AGENTS.md', `workspace:${join(workspace, 'AGENTS.md')}`],
      ['weather', 'extension:weather'],
      ['paint', 'skill:paint'],
      ['sing', 'skill:sing'],
      ['Appended', 'hook:hook-extension'],
      ['Tooling', 'durar'],
      ['Runtime', 'durar'],
    ] as const) {
      expect(system).toContainEqual({ kind: 'system', name, source, tokens: expect.any(Number) });
    }
    expect(ofKind(record, 'tool')).toEqual([{ kind: 'tool', name: 'look', source: 'extension:looker', tokens: expect.any(Number) }]);
    const [ask, call, result] = await entrySources(host);
    // the text of the hook goes with the newest message of the user
    expect(sources(record)).toEqual(['hook:hook-extension', ask, call, result]);
    expect(ofKind(record, 'message').map(({ name }) => name)).toEqual(['text before the message', 'user', 'assistant', 'result of look']);
    expect(ofKind(record, 'message').map(({ seq }) => seq)).toEqual([undefined, 1, 2, 3]);
    expect(Math.abs(sum(record.parts) - (record.request?.estimated ?? 0))).toBeLessThanOrEqual(record.parts.length);
  });

  it('knows copies from what an engine made up, changed or left out', async () => {
    const made: AgentMessage = { role: 'user', content: 'You once said so.', timestamp: 5 };
    const host = await createAgentHost({
      engine: engine((given) => {
        const copies = structuredClone(given);
        const shortened = copies.map((message, index) => (index === 1 ? { ...message, content: [{ type: 'text', text: '…' }] } : message));
        return { messages: [made, ...(shortened.filter((_message, index) => index !== 0 || given.length === 1) as AgentMessage[])] };
      }),
    });
    await host.run('[[offline: say one]]');
    expect(sources(last(host))).toEqual(['engine:odd', (await entrySources(host))[0]]);
    await host.run('[[offline: say two]]');
    const record = last(host);
    const [, changed, newest] = await entrySources(host);
    expect(sources(record)).toEqual(['engine:odd', 'engine:odd', newest]);
    expect(ofKind(record, 'message').map(({ entryId }) => entryId && `entry:${entryId}`)).toEqual([undefined, changed, newest]);
  });

  it('tells interceptors and hooks of the request from the engine', async () => {
    const host = await createAgentHost({ tools: [tool('look', 'found')] });
    const note = (content: string): AgentMessage => ({ role: 'user', content, timestamp: 9 });
    host.on('context.assemble', ({ messages, estimatedTokens }) => ({ messages: [note('an interceptor'), ...messages], estimatedTokens }));
    host.on('provider.request', (request) => ({
      ...request,
      systemPrompt: `${request.systemPrompt} One more thing.`,
      messages: [note('late'), ...structuredClone(request.messages)],
      tools: [...request.tools, { name: 'extra', description: '', parameters: {} }],
    }));
    await host.run('[[offline: say one]]');
    const record = last(host);
    expect(sources(record)[0]).toBe('hook:hook-extension');
    expect(sources(record).slice(1)).not.toContain('engine:legacy');
    expect(sources(record, 'tool')).toEqual(['extension:tool-extension', 'hook:hook-extension']);
    expect(ofKind(record, 'system').at(-1)).toMatchObject({ name: 'Other', source: 'hook:hook-extension', tokens: 4 });
    const plain = await createAgentHost();
    plain.on('context.assemble', ({ messages, estimatedTokens }) => ({ messages: [note('an interceptor'), ...messages], estimatedTokens }));
    await plain.run('[[offline: say one]]');
    expect(sources(last(plain))).toEqual(['hook:hook-extension', (await entrySources(plain))[0]]);
  });

  it('marks what was pruned and says what that saved (CTX-042)', async () => {
    let now = Date.now();
    const host = await createAgentHost({
      now: () => (now += 1),
      tools: [tool('dump', 'x'.repeat(80_000))],
      config: { agents: { defaults: { contextTokens: 60_000, contextPruning: { mode: 'cache-ttl', keepLastAssistants: 1 } } } },
    });
    await host.run('[[offline: tool dump {}]] [[offline: say one]]');
    expect(last(host)).not.toHaveProperty('pruning');
    now += 10 * 60_000;
    await host.run('[[offline: say two]]');
    const record = last(host);
    expect(record.pruning).toMatchObject({ trimmed: 1, cleared: 0, images: 0 });
    expect(record.pruning?.savedTokens).toBeGreaterThan(5_000);
    const [, , dumped] = await entrySources(host);
    expect(ofKind(record, 'message').filter(({ changed }) => changed !== undefined)).toMatchObject([{ source: dumped, changed: 'trimmed', seq: 3 }]);
  });

  it('names the summary that stands for what was compacted (CTX-042)', async () => {
    const host = await createAgentHost();
    for (const word of ['apples', 'pears', 'plums']) await host.run(`${word} `.repeat(200));
    expect(await host.agent.compact({ sessionKey: 'main' })).toMatchObject({ compacted: true });
    await host.run('and now?');
    expect(sources(last(host))[0]).toMatch(/^summary:[0-9a-f]{8}$/);
    expect(sources(last(host)).slice(1)).toEqual((await entrySources(host)).slice(3, -1));
    await host.agent.reset({ sessionKey: 'main', reason: 'new' });
    await host.run('hello');
    expect(last(host)).toMatchObject({ sessionId: (await host.sessions.get('main'))?.sessionId });
    expect(host.agent.turns({ sessionKey: 'main' }).turns).toHaveLength(5);
  });

  it('is there for turns that failed, were aborted or went on under another run', async () => {
    const host = await createAgentHost();
    await host.run('[[offline: error auth no]]');
    expect(last(host)).toMatchObject({ status: 'error', error: { code: expect.stringMatching(/^DUR_/) }, callCount: 1 });
    const runId = await host.start('[[offline: stall]]');
    while (!host.events.some((event) => event.runId === runId && event.stream === 'lifecycle')) await new Promise((resolve) => setTimeout(resolve, 2));
    await new Promise((resolve) => setTimeout(resolve, 20));
    host.agent.abort({ runId, origin: 'rpc' });
    await host.agent.wait(runId, 5_000);
    await host.idle();
    expect(last(host)).toMatchObject({ runId, status: 'aborted' });
    expect(last(host, '-2')).toMatchObject({ status: 'error' });
    const broken = await createAgentHost({
      engine: { ...createLegacyEngine(), assemble: () => Promise.reject(new Error('no')) },
    });
    await broken.run('hello');
    expect(last(broken)).toMatchObject({ status: 'error', error: { code: 'DUR_ENGINE_FAILED', extension: 'engine-extension' }, parts: [], callCount: 0 });
  });

  it('names the shadow engine of the turn, where there is one', async () => {
    const shadow: ContextEngine = { ...engine(() => ({})), info: { id: 'other', name: 'Other' } };
    const host = await createAgentHost({ shadow });
    await host.run('[[offline: say one]]');
    expect(last(host)).toMatchObject({ engine: { id: 'legacy' }, shadow: 'other' });
    const alone = await createAgentHost();
    await alone.run('[[offline: say one]]');
    expect(last(alone)).not.toHaveProperty('shadow');
  });

  it('of a turn that a new message took over is two: what was sent until then, and what came of it', async () => {
    const never: Tool['execute'] = (_id, _params, signal) => new Promise((resolve) => signal?.addEventListener('abort', () => resolve({ content: [] })));
    const host = await createAgentHost({ tools: [{ ...tool('slow', ''), execute: never }] });
    await host.start('[[offline: tool slow {}]]', { runId: 'one' });
    while (!host.events.some(({ stream }) => stream === 'tool')) await new Promise((resolve) => setTimeout(resolve, 2));
    await host.agent.steer({ runId: 'two', message: '[[offline: say two]]', sessionKey: 'main' });
    await host.agent.wait('two', 5_000);
    await host.idle();
    expect(host.agent.turns({ sessionKey: 'main' }).turns).toMatchObject([
      { runId: 'two', status: 'ok', callCount: 2 },
      { runId: 'one', status: 'aborted', callCount: 1 },
    ]);
  });

  it('holds no text, and is written when the reply is out', async () => {
    const requests: ProviderRequest[] = [];
    const host = await createAgentHost();
    host.on('provider.request', (request) => {
      requests.push(request);
      return undefined as never;
    });
    const seen: unknown[] = [];
    host.agent.onEvent(({ runId, data }) => data.phase === 'end' && seen.push(host.state.turns.get(runId)));
    const { runId } = await host.run('the password is hunter2 [[offline: say fine]]');
    expect(seen).toEqual([undefined]);
    const stored = JSON.stringify(host.state.turns.get(runId));
    for (const secret of ['hunter2', 'fine', 'inside Durar']) expect(stored).not.toContain(secret);
  });

  it('that cannot be written costs the turn nothing', async () => {
    const host = await createAgentHost();
    host.state.turns.put = () => {
      throw new Error('the disk is full');
    };
    expect(await host.run('[[offline: say fine]]')).toMatchObject({ status: 'ok' });
    expect(host.logged).toContainEqual(expect.objectContaining({ level: 'error', message: 'the turn left no record: the disk is full' }));
  });

  it('is found by run or place, is listed, and an unknown one is refused with what to do', async () => {
    const host = await createAgentHost();
    for (const word of ['one', 'two', 'three']) await host.run(`[[offline: say ${word}]]`);
    const { key, turns } = host.agent.turns({ sessionKey: 'main', limit: 2 });
    expect([key, turns.map(({ runId }) => runId)]).toEqual(['agent:main:main', ['run-3', 'run-2']]);
    expect(turns[0]).not.toHaveProperty('parts');
    expect(['last', undefined, '-1', '2', '-3', 'run-2'].map((turn) => last(host, turn).runId)).toEqual(['run-3', 'run-3', 'run-3', 'run-2', 'run-1', 'run-2']);
    for (const turn of ['-4', '0', 'run-9', 'x']) expect(() => last(host, turn)).toThrow(expect.objectContaining({ code: 'DUR_TURN_UNKNOWN' }));
    expect(formatTurns({ key, turns })).toMatch(
      /^Turns of agent:main:main, newest first\n {2}-1 {2}.* ok .* 1 call {2}legacy {2}offline\/script {2}run-3\n {2}-2 /,
    );
    expect(formatTurns({ key, turns: [] })).toBe('agent:main:main has no recorded turns.');
  });
});

describe('the stored form', () => {
  const text = fc.string({ maxLength: 12 }).map((value) => value.replaceAll('\n', ''));
  const part = fc.record(
    {
      kind: fc.constantFrom('system' as const, 'tool' as const, 'message' as const),
      name: text,
      source: text.map((value) => `hook:${value}`),
      tokens: fc.integer({ min: -9, max: 9_999 }),
      entryId: fc.stringMatching(/^[0-9a-f]{8}$/),
      seq: fc.integer({ min: 1, max: 99_999 }),
      changed: fc.constantFrom('trimmed' as const, 'cleared' as const, 'images' as const),
    },
    { requiredKeys: ['kind', 'name', 'source', 'tokens'] },
  );
  const entry = part.map((one) => (one.entryId === undefined ? one : { ...one, source: `entry:${one.entryId}` }));

  it('gives back what was put in', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(part, entry)), (parts) => {
        let stored: unknown;
        const none = () => undefined;
        const ledger = createLedger({
          put(_session, _run, turn) {
            stored = JSON.parse(JSON.stringify(turn));
          },
          get: () => stored as never,
          heads: () => [],
          at: none,
          delete: none,
        });
        ledger.write({ runId: 'r', sessionKey: 's', parts } as never);
        expect(ledger.find({ sessionKey: 's', turn: 'r' }).parts).toEqual(parts);
      }),
    );
  });
});

describe('the entry of a message', () => {
  const history = (length: number): AgentMessage[] =>
    Array.from({ length }, (_none, index) => ({ role: 'user' as const, content: `message ${index}`, timestamp: 1_000 + Math.floor(index / 3) }));

  it('is found for any choice of copies, in any order', () => {
    const messages = history(300);
    fc.assert(
      fc.property(fc.array(fc.nat(299)), (picks) => {
        const find = createEntryFinder({ messages });
        for (const pick of picks) expect(find(structuredClone(messages[pick] as AgentMessage))).toEqual({ index: pick, isSame: true });
      }),
    );
    const find = createEntryFinder({ messages });
    expect(find({ role: 'user', content: 'message 12', timestamp: 5 })).toBeUndefined();
    expect(find({ role: 'user', content: 'else', timestamp: 1_004 })).toEqual({ index: 12, isSame: false });
    expect(createEntryFinder({ messages: [] })({ role: 'user', content: '', timestamp: 0 })).toBeUndefined();
  });

  it('costs no more in a longer history', () => {
    const looks = (length: number): number => {
      let count = 0;
      const messages = new Proxy(history(length), {
        get(target, key, receiver) {
          if (typeof key === 'string' && /^\d+$/.test(key)) count += 1;
          return Reflect.get(target, key, receiver) as unknown;
        },
      });
      const find = createEntryFinder({ messages });
      for (let pick = 99; pick >= 0; pick -= 1) find({ ...(history(length)[pick] as AgentMessage) });
      return count;
    };
    expect(looks(20_000)).toBeLessThan(looks(200) * 3);
  });
});

describe('the words of a record', () => {
  const record: TurnRecord = {
    runId: 'r1',
    sessionKey: 'agent:main:main',
    sessionId: 's1',
    startedAt: Date.UTC(2026, 10, 20, 13, 0, 5),
    endedAt: Date.UTC(2026, 10, 20, 13, 0, 6),
    status: 'error',
    error: { code: 'DUR_CONTEXT_OVERFLOW' },
    engine: { id: 'odd', owner: 'odd-extension', version: '2.1.0' },
    shadow: 'even',
    model: 'acme/large',
    budget: { window: 32_000, reserve: 8_000, overhead: 1_500, messages: 15_000, factor: 1.5 },
    request: { estimated: 1_000, corrected: 1_500, engine: 700, reported: 1_480 },
    usage: { input: 2_000, output: 90, cacheRead: 900, cacheWrite: 0 },
    callCount: 2,
    calls: [
      { ms: 40, estimated: 900, corrected: 1_350, reported: 0, output: 0, stopReason: 'error', error: 'context_overflow' },
      { ms: 60, estimated: 1_000, corrected: 1_500, reported: 1_480, output: 90, stopReason: 'stop' },
    ],
    compactions: [
      { trigger: 'overflow', compacted: true, tokensBefore: 9_000, tokensAfter: 3_000 },
      { trigger: 'overflow', compacted: true, tokensBefore: 3_000, tokensAfter: 3_000 },
    ],
    pruning: { savedTokens: 4_100, trimmed: 1, cleared: 2, images: 0 },
    parts: [
      { kind: 'system', name: 'Runtime', source: 'durar', tokens: 100 },
      { kind: 'system', name: 'AGENTS.md', source: 'workspace:/w/AGENTS.md', tokens: 400 },
      { kind: 'message', name: 'user', source: 'engine:odd', tokens: 200, entryId: 'aa', seq: 3 },
      { kind: 'message', name: 'result of exec', source: 'entry:bb', tokens: 300, entryId: 'bb', seq: 4, changed: 'cleared' },
    ],
  };

  it('show the turn, then the parts of each group, the largest first', () => {
    expect(formatTurn(record).split('\n')).toEqual([
      '🧭 Turn r1',
      'Session: agent:main:main (s1)',
      'When: 2026-11-20 13:00:05, 1,000 ms, error (DUR_CONTEXT_OVERFLOW)',
      'Engine: odd 2.1.0 (extension odd-extension)',
      'Shadow engine: even',
      'Model: acme/large',
      'Budget: window 32,000, reserve 8,000, overhead 1,500, the engine was told 15,000',
      "Used: ~1,500 tok (host's count 1,000, x1.50), engine says 700",
      'Provider said: 1,480 tok',
      'Calls: 2, 100 ms, 2,900 tok in (900 from the cache), 90 tok out; failed: context_overflow',
      'Compaction (overflow): done, 9,000 tok -> 3,000 tok',
      'Compaction (overflow): done, and nothing is smaller, 3,000 tok -> 3,000 tok',
      'Pruned: 1 trimmed, 2 cleared, 0 without pictures; 4,100 tok saved',
      '',
      '      750  50.0%  System prompt (2)',
      '      600  40.0%    AGENTS.md                        workspace:/w/AGENTS.md',
      '      150  10.0%    Runtime                          durar',
      '',
      '      750  50.0%  Messages (2)',
      '      450  30.0%    result of exec #4                entry:bb (cleared)',
      '      300  20.0%    user #3                          engine:odd, from entry:aa',
    ]);
  });

  it('sum up what is too much to name', () => {
    const parts = Array.from({ length: 30 }, (_none, index): TurnPart => ({ kind: 'tool', name: `tool ${index}`, source: 'extension:x', tokens: 100 - index }));
    const lines = formatTurn({ ...record, parts }).split('\n');
    expect(lines.slice(-22)).toHaveLength(22);
    expect(lines.at(-1)).toMatch(/^ {4}1,133 .* {4}… \(\+10 more\)$/);
    const { engine: _engine, request: _request, budget: _budget, ...bare } = record;
    expect(formatTurn({ ...bare, parts: [] })).toContain('\nEngine: none\n');
  });
});

it('texts of a request and its messages are those that were measured', async () => {
  const requests: ProviderRequest[] = [];
  const host = await createAgentHost();
  host.on('provider.request', (request) => {
    requests.push(request);
    return undefined as never;
  });
  await host.run('[[offline: say one]]');
  expect(requests[0]?.messages.map(messageText)).toHaveLength(ofKind(last(host), 'message').length);
});
