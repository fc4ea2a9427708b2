import { describe, expect, it } from 'vitest';
import { type AssistantMessage, emptyUsage, type ModelApi, type Provider, type ProviderRequest } from '../../../sdk/index.ts';
import { createAgentHost } from '../../../test/agent-host.ts';
import { parseModelRef } from './models.ts';

/** A wire format that answers every request with the model's id, and remembers it. */
function api(id: string, requests: ProviderRequest[]): ModelApi {
  return {
    id,
    async *stream(request) {
      requests.push(request);
      const message: AssistantMessage = {
        role: 'assistant',
        content: [{ type: 'text', text: `${request.model.provider}/${request.model.id}` }],
        api: id,
        provider: request.model.provider,
        model: request.model.id,
        usage: emptyUsage(),
        stopReason: 'stop',
        timestamp: 1,
      };
      yield { type: 'done', reason: 'stop', message };
    },
  };
}

const agents = (defaults: Record<string, unknown>) => ({ agents: { defaults } });
const text = (result: { payloads: Array<{ text?: string }> }) => result.payloads[0]?.text;

describe('a model ref', () => {
  it.each([
    ['openai/gpt-5', 'openai', 'gpt-5'],
    ['OpenRouter/anthropic/claude', 'openrouter', 'anthropic/claude'],
    ['echo', undefined, 'echo'],
  ])('%s is split at the first slash', (ref, provider, model) => {
    expect(parseModelRef(ref)).toEqual({ provider, model });
  });
});

describe('models', () => {
  it('of a provider that only the configuration knows need no extension but the one of their API', async () => {
    const requests: ProviderRequest[] = [];
    const provider = { baseUrl: 'http://127.0.0.1:1234/v1', api: 'openai-completions', models: [{ id: 'Qwen/Small', contextWindow: 9000 }] };
    const host = await createAgentHost({
      config: { ...agents({ model: 'local/qwen/small' }), models: { providers: { local: provider } } },
      modelApis: [api('openai-completions', requests)],
    });
    expect(text(await host.run('hi'))).toBe('local/Qwen/Small');
    expect(requests[0]).toMatchObject({ baseUrl: provider.baseUrl, model: { contextWindow: 9000, maxTokens: 8192, reasoning: false, input: ['text'] } });
    expect(requests[0]).not.toHaveProperty('apiKey');
  });

  it('of a manifest need no code at all', async () => {
    const requests: ProviderRequest[] = [];
    const manifests = {
      declared: {
        providerCatalog: {
          acme: { api: 'acme-api', baseUrl: 'https://acme.test', envVars: ['ACME_KEY'], headers: { 'X-App': 'durar' }, models: [{ id: 'one' }] },
        },
      },
    };
    const parts = { config: agents({ model: 'acme/one' }), manifests, modelApis: [api('acme-api', requests)] };
    const host = await createAgentHost({ ...parts, env: { ACME_KEY: 'k-acme' } });
    expect(text(await host.run('hi'))).toBe('acme/one');
    expect(requests[0]).toMatchObject({ apiKey: 'k-acme', baseUrl: 'https://acme.test', headers: { 'X-App': 'durar' } });
    const poor = await createAgentHost(parts);
    expect((await poor.run('hi')).error).toMatchObject({ code: 'DUR_MODEL_AUTH', hint: expect.stringContaining('ACME_KEY') });
    expect(await host.agent.models.credential('acme')).toEqual({ apiKey: 'k-acme', source: 'env: ACME_KEY' });
  });

  it("are the extension's, refined by the configuration; the configured key wins over the environment", async () => {
    const requests: ProviderRequest[] = [];
    let asked = 0;
    const provider: Provider = {
      id: 'acme',
      envVars: ['ACME_KEY'],
      aliases: ['ac'],
      baseUrl: 'https://acme.test',
      async models({ apiKey }) {
        asked += 1;
        expect(apiKey).toBe('from-config');
        return [
          {
            id: 'one',
            name: 'One',
            api: 'acme-api',
            provider: 'acme',
            reasoning: true,
            input: ['text'],
            cost: { input: 1, output: 2, cacheRead: 0, cacheWrite: 0 },
            contextWindow: 50_000,
            maxTokens: 900,
          },
        ];
      },
    };
    const config = {
      ...agents({ model: { primary: 'acme/one' } }),
      models: { providers: { acme: { apiKey: 'from-config', models: [{ id: 'one', maxTokens: 500 }, { id: 'two' }] } } },
    };
    const host = await createAgentHost({
      config,
      providers: [provider],
      modelApis: [api('acme-api', requests), api('openai-completions', requests)],
      env: { ACME_KEY: 'from-env' },
    });
    await host.run('hi', { thinking: 'high' });
    await host.run('hi', { model: 'two' });
    expect(requests[0]).toMatchObject({
      apiKey: 'from-config',
      thinking: 'high',
      maxTokens: 500,
      model: { name: 'One', contextWindow: 50_000, cost: { input: 1 } },
    });
    expect(requests[1]?.model.id).toBe('two');
    expect(asked).toBe(1);
    expect((await host.agent.models.list()).map(({ id }) => id).sort()).toEqual(['one', 'two']);
    expect(host.agent.models.defaults()).toEqual({ provider: 'acme', model: 'one' });
  });

  it('that cannot be listed are tried again at the next run', async () => {
    let broken = true;
    const provider: Provider = {
      id: 'acme',
      keyless: true,
      async models() {
        if (broken) throw new Error('no network');
        return [
          {
            id: 'one',
            name: 'One',
            api: 'acme-api',
            provider: 'acme',
            reasoning: false,
            input: ['text'],
            cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
            contextWindow: 50_000,
            maxTokens: 900,
          },
        ];
      },
    };
    const host = await createAgentHost({ config: agents({ model: 'acme/one' }), providers: [provider], modelApis: [api('acme-api', [])] });
    expect((await host.run('hi')).error?.message).toContain('no network');
    expect(await host.agent.models.list()).toEqual([]);
    broken = false;
    expect(text(await host.run('hi'))).toBe('acme/one');
  });

  it('whose API nobody offers, or that are not listed, are refused by name', async () => {
    const config = {
      ...agents({ model: 'local/a', models: { 'local/a': {}, 'local/b': { alias: 'bee' } } }),
      models: { providers: { local: { baseUrl: 'http://x', api: 'api-b', models: [{ id: 'a' }, { id: 'b' }, { id: 'c' }] } } },
    };
    const host = await createAgentHost({ config, modelApis: [api('api-b', [])] });
    expect((await host.run('hi', { model: 'local/c' })).error).toMatchObject({ code: 'DUR_MODEL_NOT_ALLOWED', message: expect.stringContaining('local/c') });
    expect(text(await host.run('hi', { model: 'bee' }))).toBe('local/b');
    const silent = await createAgentHost({ config });
    expect((await silent.run('hi')).error).toMatchObject({ code: 'DUR_MODEL_API', message: expect.stringContaining('api-b') });
  });

  it('are the quick-start model when nothing is configured, and the session may have its own', async () => {
    const host = await createAgentHost({ config: agents({ model: undefined }) });
    expect(host.agent.models.defaults()).toEqual({ provider: 'offline', model: 'echo' });
    expect(text(await host.run('hello'))).toContain('You said: "hello"');
    await host.sessions.patch('agent:main:main', { modelOverride: 'offline/reasoner' });
    expect((await host.run('hello')).meta.agentMeta.model).toBe('reasoner');
  });

  it('of an agent come before the defaults', async () => {
    const host = await createAgentHost({ config: { agents: { list: [{ id: 'main' }, { id: 'deep', model: 'offline/reasoner' }] } } });
    expect((await host.run('[[offline: say x]]', { agentId: 'deep' })).meta.agentMeta.model).toBe('reasoner');
    expect((await host.run('[[offline: say x]]')).meta.agentMeta.model).toBe('script');
  });
});

describe('a completion outside any session', () => {
  it('calls the model once, without tools, and writes nothing', async () => {
    const host = await createAgentHost();
    const { text: said, message } = await host.agent.models.complete({ messages: [{ role: 'user', content: '[[offline: say alone]]', timestamp: 1 }] });
    expect([said, message.role]).toEqual(['alone', 'assistant']);
    expect(await host.entries()).toEqual([]);
    expect(host.leases()).toBe(0);
  });

  it('throws what the provider failed with, or the reason of its abort', async () => {
    const host = await createAgentHost();
    const ask = (content: string, signal?: AbortSignal) =>
      host.agent.models.complete({ messages: [{ role: 'user', content, timestamp: 1 }], ...(signal === undefined ? {} : { signal }) });
    await expect(ask('[[offline: throw broken]]')).rejects.toMatchObject({ code: 'DUR_PROVIDER_FAILED' });
    const controller = new AbortController();
    const pending = ask('[[offline: stall]]', controller.signal);
    controller.abort(new Error('enough'));
    await expect(pending).rejects.toThrow('enough');
    await expect(host.agent.models.complete({ model: 'nobody/x', messages: [] })).rejects.toMatchObject({ code: 'DUR_MODEL_UNKNOWN' });
    expect(host.leases()).toBe(0);
  });
});
