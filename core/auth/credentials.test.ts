import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyDefaults } from '../config/defaults.ts';
import { resolvePaths } from '../config/paths.ts';
import { silentLogger } from '../logging/logger.ts';
import { activateSecrets, PROFILE_FIELDS } from '../secrets/activate.ts';
import { type CredentialRequest, type Credentials, createCredentials } from './credentials.ts';
import type { ProfileStore } from './profiles.ts';

let dir: string;
let now: number;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durar-credentials-'));
  now = 1_800_000_000_000;
});
afterEach(async () => {
  await Promise.all(made.splice(0).map((credentials) => credentials.flush()));
  await rm(dir, { recursive: true, force: true });
});
const made: Credentials[] = [];

const key = (text: string, provider = 'p') => ({ type: 'api_key', provider, key: text });
const at = (agentId: string, name = 'auth-profiles.json') => join(dir, 'agents', agentId, 'agent', name);
async function write(file: string, content: unknown): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
}
const stored = async (agentId = 'main') => JSON.parse(await readFile(at(agentId), 'utf8')) as ProfileStore;

/** Activates as the gateway does. */
async function activate(config: object = {}, { env = {}, credentials = create() }: { env?: Record<string, string>; credentials?: Credentials } = {}) {
  const complete = applyDefaults(config);
  const prepared = await credentials.prepare(complete);
  const documents = prepared.documents.map((document) => ({ ...document, fields: PROFILE_FIELDS }));
  const source = async () => ({
    source: 'env',
    resolve: async ({ ids }: { ids: string[] }) => ({ values: Object.fromEntries(ids.flatMap((id) => (env[id] === undefined ? [] : [[id, env[id]]]))) }),
  });
  const activated = await activateSecrets({ config: complete, env, source: source as never, documents });
  const resolved = { ...activated.resolved };
  const values = prepared.bind(resolved, activated.documents);
  return {
    credentials,
    errors: [...prepared.errors, ...activated.errors],
    values,
    use: (request: Partial<CredentialRequest> = {}) => credentials.credentialFor(resolved, { provider: 'p', agentId: 'main', ...request }),
  };
}
function create(): Credentials {
  const credentials = createCredentials({ paths: resolvePaths({ env: { Durar_STATE_DIR: dir } }), log: silentLogger, now: () => now });
  made.push(credentials);
  return credentials;
}

describe('the credential of a run', () => {
  it('is that of its own agent and of nobody else (OAUTH-018, OAUTH-072)', async () => {
    await write(at('main'), { version: 1, profiles: { 'p:default': key('of-main') } });
    await write(at('work'), { version: 1, profiles: { 'p:default': key('of-work') } });
    const { use, values } = await activate({ agents: { list: [{ id: 'work' }, { id: 'bare' }] } });
    expect([use()?.apiKey, use({ agentId: 'Work', provider: 'P' })?.apiKey, use({ agentId: 'bare' })]).toEqual(['of-main', 'of-work', undefined]);
    expect(values.sort()).toEqual(['of-main', 'of-work']);
  });

  it('comes from its reference, as it was at the activation (OAUTH-022, OAUTH-030, SEC-213, AMB-111)', async () => {
    const ref = (id: string) => ({ source: 'env', provider: 'default', id });
    const profiles = {
      'p:beside': { type: 'api_key', provider: 'p', keyRef: ref('ONE') },
      'q:inside': { type: 'token', provider: 'q', token: ref('TWO') },
      'r:both': { type: 'token', provider: 'r', token: 'plain', tokenRef: ref('ONE') },
    };
    await write(at('main'), { version: 1, profiles });
    const env: Record<string, string> = { ONE: 'one-1', TWO: 'two-1', THREE: 'three' };
    const first = await activate({}, { env });
    const seen = ({ use }: typeof first) => ['p', 'q', 'r'].map((provider) => use({ provider })?.apiKey);
    expect(seen(first)).toEqual(['one-1', 'two-1', 'one-1']);
    env.ONE = 'one-2';
    await write(at('main'), { version: 1, profiles: { ...profiles, 'p:beside': { type: 'api_key', provider: 'p', keyRef: ref('THREE') } } });
    expect(seen(first)).toEqual(['one-1', 'two-1', 'one-1']);
    expect(seen(await activate({}, { env }))).toEqual(['three', 'two-1', 'one-2']);
    expect((await stored()).profiles['p:beside']).toEqual({ type: 'api_key', provider: 'p', keyRef: ref('THREE') });
  });

  it('that a reference does not give, or that a sign-in may not refer to, fails the activation with its place (SEC-008, SEC-122)', async () => {
    const ref = { source: 'env', provider: 'default', id: 'GONE' };
    await write(at('main'), {
      version: 1,
      profiles: { 'p:a': { type: 'api_key', provider: 'p', keyRef: ref }, 'q:a': { type: 'oauth', provider: 'q', access: 'a', refresh: ref } },
    });
    const { errors } = await activate();
    expect(errors.map(({ code, owner }) => [code, owner.pointer, owner.file])).toEqual(
      expect.arrayContaining([
        ['DUR_SECRET_OAUTH', '/profiles/q:a/refresh', at('main')],
        ['DUR_SECRET_UNRESOLVED', '/profiles/p:a/keyRef', at('main')],
      ]),
    );
  });

  it('every broken file is told at once', async () => {
    await write(at('main'), '{');
    await write(at('work'), { profiles: 7 });
    const { errors } = await activate({ agents: { list: [{ id: 'work' }] } });
    expect(errors.map(({ code, owner }) => [code, owner.file])).toEqual([
      ['DUR_AUTH_STORE', at('main')],
      ['DUR_AUTH_STORE', at('work')],
    ]);
  });
});

describe('several profiles of one provider', () => {
  const profiles = { 'p:a': key('A'), 'p:b': key('B'), 'p:c': key('C') };

  it('take turns from session to session, and a session stays with its own (OAUTH-013)', async () => {
    await write(at('main'), { version: 1, profiles });
    const { use, credentials } = await activate();
    for (const expected of ['A', 'B', 'C', 'A']) {
      const one = use();
      expect(one?.apiKey).toBe(expected);
      now += 1000;
      one?.succeeded();
    }
    for (let time = 0; time < 10; time += 1) expect(use({ preferred: 'p:c' })?.apiKey).toBe('C');
    await credentials.flush();
    expect(await stored()).toMatchObject({ profiles, lastGood: { p: 'p:a' }, usageStats: { 'p:a': { lastUsed: now } } });
  });

  it('the next one stands in for one that fails, which rests then; on disk too (OAUTH-083)', async () => {
    await write(at('main'), { version: 1, profiles });
    const { use, credentials } = await activate({ auth: { order: { p: ['p:a', 'p:b'] } } });
    const one = use();
    expect(one?.failed('timeout')).toBeUndefined();
    expect(one?.failed('auth')).toBe(0);
    expect([one?.profileId, one?.apiKey]).toEqual(['p:b', 'B']);
    expect(one?.failed('billing')).toBeUndefined();
    await credentials.flush();
    expect((await stored()).usageStats).toMatchObject({
      'p:a': { cooldownUntil: now + 60_000, cooldownReason: 'auth', errorCount: 1 },
      'p:b': { disabledUntil: now + 5 * 3_600_000, disabledReason: 'billing' },
    });
    // a new process knows it from the file
    expect((await activate({ auth: { order: { p: ['p:b', 'p:a', 'p:c'] } } })).use({ preferred: 'p:b' })?.profileId).toBe('p:c');
    now += 61_000;
    expect(use()?.profileId).toBe('p:a');
  });

  it('all at rest, the one that is back the soonest is tried', async () => {
    await write(at('main'), {
      version: 1,
      profiles,
      usageStats: { 'p:a': { cooldownUntil: now + 9 }, 'p:b': { cooldownUntil: now + 5 }, 'p:c': { disabledUntil: now + 7 } },
    });
    const one = (await activate()).use();
    expect(one?.profileId).toBe('p:b');
    expect(one?.failed('auth')).toBeUndefined();
  });

  it('are changed at most so often for a limit of the rate as the configuration says', async () => {
    await write(at('main'), { version: 1, profiles });
    const limited = (await activate()).use();
    expect([limited?.failed('rate_limit'), limited?.failed('rate_limit')]).toEqual([0, undefined]);
    now += 3_600_000;
    const patient = (await activate({ auth: { cooldowns: { rateLimitedProfileRotations: 2, overloadedBackoffMs: 30 } } })).use();
    expect([patient?.failed('rate_limit'), patient?.failed('rate_limit'), patient?.failed('rate_limit')]).toEqual([0, 0, undefined]);
    now += 3_600_000;
    expect((await activate({ auth: { cooldowns: { overloadedBackoffMs: 30 } } })).use()?.failed('overloaded')).toBe(30);
  });

  it('one that a person chose is used and no other (OAUTH-080)', async () => {
    await write(at('main'), { version: 1, profiles: { ...profiles, 'p:old': { type: 'token', provider: 'p', token: 't', expires: 5 }, 'q:x': key('X', 'q') } });
    const { use } = await activate({ auth: { order: { p: ['p:a'] } } });
    const one = use({ pinned: 'p:c' });
    expect([one?.apiKey, one?.failed('auth'), one?.apiKey, use({ pinned: 'b' })?.apiKey]).toEqual(['C', undefined, 'C', 'B']);
    expect(use({ pinned: 'p:c' })?.apiKey).toBe('C');
    expect(() => use({ pinned: 'p:gone' })).toThrow(expect.objectContaining({ code: 'DUR_AUTH_PROFILE_UNKNOWN' }));
    expect(() => use({ pinned: 'constructor' })).toThrow(expect.objectContaining({ code: 'DUR_AUTH_PROFILE_UNKNOWN' }));
    expect(() => use({ pinned: 'p:old' })).toThrow(expect.objectContaining({ code: 'DUR_AUTH_PROFILE_UNUSABLE', message: expect.stringContaining('expired') }));
    expect(() => use({ pinned: 'q:x' })).toThrow(
      expect.objectContaining({ code: 'DUR_AUTH_PROFILE_UNUSABLE', message: expect.stringContaining("belongs to 'q'") }),
    );
    expect(() => use({ agentId: 'bare', pinned: 'p:a' })).toThrow(expect.objectContaining({ code: 'DUR_AUTH_PROFILE_UNKNOWN' }));
  });

  it('keep what others did to the file meanwhile', async () => {
    await write(at('main'), { version: 1, profiles });
    const { use, credentials } = await activate();
    use()?.failed('auth');
    use({ pinned: 'p:c' })?.succeeded();
    await write(at('main'), { version: 1, profiles: { 'p:a': key('new') } });
    await credentials.flush();
    await credentials.flush();
    expect(await stored()).toMatchObject({ profiles: { 'p:a': { key: 'new' } } });
    expect((await stored()).usageStats).not.toHaveProperty('p:c');
  });
});

describe('static keys of an older auth.json', () => {
  const oauth = { type: 'oauth', access: 'a', refresh: 'r', expires: 1 };

  it('are kept in the store and gone from there; sign-ins stay (OAUTH-023, OAUTH-024, OAUTH-028, SEC-212, SEC-214, SEC-215, AMB-094)', async () => {
    await write(at('main', 'auth.json'), { p: { type: 'api_key', key: 'old-p' }, q: { type: 'api_key', key: 'old-q' }, r: oauth, s: { type: 'api_key' } });
    await write(at('main'), { version: 1, profiles: { 'q:mine': key('new-q', 'q') } });
    const { use } = await activate();
    expect([use()?.apiKey, use({ provider: 'q' })?.apiKey, use({ provider: 'r' })]).toEqual(['old-p', 'new-q', undefined]);
    expect(JSON.parse(await readFile(at('main', 'auth.json'), 'utf8'))).toEqual({ r: oauth });
    expect((await stored()).profiles).toEqual({ 'q:mine': key('new-q', 'q'), 'p:default': key('old-p') });
    expect((await stat(at('main'))).mode & 0o777).toBe(0o600);
  });

  it('a file that is broken, or cannot be emptied, stops nothing', async () => {
    await write(at('main', 'auth.json'), '[]');
    await write(at('main'), { version: 1, profiles: { 'p:mine': key('mine') } });
    const { use, errors } = await activate();
    expect([errors, use()?.apiKey, await readFile(at('main', 'auth.json'), 'utf8')]).toEqual([[], 'mine', '[]']);
  });

  it('a file of them alone is removed, and one of sign-ins alone is not touched', async () => {
    await write(at('main', 'auth.json'), { p: { type: 'api_key', key: 'old-p' } });
    await write(at('work', 'auth.json'), `{"r":${JSON.stringify(oauth)}  }`);
    const { use } = await activate({ agents: { list: [{ id: 'work' }] } });
    await expect(stat(at('main', 'auth.json'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readFile(at('work', 'auth.json'), 'utf8')).toContain('}  }');
    expect(use()?.apiKey).toBe('old-p');
  });
});
