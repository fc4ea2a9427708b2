import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLegacyEngine } from '../../../extensions/context-engines/legacy/engine.ts';
import { type AgentMessage, type ContextEngine, type ModelEntry, messageText, type Provider, type ProviderRequest } from '../../../sdk/index.ts';
import { ProviderStream } from '../../../sdk/provider-stream.ts';
import { createAgentHost } from '../../../test/agent-host.ts';
import { createTokenEstimator } from './tokens.ts';

const WINDOW = 16_000;
const MODEL: ModelEntry = {
  id: 'large',
  provider: 'acme',
  name: 'Large',
  api: 'acme',
  reasoning: false,
  input: ['text'],
  contextWindow: WINDOW,
  maxTokens: 1_000,
  cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
};
const estimator = createTokenEstimator();
const estimate = ({ systemPrompt = '', messages, tools }: ProviderRequest) =>
  estimator.text(systemPrompt) + estimator.tools(tools) + messages.reduce((sum, message) => sum + createTokenEstimator().message(message), 0);

/** A provider with a tokenizer of its own: it counts `factor` times the host's estimate and refuses what is over its window. */
function strictProvider(factor: number, seen: Array<{ counted: number; refused: boolean }> = []): Provider {
  return {
    id: 'acme',
    label: 'Acme',
    keyless: true,
    models: async () => [MODEL],
    async *stream(request) {
      const stream = new ProviderStream(request.model);
      yield stream.start();
      const counted = Math.round(estimate(request) * factor);
      seen.push({ counted, refused: counted > WINDOW });
      if (counted > WINDOW) {
        yield stream.failed({ kind: 'context_overflow', text: `${counted} tokens are too many` });
        return;
      }
      const [open, opened] = stream.openText();
      yield opened;
      yield stream.text(open, 'so it is');
      yield* stream.close(open);
      stream.report({ input: counted, output: 3, cacheRead: Math.floor(counted / 2) });
      yield stream.done();
    },
  };
}

const parts = (provider: Provider, engine?: ContextEngine, config: Record<string, unknown> = {}) => ({
  providers: [provider],
  config: { agents: { defaults: { model: 'acme/large', ...config } } },
  ...(engine === undefined ? {} : { engine }),
});

/** Gives as much of the newest messages as the budget takes, by the same count as the host. */
function greedyEngine(budgets: number[] = [], addition?: string): ContextEngine {
  const legacy = createLegacyEngine();
  return {
    info: { id: 'greedy', name: 'Greedy', ownsCompaction: true },
    ingest: (params) => legacy.ingest(params),
    compact: async () => ({ ok: true, compacted: false, reason: 'it is all kept elsewhere' }),
    async assemble({ messages, tokenBudget }) {
      budgets.push(tokenBudget);
      const kept: AgentMessage[] = [];
      let estimatedTokens = 0;
      for (const message of messages.toReversed()) {
        const tokens = estimator.message(message);
        if (estimatedTokens + tokens > tokenBudget && kept.length > 0) break;
        estimatedTokens += tokens;
        kept.unshift(message);
      }
      return { messages: kept, estimatedTokens, ...(addition === undefined ? {} : { systemPromptAddition: addition }) };
    },
  };
}

describe('a provider that counts more than the host', () => {
  it('is not overflowed after its first reply, whichever way the context is made (CTX-002, CTX-043, ENGINE-022)', async () => {
    for (const engine of [undefined, greedyEngine()]) {
      const seen: Array<{ counted: number; refused: boolean }> = [];
      const host = await createAgentHost(parts(strictProvider(1.6, seen), engine));
      for (let turn = 0; turn < 30; turn += 1) {
        expect(await host.run(`${turn} ${'words and words '.repeat(150)}`), `turn ${turn}`).toMatchObject({ status: 'ok' });
      }
      expect(seen.filter(({ refused }) => refused)).toEqual([]);
      expect(Math.max(...seen.map(({ counted }) => counted))).toBeGreaterThan(WINDOW / 3);
    }
  });

  it('any factor: what an engine fills up to its budget fits the window, and the next process knows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0.5, max: 4, noNaN: true }), async (factor) => {
        const seen: Array<{ counted: number; refused: boolean }> = [];
        const budgets: number[] = [];
        const host = await createAgentHost(parts(strictProvider(factor, seen), greedyEngine(budgets)));
        for (let turn = 0; turn < 12; turn += 1) expect(await host.run(`${turn} ${'words and words '.repeat(500)}`)).toMatchObject({ status: 'ok' });
        expect(seen.filter(({ refused }) => refused)).toEqual([]);
        for (const budget of budgets) expect(budget).toBeLessThan(WINDOW);
        const { request } = host.agent.turn({ sessionKey: 'main' });
        expect(Math.abs((request?.corrected ?? 0) - (request?.reported ?? 0))).toBeLessThan(WINDOW / 100);
        const { budget } = host.agent.turn({ sessionKey: 'main' });
        const next = await host.restart();
        await next.run('and on');
        expect(next.agent.turn({ sessionKey: 'main' }).budget?.factor).toBeCloseTo(budget?.factor ?? 0, 2);
      }),
      { numRuns: 6 },
    );
  });

  it('compacts sooner: the threshold goes by the corrected count (ENGINE-061)', async () => {
    const compactions = async (factor: number) => {
      const host = await createAgentHost(parts(strictProvider(factor), undefined, { compaction: { reserveTokens: 4_000, reserveTokensFloor: 0 } }));
      for (let turn = 0; turn < 12; turn += 1) await host.run(`${turn} ${'words and words '.repeat(150)}`);
      const { turns } = host.agent.turns({ sessionKey: 'main', limit: 50 });
      // written again when the end of the turn had compacted
      expect(turns.flatMap(({ compactions: done }) => done).filter(({ trigger }) => trigger === 'threshold')).toHaveLength(
        (await host.sessions.get('main'))?.compactionCount ?? 0,
      );
      return (await host.sessions.get('main'))?.compactionCount ?? 0;
    };
    expect(await compactions(1)).toBe(0);
    expect(await compactions(1.6)).toBeGreaterThan(0);
  });

  it('is told of in the report (CTX-043)', async () => {
    const host = await createAgentHost(parts(strictProvider(1.5)));
    await host.run('one '.repeat(100));
    await host.run('two');
    const { report } = await host.agent.inspect({ sessionKey: 'main' });
    const { tokens = 0, corrected, factor } = report.request ?? {};
    expect(factor).toBeCloseTo(1.5, 2);
    expect(corrected).toBe(Math.ceil(tokens * (factor ?? 0)));
    expect(tokens).toBe(host.agent.turn({ sessionKey: 'main' }).request?.estimated);
  });
});

describe('pictures', () => {
  it('say nothing about how a provider counts text', async () => {
    const cheap: Provider = { ...strictProvider(0.6) };
    const host = await createAgentHost(parts(cheap));
    const picture = { type: 'image' as const, data: 'AAAA', mimeType: 'image/png' };
    const { session } = await host.sessions.open({ key: 'main' });
    await host.sessions.append(session, [{ type: 'message', message: { role: 'user', content: [picture], timestamp: Date.now() } }]);
    await host.run('look at it');
    await host.run('and again');
    expect(host.agent.turn({ sessionKey: 'main' }).budget?.factor).toBe(1);
    await host.run('as text', { sessionKey: 'other' });
    await host.run('and again', { sessionKey: 'other' });
    expect(host.agent.turn({ sessionKey: 'other' }).budget?.factor).toBeCloseTo(0.6, 1);
  });
});

describe('what goes along with the messages', () => {
  it('an addition of the engine that leaves no room is its fault, and nothing is sent', async () => {
    const seen: Array<{ counted: number; refused: boolean }> = [];
    const host = await createAgentHost(parts(strictProvider(1, seen), greedyEngine([], 'x'.repeat(WINDOW * 4))));
    expect(await host.run('hello')).toMatchObject({ status: 'error', error: { code: 'DUR_ENGINE_BUDGET', owner: { extension: 'engine-extension' } } });
    expect(seen).toEqual([]);
  });

  it('a few words of the engine in a history that is too long are not its fault: the conversation is compacted', async () => {
    const legacy = createLegacyEngine();
    const engine: ContextEngine = {
      info: { id: 'noting', name: 'Noting' },
      ingest: (params) => legacy.ingest(params),
      compact: (params) => legacy.compact(params),
      async assemble(params) {
        const { messages, estimatedTokens } = await legacy.assemble(params);
        return {
          messages: [{ role: 'user', content: 'A note of the engine, in every request.', timestamp: 1 }, ...messages],
          estimatedTokens: estimatedTokens + 14,
        };
      },
    };
    const host = await createAgentHost(parts(strictProvider(1), engine));
    const { session } = await host.sessions.open({ key: 'main' });
    const long = Array.from({ length: 40 }, (_none, at): AgentMessage => ({ role: 'user', content: `${at} ${'word '.repeat(500)}`, timestamp: Date.now() }));
    await host.sessions.append(
      session,
      long.map((message) => ({ type: 'message' as const, message })),
    );
    expect(await host.run('hello')).toMatchObject({ status: 'ok' });
    expect(host.agent.turn({ sessionKey: 'main' }).compactions).toMatchObject([{ trigger: 'overflow', compacted: true }]);
  });

  it('one that does not fit beside the messages has the conversation compacted', async () => {
    const seen: Array<{ counted: number; refused: boolean }> = [];
    const legacy = createLegacyEngine();
    let addition = '';
    const engine: ContextEngine = {
      info: { id: 'wordy', name: 'Wordy' },
      ingest: (params) => legacy.ingest(params),
      compact: (params) => legacy.compact(params),
      async assemble(params) {
        return { ...(await legacy.assemble(params)), systemPromptAddition: addition };
      },
    };
    const host = await createAgentHost(parts(strictProvider(1, seen), engine));
    for (let turn = 0; turn < 8; turn += 1) await host.run(`${turn} ${'words and words '.repeat(180)}`);
    addition = 'x'.repeat(16_000);
    expect(await host.run('and now?')).toMatchObject({ status: 'ok' });
    expect(seen.some(({ refused }) => refused)).toBe(false);
    expect(host.agent.turn({ sessionKey: 'main' })).toMatchObject({ compactions: [{ trigger: 'overflow', compacted: true }] });
  });

  it('text that hooks add before the first call of a turn takes its room from the messages', async () => {
    const seen: Array<{ counted: number; refused: boolean }> = [];
    const budgets: number[] = [];
    const host = await createAgentHost(parts(strictProvider(1, seen), greedyEngine(budgets)));
    for (let turn = 0; turn < 8; turn += 1) await host.run(`${turn} ${'words and words '.repeat(250)}`);
    host.on('before_prompt_build', () => ({ prependContext: 'y'.repeat(20_000) }));
    budgets.length = 0;
    expect(await host.run('and now?')).toMatchObject({ status: 'ok' });
    expect(budgets).toHaveLength(2);
    expect(budgets[1]).toBeLessThanOrEqual((budgets[0] ?? 0) - 4_900);
    expect(seen.some(({ refused }) => refused)).toBe(false);
  });

  it('pruning does not move with the correction: what was sent stays as it was to the byte (PRUNE-012)', async () => {
    let factor = 1;
    let now = Date.now();
    const sent: string[][] = [];
    const provider: Provider = {
      ...strictProvider(1),
      stream(request, options) {
        sent.push(request.messages.map((message) => messageText(message)));
        return strictProvider(factor).stream?.(request, options) as never;
      },
    };
    const host = await createAgentHost({ ...parts(provider, undefined, { contextPruning: { mode: 'cache-ttl' } }), now: () => (now += 1) });
    const dump = (text: string): AgentMessage[] => [
      {
        role: 'assistant',
        content: [{ type: 'toolCall', id: text, name: 'exec', arguments: {} }],
        api: 'acme',
        provider: 'acme',
        model: 'large',
        usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0, cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 } },
        stopReason: 'toolUse',
        timestamp: now,
      },
      { role: 'toolResult', toolCallId: text, toolName: 'exec', content: [{ type: 'text', text: text.repeat(10_000) }], isError: false, timestamp: now },
    ];
    await host.run('first');
    const { session } = await host.sessions.open({ key: 'main' });
    await host.sessions.append(
      session,
      [...dump('a'), ...dump('b')].map((message) => ({ type: 'message' as const, message })),
    );
    for (const word of ['one', 'two', 'three']) await host.run(word);
    now += 10 * 60_000;
    await host.run('pruned now');
    const pruned = sent.at(-1) ?? [];
    expect(pruned.some((text) => text.includes('[trimmed: the first'))).toBe(true);
    for (factor of [1.9, 0.6, 1.4]) {
      await host.run(`x${factor}`);
      expect(sent.at(-1)?.slice(0, pruned.length)).toEqual(pruned);
    }
  });
});
