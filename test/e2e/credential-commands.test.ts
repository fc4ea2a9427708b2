import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createMachine, type Machine } from './gateway-process.ts';

let machine: Machine;
beforeAll(async () => {
  machine = await createMachine({
    agents: { defaults: { model: 'openai/gpt-5' }, list: [{ id: 'main' }, { id: 'work' }] },
    auth: { order: { listed: ['listed:a'] } },
  });
});
afterAll(() => machine.remove());
beforeEach(() => writeStore({ version: 1, profiles: {} }));

const fileOf = (agentId: string) => join(machine.stateDir, 'agents', agentId, 'agent/auth-profiles.json');
const read = async (agentId = 'main') => JSON.parse(await readFile(fileOf(agentId), 'utf8'));
const NO_KEYS = { OPENAI_API_KEY: '' };
const durar = (args: string[], input?: string, env: NodeJS.ProcessEnv = NO_KEYS) =>
  machine.cli(['models', ...args], { env, ...(input === undefined ? {} : { input }) });

async function writeStore(content: object): Promise<void> {
  await mkdir(dirname(fileOf('main')), { recursive: true, mode: 0o700 });
  await writeFile(fileOf('main'), JSON.stringify(content), { mode: 0o600 });
}

describe('durar models auth', () => {
  it('add keeps a key in a private file and says nothing of it (OAUTH-021, OAUTH-076)', async () => {
    const done = await durar(['auth', 'add', '--provider', 'OpenAI', '--json'], 'sk-typed\n');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.json()).toMatchObject({ ok: true, agentId: 'main', profileId: 'openai:default', type: 'api_key', applied: { gateway: 'stopped' } });
    expect(done.stdout).not.toContain('sk-typed');
    expect((await read()).profiles).toEqual({ 'openai:default': { type: 'api_key', provider: 'openai', key: 'sk-typed' } });
    expect((await stat(fileOf('main'))).mode & 0o777).toBe(0o600);
    await durar(['auth', 'add', '--provider', 'openai', '--agent', 'work'], 'sk-of-work');
    expect((await read('work')).profiles['openai:default'].key).toBe('sk-of-work');
    expect((await read()).profiles['openai:default'].key).toBe('sk-typed');
  });

  it('add takes a reference that resolves, and a text that looks like one as it is', async () => {
    const ref = ['auth', 'add', '--provider', 'p', '--ref', 'env:default:MY_KEY'];
    expect(await durar(ref)).toMatchObject({ code: 1, stderr: expect.stringContaining("profiles.p:default.keyRef' cannot be resolved") });
    expect((await read()).profiles).toEqual({});
    expect(await durar(ref, undefined, { MY_KEY: 'v' })).toMatchObject({ code: 0 });
    await durar(['auth', 'add', '--provider', 'q'], ['a$', '{HOME}b'].join(''));
    expect((await read()).profiles).toEqual({
      'p:default': { type: 'api_key', provider: 'p', keyRef: { source: 'env', provider: 'default', id: 'MY_KEY' } },
      'q:default': { type: 'api_key', provider: 'q', key: ['a$$', '{HOME}b'].join('') },
    });
    expect((await durar(['auth', 'list', '--json'])).json<{ profiles: unknown[] }>().profiles).toMatchObject([
      { profileId: 'p:default', source: 'ref', state: 'ok', place: 1 },
      { profileId: 'q:default', source: 'text' },
    ]);
  });

  it('paste-token keeps when it ends (OAUTH-032)', async () => {
    const before = Date.now();
    expect(await durar(['auth', 'paste-token', '--provider', 'anthropic', '--expires-in', '2h'], 'tok')).toMatchObject({ code: 0 });
    const { token, expires, type } = (await read()).profiles['anthropic:manual'];
    expect([token, type]).toEqual(['tok', 'token']);
    expect(expires - before).toBeGreaterThanOrEqual(7_200_000);
  });

  it('a new credential starts clean, and an order that leaves it out is told', async () => {
    const usageStats = { 'listed:b': { cooldownUntil: Date.now() + 1e7, errorCount: 3 } };
    await writeStore({ version: 1, profiles: { 'listed:b': { type: 'api_key', provider: 'listed', key: 'k' } }, usageStats });
    const { stderr } = await durar(['auth', 'add', '--provider', 'listed', '--profile-id', 'b'], 'new');
    expect(stderr).toContain('takes the place');
    expect(stderr).toContain("The order of 'listed' leaves it out");
    expect((await read()).usageStats).toEqual({});
  });

  it('order is set, shown and cleared; what is removed leaves it', async () => {
    for (const name of ['a', 'b', 'c']) await durar(['auth', 'add', '--provider', 'p', '--profile-id', name], name);
    expect(await durar(['auth', 'order', 'set', '--provider', 'p', 'c', 'p:a'])).toMatchObject({ code: 0 });
    expect((await durar(['auth', 'order', 'get', '--provider', 'p', '--json'])).json()).toMatchObject({
      from: 'store',
      order: ['p:c', 'p:a'],
      tried: ['p:c', 'p:a'],
    });
    await durar(['auth', 'remove', 'p:c']);
    expect((await read()).order).toEqual({ p: ['p:a'] });
    await durar(['auth', 'order', 'clear', '--provider', 'p']);
    expect((await durar(['auth', 'order', 'get', '--provider', 'p', '--json'])).json()).toMatchObject({ from: 'none', order: null, tried: ['p:a', 'p:b'] });
    expect((await durar(['auth', 'order', 'get', '--provider', 'listed', '--json'])).json()).toMatchObject({ from: 'config', order: ['listed:a'], tried: [] });
  });

  it.each([
    [['auth', 'add'], 'name a provider'],
    [['auth', 'add', '--provider', 'p', '--profile-id', 'q:x'], "must begin with 'p:'"],
    [['auth', 'add', '--provider', 'p', '--profile-id', '__proto__'], 'is not a name for a profile'],
    [['auth', 'add', '--provider', 'p', '--agent', 'nobody'], "there is no agent 'nobody'"],
    [['auth', 'add', '--provider', 'p', '--ref', 'MY_KEY'], 'write it as <source>:<alias>:<id>'],
    [['auth', 'add', '--provider', 'p'], 'no API key was given'],
    [['auth', 'paste-token', '--provider', 'p', '--expires-in', 'soon'], 'is not a duration'],
    [['auth', 'remove', 'p:gone'], "there is no profile 'p:gone'"],
    [['auth', 'order', 'set', '--provider', 'p', 'gone'], "there is no profile 'gone'"],
    [['auth', 'order'], "'durar models auth order' needs a subcommand"],
  ])('%j is refused and changes nothing', async (args, told) => {
    const result = await durar(args);
    expect([result.code === 0, result.stderr]).toEqual([false, expect.stringContaining(told)]);
    expect((await read()).profiles).toEqual({});
  });
});

describe('durar models status', () => {
  const status = async (env: NodeJS.ProcessEnv = NO_KEYS, more: string[] = []) => {
    const result = await durar(['status', '--check', '--json', ...more], undefined, env);
    const { auth, defaultModel } = result.json<{
      defaultModel: string;
      auth: { providers: Array<{ provider: string; effective: object }>; missing: string[] };
    }>();
    return { code: result.code, defaultModel, missing: auth.missing, own: auth.providers.find(({ provider }) => provider === 'openai')?.effective };
  };

  it('tells what pays for the model of an agent, and fails where nothing does (OAUTH-048)', async () => {
    expect(await status()).toEqual({ code: 1, defaultModel: 'openai/gpt-5', missing: ['openai'], own: { kind: 'none', detail: '' } });
    expect(await status({ OPENAI_API_KEY: 'k' })).toMatchObject({ code: 0, missing: [], own: { kind: 'env', detail: 'OPENAI_API_KEY' } });
    await durar(['auth', 'add', '--provider', 'openai'], 'k');
    expect(await status({ OPENAI_API_KEY: 'k' })).toMatchObject({ code: 0, own: { kind: 'profile', profileId: 'openai:default' } });
    const text = await durar([]);
    expect(text.stdout).toMatch(/openai\s+profile openai:default \(api_key\)/);
  });

  it('warns of one that ends within a day, and fails for one that has', async () => {
    const profile = (expires: number) => ({ version: 1, profiles: { 'openai:t': { type: 'token', provider: 'openai', token: 't', expires } } });
    await writeStore(profile(Date.now() + 3_600_000));
    expect(await status()).toMatchObject({ code: 2, missing: [] });
    await writeStore(profile(Date.now() - 1));
    expect(await status()).toMatchObject({ code: 1, missing: ['openai'] });
    await writeStore(profile(Date.now() + 1e9));
    expect(await status()).toMatchObject({ code: 0, missing: [] });
  });
});

describe('durar doctor', () => {
  const checks = async (args: string[] = []) => {
    const all = (await machine.cli(['doctor', '--json', ...args])).json<{ checks: Array<{ id: string; status: string; message: string }> }>().checks;
    return all.filter(({ id, message }) => id === 'credentials.main' || message.includes('auth-profiles'));
  };

  it('tells which stored credentials cannot be used, and makes their file private', async () => {
    const key = (provider: string) => ({ type: 'api_key', provider, key: 'sk-hidden' });
    await writeStore({
      version: 1,
      profiles: { 'a:x': key('a'), 'b:x': { type: 'token', provider: 'b', token: 't', expires: 1 } },
      usageStats: { 'a:x': { cooldownUntil: Date.now() + 1e6, cooldownReason: 'rate_limit' } },
    });
    await chmod(fileOf('main'), 0o644);
    const found = await checks(['--fix']);
    expect(found).toEqual([
      expect.objectContaining({ id: 'credentials.main', status: 'warn', message: expect.stringMatching(/a:x rests until .*\(rate_limit\)/) }),
      expect.objectContaining({ id: 'credentials.main', status: 'warn', message: expect.stringContaining('b:x cannot be used: expired') }),
      expect.objectContaining({ id: 'permissions', status: 'ok', message: expect.stringContaining('had mode 644') }),
    ]);
    expect((await stat(fileOf('main'))).mode & 0o777).toBe(0o600);
    await writeFile(fileOf('main'), '{"profiles": "sk-hidden"}');
    const broken = await checks();
    expect(broken).toEqual([expect.objectContaining({ status: 'error', message: expect.stringContaining('at profiles: it is not an object') })]);
    expect(JSON.stringify([found, broken])).not.toContain('sk-hidden');
  });
});
