import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AgentMessage } from '../messages.ts';
import type { PluginApi } from '../plugin-api.ts';
import type { PluginRuntime } from '../plugin-runtime.ts';
import type { ContextEngine } from '../ports/context-engine.ts';
import { buildChannelConfigSchema, createChatChannelPlugin } from './channel.ts';
import { adaptEngine } from './engine.ts';
import { type AncestorProvider, adaptProvider } from './provider.ts';
import { completeRuntime } from './runtime.ts';

const user = (content: string): AgentMessage => ({ role: 'user', content, timestamp: 1 });
const transcript = join(mkdtempSync(join(tmpdir(), 'ancestor-')), 's.jsonl');
writeFileSync(transcript, '{}\n');

type Call = [method: string, params: Record<string, unknown>];
function recorder(calls: Call[], members: Partial<ContextEngine> = {}): ContextEngine {
  const told = <Result>(name: string, result: Result) => {
    return async (params: object): Promise<Result> => {
      calls.push([name, params as Record<string, unknown>]);
      return result;
    };
  };
  return {
    info: { id: 'own', name: 'Own' },
    ingest: told('ingest', { ingested: true }),
    assemble: told('assemble', { messages: [user('summary')], estimatedTokens: 10 }),
    compact: told('compact', { ok: true, compacted: false }),
    ...members,
  };
}

describe('an engine', () => {
  const session = { sessionId: 's', sessionKey: 'k' };

  it('assembles the history before the turn; the turn follows, within the budget', async () => {
    const calls: Call[] = [];
    const engine = adaptEngine(recorder(calls), 'acme');
    const messages = [user('one'), user('two')];
    const result = await engine.assemble({ ...session, messages, tokenBudget: 100, model: 'offline/echo/x', prompt: 'two' });
    expect(engine.info).toEqual({ id: 'acme', name: 'Own' });
    expect(calls).toEqual([['assemble', { ...session, messages: [user('one')], tokenBudget: 98, model: 'echo/x', prompt: 'two' }]]);
    expect(result).toEqual({ messages: [user('summary'), user('two')], estimatedTokens: 12 });
  });

  it('with afterTurn sees nothing else; with neither gets each message at the end', async () => {
    const calls: Call[] = [];
    const whole = adaptEngine(recorder(calls, { afterTurn: async () => undefined, ingestBatch: async () => ({ ingestedCount: 9 }) }), 'a');
    expect(whole.ingestBatch).toBeUndefined();
    expect(await whole.ingest({ ...session, message: user('x') })).toEqual({ ingested: false });
    expect(calls).toEqual([]);
    const each = adaptEngine(recorder(calls), 'b');
    expect(await each.ingestBatch?.({ ...session, messages: [user('x'), user('y')], entries: [{ entryId: '1', seq: 1 }] })).toEqual({ ingestedCount: 2 });
    expect(calls).toEqual([
      ['ingest', { ...session, message: user('x'), entryId: '1', seq: 1 }],
      ['ingest', { ...session, message: user('y') }],
    ]);
  });

  it('imports a transcript that is there, and again after turns that it did not see', async () => {
    const calls: Call[] = [];
    const own = recorder(calls, { afterTurn: async () => undefined });
    own.bootstrap = async (params) => {
      calls.push(['bootstrap', { ...params }]);
      return { bootstrapped: true };
    };
    const engine = adaptEngine(own, 'a');
    expect(await engine.bootstrap?.({ ...session, sessionFile: `${transcript}.absent` })).toMatchObject({ bootstrapped: false });
    expect(await engine.bootstrap?.({ ...session, sessionFile: transcript, messages: [] })).toMatchObject({ bootstrapped: false });
    expect(await engine.bootstrap?.({ ...session, sessionFile: transcript, messages: [user('x')] })).toEqual({ bootstrapped: true });
    for (const text of ['x', 'y']) await engine.ingest({ ...session, message: user(text), replay: true });
    expect(calls.map(([method]) => method)).toEqual(['bootstrap', 'bootstrap']);
    await engine.assemble({ ...session, messages: [user('z')], tokenBudget: 100 });
    await engine.ingest({ ...session, message: user('z'), replay: true });
    expect(calls.filter(([method]) => method === 'bootstrap')).toHaveLength(3);
  });

  it('that is none stays as it is', () => {
    for (const wrong of [undefined, null, {}, { info: { id: 'x', name: 'x' } }]) expect(adaptEngine(wrong as never, 'a')).toBe(wrong);
  });
});

describe('a provider', () => {
  const api = {
    config: {},
    runtime: { agent: { resolveAgentDir: () => '/a', resolveAgentWorkspaceDir: () => '/w' } },
  } as unknown as PluginApi;
  const make = (rest: Partial<AncestorProvider>, noted: string[] = []) => adaptProvider({ id: 'acme', ...rest }, api, (member) => noted.push(member));

  it('names the models of its catalog, with what the provider says for all of them', async () => {
    const models = [
      { id: 'm', cost: { input: 1 } },
      { id: 'n', api: 'other', name: 'N', headers: { a: '1', b: {} } },
    ];
    const provider = make({ catalog: { run: () => ({ providers: { other: {}, acme: { baseUrl: 'http://x', api: 'openai-completions', models } } }) } });
    expect(await provider.models?.({ apiKey: 'k' })).toMatchObject([
      { id: 'm', name: 'm', provider: 'acme', api: 'openai-completions', baseUrl: 'http://x', cost: { input: 1, output: 0 }, contextWindow: 200_000 },
      { id: 'n', name: 'N', api: 'other', headers: { a: '1' } },
    ]);
    expect(provider.keyless).toBe(false);
  });

  it('sees the key that the host has for it, by the older name of the catalog as well', async () => {
    const seen: unknown[] = [];
    const run = (context: { resolveProviderApiKey(id?: string): unknown; resolveProviderAuth(id?: string): unknown }) => {
      seen.push(context.resolveProviderApiKey(), context.resolveProviderApiKey('else'), context.resolveProviderAuth('acme'));
      return null;
    };
    expect(await make({ discovery: { run: run as never } }).models?.({ apiKey: 'k' })).toEqual([]);
    expect(seen).toMatchObject([{ apiKey: 'k' }, { apiKey: undefined }, { apiKey: 'k', mode: 'api_key' }]);
  });

  it('needs no key when its catalog brings a mark of its own; its hooks into the older runner are noted', async () => {
    const noted: string[] = [];
    const provider = make({ catalog: { run: () => ({ provider: { apiKey: 'local', models: [] } }) }, wrapStreamFn: () => undefined }, noted);
    await provider.models?.({});
    expect(provider.keyless).toBe(true);
    expect(noted).toEqual(['provider acme: wrapStreamFn']);
  });
});

describe('api.runtime', () => {
  const own = {
    version: '1',
    agent: {
      get defaults(): { model: string } {
        return { model: 'm' };
      },
      session: { resolveStorePath: () => '/s' },
    },
    subagent: { getSessionMessages: async () => ({ messages: [] }) },
    channel: { session: { resolveStorePath: () => '/c' } },
  };

  it('has what the host has, refuses what it lacks when that is called, and knows nothing of later lines', () => {
    const noted: string[] = [];
    const runtime = completeRuntime(own as unknown as PluginRuntime, (member) => noted.push(member)) as unknown as typeof own & Record<string, never>;
    const members = runtime as unknown as Record<string, Record<string, Record<string, () => unknown>>>;
    expect(runtime.agent.defaults).toEqual({ model: 'm' });
    expect(members.channel?.session?.resolveStorePath?.()).toBe('/c');
    expect(typeof members.subagent?.getSession).toBe('function');
    expect(members.llm).toBeUndefined();
    expect(noted).toEqual([]);
    expect(() => members.channel?.reply?.finalizeInboundContext?.()).toThrow("'api.runtime.channel.reply.finalizeInboundContext' is not available");
    expect(() => members.agent?.session?.loadSessionStore?.()).toThrow("'api.runtime.agent.session.loadSessionStore' is not available");
    expect(noted).toEqual(['api.runtime.channel.reply.finalizeInboundContext', 'api.runtime.agent.session.loadSessionStore']);
    expect(Object.keys(own.channel)).toEqual(['session']);
  });
});

it('a channel is put together from its parts', () => {
  const sendText = async () => ({});
  const base = { id: 'chat', meta: {} };
  expect(
    createChatChannelPlugin({ base, security: { dm: {} }, outbound: { base: { deliveryMode: 'direct' }, attachedResults: { sendText } } as never }),
  ).toEqual({
    ...base,
    security: { dm: {} },
    outbound: { deliveryMode: 'direct', sendText },
  });
  expect(createChatChannelPlugin({ base })).toEqual(base);
  expect(buildChannelConfigSchema(undefined)).toEqual({ schema: { type: 'object', additionalProperties: true } });
});
