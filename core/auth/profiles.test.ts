import { spawn } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyDefaults } from '../config/defaults.ts';
import { resolvePaths } from '../config/paths.ts';
import { agentIds, parseProfiles, profilesFile, readProfiles, updateProfiles } from './profiles.ts';

let dir: string;
let count = 0;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durar-profiles-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));
function newFile(): string {
  count += 1;
  return join(dir, `agent-${count}`, 'auth-profiles.json');
}
const put = (file: string, id: string) =>
  updateProfiles(file, ({ profiles }) => void Object.assign(profiles, { [id]: { type: 'api_key', provider: 'p', key: 'k' } }));

const SECRET = 'sk-very-secret';

describe('where the credentials of an agent are', () => {
  const config = applyDefaults({ agents: { list: [{ id: 'Work' }, { id: 'own', agentDir: '~/.Durar/elsewhere' }] } });
  it('is a file of that agent below the state folder (OAUTH-018, OAUTH-019, OAUTH-027)', () => {
    const paths = resolvePaths({ env: { Durar_STATE_DIR: '/s', Durar_HOME: '/h' } });
    expect(agentIds(config)).toEqual(['main', 'work', 'own']);
    expect(profilesFile({ config, paths, agentId: 'main' })).toBe('/s/agents/main/agent/auth-profiles.json');
    expect(profilesFile({ config, paths, agentId: 'work' })).toBe('/s/agents/work/agent/auth-profiles.json');
    expect(profilesFile({ config, paths, agentId: 'own' })).toBe('/s/elsewhere/auth-profiles.json');
  });
});

describe('a store', () => {
  it('holds keys, tokens and sign-ins, texts and references (OAUTH-012, OAUTH-020, OAUTH-021, OAUTH-022, OAUTH-078)', async () => {
    const file = newFile();
    expect(await readProfiles(file)).toBeUndefined();
    const ref = { source: 'env', provider: 'default', id: 'KEY' };
    await updateProfiles(file, ({ profiles }) => {
      profiles['a:work'] = { type: 'api_key', provider: 'a', key: SECRET };
      profiles['a:personal'] = { type: 'api_key', provider: 'a', keyRef: ref };
      profiles['a:inline'] = { type: 'api_key', provider: 'a', key: ref };
      profiles['b:default'] = { type: 'token', provider: 'b', tokenRef: ref, expires: 5 };
      profiles['c:me@x.org'] = { type: 'oauth', provider: 'c', access: 'a', refresh: 'r', expires: 1, accountId: 'i' };
    });
    expect(Object.keys((await readProfiles(file))?.profiles ?? {})).toHaveLength(5);
    expect([(await stat(file)).mode & 0o777, (await stat(join(file, '..'))).mode & 0o777]).toEqual([0o600, 0o700]);
  });

  it('keeps what this version does not know', async () => {
    const file = newFile();
    const odd = { type: 'passkey', whatever: [1] };
    const text = JSON.stringify({
      version: 1,
      later: { x: 1 },
      profiles: { odd, k: { type: 'api_key', provider: 'p', key: 'k', extra: 7 } },
      usageStats: { k: { other: 1 } },
    });
    await updateProfiles(file, () => false);
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
    await writeFile(file, text);
    await updateProfiles(file, (store) => {
      store.order = { p: ['k'] };
    });
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ ...JSON.parse(text), order: { p: ['k'] } });
  });

  it.each([
    [`{"profiles": {"a": ${SECRET}`, 'it is not JSON', undefined],
    ['[]', 'it is not an object', undefined],
    [{ version: 2 }, 'only version 1 is known here', '/version'],
    [{ profiles: [] }, 'it is not an object', '/profiles'],
    [{ profiles: { 'a/b': SECRET } }, 'it is not an object', '/profiles/a~1b'],
    [{ profiles: { a: { key: SECRET } } }, 'it has no type', '/profiles/a'],
    [{ profiles: { a: { type: 'api_key', key: SECRET } } }, 'it names no provider', '/profiles/a/provider'],
    [{ profiles: { a: { type: 'token', provider: 'p', token: [SECRET] } } }, 'it is not a text', '/profiles/a/token'],
    [{ profiles: { a: { type: 'oauth', provider: 'p', refresh: 7 } } }, 'it is not a text', '/profiles/a/refresh'],
    [{ order: { p: 'a' } }, 'it is not a list', '/order/p'],
    [{ order: { p: [1] } }, 'it is not a text', '/order/p/0'],
    [{ lastGood: { p: 1 } }, 'it is not a text', '/lastGood/p'],
    [{ usageStats: { a: { cooldownUntil: 'x' } } }, 'it is not a number', '/usageStats/a/cooldownUntil'],
    [{ usageStats: { a: { failureCounts: { auth: '1' } } } }, 'it is not a number', '/usageStats/a/failureCounts/auth'],
    ['{"profiles": {"__proto__": {}}}', 'that name cannot be used', '/profiles/__proto__'],
  ])('%j is refused with its place and without its values', (content, reason, pointer) => {
    let thrown: unknown;
    try {
      parseProfiles(typeof content === 'string' ? content : JSON.stringify(content), '/f');
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      code: 'DUR_AUTH_STORE',
      owner: { file: '/f', ...(pointer === undefined ? {} : { pointer }) },
      message: expect.stringContaining(reason),
    });
    expect(JSON.stringify(thrown) + String((thrown as Error).stack)).not.toContain(SECRET);
  });

  it('may be a link, and stays one', async () => {
    const [file, link] = [newFile(), newFile()];
    await put(file, 'one');
    await mkdir(dirname(link));
    await symlink(file, link);
    await put(link, 'two');
    expect(Object.keys((await readProfiles(file))?.profiles ?? {})).toEqual(['one', 'two']);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
  });

  it('that an edit would spoil stays as it is', async () => {
    const file = newFile();
    await put(file, 'k');
    const before = await readFile(file, 'utf8');
    await expect(updateProfiles(file, ({ profiles }) => void Object.assign(profiles, { k: 7 }))).rejects.toMatchObject({ code: 'DUR_AUTH_STORE' });
    expect(await readFile(file, 'utf8')).toBe(before);
  });
});

describe('writers in several processes', () => {
  const WRITER = `
    import { updateProfiles } from ${JSON.stringify(fileURLToPath(new URL('./profiles.ts', import.meta.url)))};
    const [file, name, times] = process.argv.slice(1);
    for (let n = 0; n < Number(times); n += 1)
      await updateProfiles(file, ({ profiles }) => { profiles[name + ':' + n] = { type: 'api_key', provider: name, key: 'k'.repeat(2000) }; });`;
  const start = (file: string, name: string, times: number) =>
    spawn(process.execPath, ['--input-type=module', '--eval', WRITER, '--', file, name, String(times)], { stdio: ['ignore', 'ignore', 'inherit'] });

  it('lose no change of each other', async () => {
    const file = newFile();
    const ended = ['a', 'b', 'c'].map((name) => new Promise((resolve) => start(file, name, 12).on('exit', resolve)));
    expect(await Promise.all(ended)).toEqual([0, 0, 0]);
    expect(Object.keys((await readProfiles(file))?.profiles ?? {})).toHaveLength(36);
  }, 60_000);

  it('that are killed leave an old or a new file, and a lock that the next one clears', async () => {
    const file = newFile();
    for (let round = 0; round < 4; round += 1) {
      const child = start(file, `r${round}`, 1_000_000);
      const ended = new Promise((resolve) => child.on('exit', resolve));
      const before = Object.keys((await readProfiles(file))?.profiles ?? {}).length;
      while (Object.keys((await readProfiles(file))?.profiles ?? {}).length < before + 3 + round) await new Promise((resolve) => setTimeout(resolve, 5));
      child.kill('SIGKILL');
      await ended;
      const kept = Object.keys((await readProfiles(file))?.profiles ?? {}).length;
      await put(file, `after:${round}`);
      expect((await readdir(dirname(file))).filter((name) => name.startsWith('auth-profiles.json.'))).toEqual([]);
      expect(Object.keys((await readProfiles(file))?.profiles ?? {})).toHaveLength(kept + 1);
    }
  }, 60_000);
});
