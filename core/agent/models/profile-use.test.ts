import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type AssistantMessage, emptyUsage, type ModelApi, type ProviderErrorKind, type ProviderRequest } from '../../../sdk/index.ts';
import { type AgentHost, createAgentHost } from '../../../test/agent-host.ts';
import { createCredentials } from '../../auth/credentials.ts';
import { resolvePaths } from '../../config/paths.ts';
import { silentLogger } from '../../logging/logger.ts';

interface Stage {
  host: AgentHost;
  /** The key of each call. */
  keys: Array<string | undefined>;
  /** How calls with a key fail, and what they say before. */
  bad: Map<string, { kind: ProviderErrorKind; said?: string }>;
  usage(): Promise<Record<string, { cooldownUntil?: number; disabledUntil?: number; lastUsed?: number }>>;
}

const PROFILES = Object.fromEntries(['a', 'b', 'c'].map((name) => [`fake:${name}`, { type: 'api_key', provider: 'fake', key: name.toUpperCase() }]));

async function stage({ auth = {}, provider = {}, store = {} }: { auth?: object; provider?: object; store?: object } = {}): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), 'durar-profile-use-'));
  const file = join(dir, 'agents/main/agent/auth-profiles.json');
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, JSON.stringify({ version: 1, profiles: PROFILES, ...store }));
  const credentials = createCredentials({ paths: resolvePaths({ env: { Durar_STATE_DIR: dir } }), log: silentLogger });
  onTestFinished(async () => {
    await credentials.flush();
    await rm(dir, { recursive: true, force: true });
  });
  const keys: Stage['keys'] = [];
  const bad: Stage['bad'] = new Map();
  const config = {
    auth,
    agents: { defaults: { model: 'fake/m', models: { 'fake/m': { alias: 'Opus' }, 'fake/n': {} } } },
    models: { providers: { fake: { baseUrl: 'http://x', api: 'fake-api', apiKey: 'of-the-configuration', models: [{ id: 'm' }, { id: 'n' }], ...provider } } },
  };
  const host = await createAgentHost({ config, modelApis: [api(keys, bad)], credentials });
  const prepared = await credentials.prepare(host.source.current().config);
  prepared.bind(
    host.source.current().resolvedConfig,
    prepared.documents.map(({ value }) => value),
  );
  return {
    host,
    keys,
    bad,
    async usage() {
      await credentials.flush();
      return JSON.parse(await readFile(file, 'utf8')).usageStats ?? {};
    },
  };
}

function api(keys: Stage['keys'], bad: Stage['bad']): ModelApi {
  return {
    id: 'fake-api',
    async *stream({ apiKey = '', model }: ProviderRequest) {
      keys.push(apiKey);
      const failure = bad.get(apiKey);
      const message: AssistantMessage = {
        role: 'assistant',
        content: [{ type: 'text', text: `paid by ${apiKey}` }],
        ...{ api: 'fake-api', provider: model.provider, model: model.id, usage: emptyUsage(), stopReason: 'stop', timestamp: 1 },
      };
      if (failure?.said !== undefined) yield { type: 'text_delta', contentIndex: 0, delta: failure.said, partial: message };
      if (failure === undefined) yield { type: 'done', reason: 'stop', message };
      else yield { type: 'error', reason: 'error', kind: failure.kind, error: { ...message, content: [], errorMessage: 'refused' } };
    },
  };
}

/** Of somebody whose messages may hold commands. */
const scopes = ['operator.admin'];
const text = (result: { payloads: Array<{ text?: string }> }) => result.payloads[0]?.text;

describe('a run', () => {
  it('is paid by a stored credential before that of the configuration (OAUTH-011, AMB-106)', async () => {
    const { host, keys } = await stage();
    expect(text(await host.run('hi'))).toBe('paid by A');
    expect(keys).toEqual(['A']);
    expect(await host.agent.models.credential('fake')).toMatchObject({ source: expect.stringMatching(/^profile: fake:/) });
    const bare = await stage({ store: { profiles: {} } });
    expect(text(await bare.host.run('hi'))).toBe('paid by of-the-configuration');
  });

  it.each(['auth', 'billing', 'rate_limit', 'overloaded'] as const)('goes on with the next one after %s, and nobody sees it (OAUTH-083)', async (kind) => {
    const { host, keys, bad, usage } = await stage({ auth: { order: { fake: ['fake:b', 'fake:a'] } } });
    bad.set('B', { kind });
    const result = await host.run('hi');
    expect([text(result), result.error, keys]).toEqual(['paid by A', undefined, ['B', 'A']]);
    expect((await host.messages()).map(({ role }) => role)).toEqual(['user', 'assistant']);
    expect(await host.run('again').then(text)).toBe('paid by A');
    const { 'fake:b': tired, 'fake:a': good } = await usage();
    expect(Math.max(tired?.cooldownUntil ?? 0, tired?.disabledUntil ?? 0)).toBeGreaterThan(Date.now());
    expect(good?.lastUsed).toBeGreaterThan(0);
  });

  it('ends where no other one helps, is left, or when something was said already', async () => {
    const order = { order: { fake: ['fake:a', 'fake:b'] } };
    const format = await stage({ auth: order });
    format.bad.set('A', { kind: 'format' });
    expect([(await format.host.run('hi')).error?.code, format.keys, await format.usage()]).toEqual(['DUR_PROVIDER_FAILED', ['A'], {}]);

    const all = await stage({ auth: order });
    for (const name of ['A', 'B']) all.bad.set(name, { kind: 'auth' });
    expect([(await all.host.run('hi')).error?.code, all.keys]).toEqual(['DUR_PROVIDER_FAILED', ['A', 'B']]);

    const late = await stage({ auth: order });
    late.bad.set('A', { kind: 'rate_limit', said: 'Well' });
    expect([(await late.host.run('hi')).error?.code, late.keys]).toEqual(['DUR_PROVIDER_FAILED', ['A']]);
    expect(await late.host.run('hi').then(text)).toBe('paid by B');
  });

  it('a completion outside any session goes on as well', async () => {
    const { host, bad } = await stage({ auth: { order: { fake: ['fake:a', 'fake:b'] } } });
    bad.set('A', { kind: 'auth' });
    expect((await host.agent.models.complete({ messages: [{ role: 'user', content: 'x', timestamp: 1 }] })).text).toBe('paid by B');
  });
});

describe('a session', () => {
  it('keeps its profile while others take turns, until it is reset or compacted (OAUTH-013)', async () => {
    const { host } = await stage();
    const [first, second] = ['agent:main:one', 'agent:main:two'];
    const say = async (sessionKey: string) => text(await host.run('hi', { sessionKey }));
    expect(await say(first)).toBe('paid by A');
    expect(await say(second)).toBe('paid by B');
    for (let time = 0; time < 10; time += 1) expect(await say(first)).toBe('paid by A');
    expect((await host.sessions.get(first))?.extra).toMatchObject({
      authProfileOverride: 'fake:a',
      authProfileOverrideSource: 'auto',
      authProfileOverrideCompactionCount: 0,
    });
    await host.sessions.patch(first, { compactionCount: 1 });
    expect(await say(first)).toBe('paid by C');
    expect(await say(second)).toBe('paid by B');
    await host.agent.reset({ sessionKey: second, reason: 'new' });
    expect((await host.sessions.get(second))?.extra).not.toHaveProperty('authProfileOverride');
    expect(await say(second)).toBe('paid by A');
  });

  it('with one that a person chose uses it alone (OAUTH-080, OAUTH-081)', async () => {
    const { host, bad, keys } = await stage({ auth: { order: { fake: ['fake:a', 'fake:b'] } } });
    const session = 'agent:main:pinned';
    await host.run('hi', { sessionKey: session });
    expect(text(await host.run('/model Opus@fake:c', { sessionKey: session, scopes }))).toBe('Model set to fake/m with the profile fake:c.');
    expect(text(await host.run('hi', { sessionKey: session }))).toBe('paid by C');
    expect((await host.sessions.get(session))?.extra).toMatchObject({ authProfileOverride: 'fake:c', authProfileOverrideSource: 'user' });
    expect(text(await host.run('hi', { sessionKey: 'agent:main:other' }))).toBe('paid by A');
    // for another model nobody chose it
    expect(text(await host.run('hi', { sessionKey: session, model: 'fake/n' }))).toBe('paid by A');
    bad.set('C', { kind: 'auth' });
    keys.length = 0;
    expect([(await host.run('hi', { sessionKey: session })).error?.code, keys]).toEqual(['DUR_PROVIDER_FAILED', ['C']]);
    expect(text(await host.run('/model default', { sessionKey: session, scopes }))).toContain('reset to default');
    expect(text(await host.run('hi', { sessionKey: session }))).toBe('paid by A');
  });

  it('one inside a message holds for that message', async () => {
    const { host } = await stage({ auth: { order: { fake: ['fake:a'] } } });
    expect(text(await host.run('please /model Opus@fake:b say hi', { scopes }))).toBe('paid by B');
    expect(text(await host.run('hi'))).toBe('paid by A');
  });

  it('one that is not there fails the run by its name', async () => {
    const { host, keys } = await stage();
    const { error } = await host.run('hi', { authProfile: 'fake:gone' });
    expect([error?.code, error?.message, keys]).toEqual(['DUR_AUTH_PROFILE_UNKNOWN', "there is no profile 'fake:gone' for 'fake'", []]);
  });
});
