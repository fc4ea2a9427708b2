import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createOfflineProvider } from '../../../extensions/providers/offline/provider.ts';
import { type AgentMessage, type CompactParams, type ContextEngine, messageText, type ProviderRequest } from '../../../sdk/index.ts';
import { type AgentHost, createAgentHost, type HostParts } from '../../../test/agent-host.ts';

const KEY = 'agent:main:main';

function engineOf(more: Partial<ContextEngine> = {}, info: Partial<ContextEngine['info']> = {}): ContextEngine {
  return {
    info: { id: 'members', name: 'Members', version: '2.0.0', ...info },
    ingest: async () => ({ ingested: true }),
    assemble: async ({ messages }) => ({ messages, estimatedTokens: 7 }),
    compact: async () => ({ ok: true, compacted: false, reason: 'nothing to do' }),
    ...more,
  };
}

/** The offline provider, with what it was sent; summaries of the host's are requests of their own. */
function watched() {
  const requests: ProviderRequest[] = [];
  const offline = createOfflineProvider({});
  const stream = offline.stream?.bind(offline);
  const provider = {
    ...offline,
    stream(request: ProviderRequest, options: { signal: AbortSignal }) {
      requests.push(structuredClone(request));
      return stream?.(request, options) ?? (async function* none() {})();
    },
  };
  const summaries = () => requests.filter(({ systemPrompt }) => systemPrompt?.startsWith('You condense')).length;
  return { requests, provider, summaries };
}

async function talk(host: AgentHost, words: readonly string[]): Promise<void> {
  for (const word of words) expect((await host.run(`[[offline: say ${word}]]`)).status).toBe('ok');
}
const chat = (host: AgentHost, message: string) => host.run(message, { scopes: ['operator.admin'], senderIsOwner: true, channel: 'webchat' });

describe('the members of an engine', () => {
  it('compact decides how older history is summarised, and later runs see it (ENGINE-003, ENGINE-053, ENGINE-093)', async () => {
    let summary: string | undefined;
    const engine = engineOf({
      async compact() {
        summary = 'a digest in the manner of this engine';
        return { ok: true, compacted: true, result: { summary, tokensBefore: 90, tokensAfter: 10 } };
      },
      async assemble({ messages }) {
        const own: AgentMessage[] = summary === undefined ? messages : [{ role: 'user', content: summary, timestamp: 1 }, ...messages.slice(-1)];
        return { messages: own, estimatedTokens: 7 };
      },
    });
    const { requests, provider, summaries } = watched();
    const host = await createAgentHost({ engine, providers: [provider] });
    await talk(host, ['one', 'two']);
    expect(await host.agent.compact({ sessionKey: KEY })).toMatchObject({ ok: true, compacted: true });
    await talk(host, ['three']);
    expect(requests.at(-1)?.messages.map(messageText)).toEqual(['a digest in the manner of this engine', '[[offline: say three]]']);
    expect(summaries()).toBe(0);
  });

  it('info may carry a version and who owns compaction; the run names the engine (ENGINE-047)', async () => {
    const host = await createAgentHost({ engine: engineOf({}, { ownsCompaction: true }) });
    expect((await host.run('[[offline: say one]]')).meta.contextEngine).toBe('members');
  });

  it.each([true, false])('ingest may answer ingested: %s; the run goes on (ENGINE-049)', async (ingested) => {
    const host = await createAgentHost({ engine: engineOf({ ingest: async () => ({ ingested }) }) });
    await talk(host, ['one', 'two']);
    expect((await host.messages()).map(messageText)).toEqual(['[[offline: say one]]', 'one', '[[offline: say two]]', 'two']);
  });

  it('what assemble returns is what is used: messages, estimate, addition (ENGINE-051, ENGINE-034)', async () => {
    const { requests, provider } = watched();
    const engine = engineOf({
      assemble: async ({ messages }) => ({ messages: messages.slice(-1), estimatedTokens: 4_321, systemPromptAddition: 'search with members_grep' }),
    });
    const host = await createAgentHost({ engine, providers: [provider] });
    await talk(host, ['one']);
    const files = await workspaceFiles(host);
    const result = await host.run('[[offline: say two]]');
    expect(requests.at(-1)?.messages.map(messageText)).toEqual(['[[offline: say two]]']);
    expect(requests.at(-1)?.systemPrompt?.startsWith('search with members_grep\n\n')).toBe(true);
    expect(result.meta.context?.estimatedTokens).toBe(4_321);
    // the addition needs no file of the workspace and leaves none
    expect(await workspaceFiles(host)).toEqual(files);
  });

  it.each([true, false])(
    '/compact reaches compact with force, ownsCompaction %s, and its answer is told (ENGINE-024, ENGINE-052, ENGINE-053, ENGINE-076, ENGINE-080, ENGINE-092)',
    async (ownsCompaction) => {
      const given: CompactParams[] = [];
      const engine = engineOf(
        {
          async compact(params) {
            given.push(params);
            return { ok: true, compacted: true, result: { tokensBefore: 1_200, tokensAfter: 300 } };
          },
        },
        { ownsCompaction },
      );
      const { provider, summaries } = watched();
      const host = await createAgentHost({ engine, providers: [provider] });
      await talk(host, ['one', 'two']);
      const session = await host.sessions.get(KEY);
      const answer = await chat(host, '/compact the names');
      expect(given).toMatchObject([{ sessionId: session?.sessionId, sessionKey: KEY, force: true, customInstructions: 'the names' }]);
      expect(answer.payloads.map(({ text }) => text).join()).toMatch(/compacted/i);
      expect(summaries()).toBe(0);
    },
  );

  it('a no-op compact of an engine that does not own compaction gives no summary to anybody who asks (ENGINE-082, ENGINE-086)', async () => {
    const { provider, summaries } = watched();
    const host = await createAgentHost({ engine: engineOf(), providers: [provider] });
    await talk(host, ['one', 'two', 'three']);
    expect(await host.agent.compact({ sessionKey: KEY })).toMatchObject({ ok: true, compacted: false, reason: 'nothing to do' });
    expect(summaries()).toBe(0);
    expect((await host.entries()).some(({ type }) => type === 'compaction')).toBe(false);
  });

  it('one that owns compaction may compact behind a turn, and nothing interferes (ENGINE-075, ENGINE-078)', async () => {
    let kept = Number.POSITIVE_INFINITY;
    const { requests, provider, summaries } = watched();
    const engine = engineOf(
      {
        assemble: async ({ messages }) => ({ messages: messages.slice(-kept), estimatedTokens: 1 }),
        async afterTurn({ messages }) {
          if (messages.length >= 6) kept = 1;
        },
      },
      { ownsCompaction: true },
    );
    const host = await createAgentHost({ engine, providers: [provider] });
    await talk(host, ['one', 'two', 'three', 'four']);
    expect(requests.at(-1)?.messages).toHaveLength(1);
    expect(summaries()).toBe(0);
  });

  it('one that keeps a tail whatever the budget is served as long as the window holds it, after it was asked to compact (ENGINE-022, ENGINE-081)', async () => {
    const asked: CompactParams[] = [];
    const budgets: number[] = [];
    let tail = '';
    const members: Partial<ContextEngine> = {
      async assemble({ messages, tokenBudget }) {
        budgets.push(tokenBudget);
        return { messages: [{ role: 'user', content: tail, timestamp: 1 }, ...messages.slice(-1)], estimatedTokens: 1 };
      },
      async compact(params) {
        if (params.compactionTarget === 'budget') asked.push(params);
        return { ok: true, compacted: false, reason: 'only the protected tail is left' };
      },
    };
    const engine = engineOf(members, { ownsCompaction: true });
    const config = { agents: { defaults: { contextTokens: 12_000, compaction: { reserveTokens: 4_000, reserveTokensFloor: 0 } } } };
    const host = await createAgentHost({ engine, config });
    // a history that is larger than the tail
    for (let n = 0; n < 6; n += 1) expect((await host.run(`[[offline: say ok]] ${'x'.repeat(14_000)}`)).status).toBe('ok');
    asked.length = 0;
    const budget = budgets.at(-1) ?? 0;
    tail = 'y'.repeat((budget + 2_000) * 4);
    expect(await host.run('[[offline: say it fits]]')).toMatchObject({ status: 'ok', payloads: [{ text: 'it fits' }] });
    expect(asked).toHaveLength(1);
    tail = 'y'.repeat(14_000 * 4);
    expect(await host.run('[[offline: say never]]')).toMatchObject({ status: 'error', error: { code: 'DUR_CONTEXT_OVERFLOW' } });
  });

  it('dispose is not called when sessions end (ENGINE-073)', async () => {
    let disposed = 0;
    const engine = engineOf({
      async dispose() {
        disposed += 1;
      },
    });
    const host = await createAgentHost({ engine });
    for (let n = 0; n < 10; n += 1) {
      await host.run('[[offline: say one]]', { sessionKey: `s${n}` });
      if (n % 2 === 0) await host.agent.remove({ sessionKey: `s${n}` });
      else await host.agent.reset({ sessionKey: `s${n}`, reason: 'reset' });
    }
    expect(disposed).toBe(0);
  });

  it('pruning works on what any engine returns (ENGINE-097)', async () => {
    const { requests, provider } = watched();
    let now = Date.now();
    const parts: HostParts = {
      engine: engineOf({ assemble: async ({ messages }) => ({ messages: [...messages], estimatedTokens: 1 }) }),
      providers: [provider],
      tools: [
        {
          name: 'look',
          description: 'looks',
          parameters: { type: 'object' },
          execute: async () => ({ content: [{ type: 'text', text: 'y'.repeat(90_000) }] }),
        },
      ],
      config: { agents: { defaults: { contextTokens: 60_000, contextPruning: { mode: 'cache-ttl', ttl: '1m' } } } },
      now: () => now,
    };
    const host = await createAgentHost(parts);
    await host.run('[[offline: tool look]] [[offline: say done]]');
    await talk(host, ['one', 'two', 'three']);
    now += 10 * 60_000;
    await talk(host, ['four']);
    const shown = requests.at(-1)?.messages.find(({ role }) => role === 'toolResult');
    expect(shown === undefined ? 0 : messageText(shown).length).toBeLessThan(5_000);
    expect(messageText((await host.messages()).find(({ role }) => role === 'toolResult') as AgentMessage)).toHaveLength(90_000);
  });
});

async function workspaceFiles(host: AgentHost): Promise<Record<string, string>> {
  const dir = join(host.dir, 'workspace');
  const names = (await readdir(dir)).sort();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(dir, name), 'utf8').catch(() => 'folder')] as const)));
}
