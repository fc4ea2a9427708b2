// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${VAR} is the syntax of the file
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { patchIn, setIn, unsetIn } from './edit.ts';
import { loadConfig } from './load.ts';
import { type Paths, resolvePaths } from './paths.ts';
import { REDACTED } from './redact.ts';
import { type WriteOptions, writeConfig } from './write.ts';

let home: string;
let paths: Paths;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'durar-write-'));
  paths = resolvePaths({ env: { Durar_HOME: home } });
  await mkdir(paths.stateDir, { recursive: true });
});

afterEach(() => rm(home, { recursive: true, force: true }));

const write = (edit: WriteOptions['edit'], options: Partial<WriteOptions> = {}) => writeConfig({ paths, env: {}, cwd: home, edit, ...options });
const present = () => readFile(paths.configFile, 'utf8');
const coded = (code: string) => expect.objectContaining({ code });

describe('writeConfig', () => {
  it('makes a strict JSON file for its owner alone, in a folder for its owner alone (AMB-003)', async () => {
    await rm(paths.stateDir, { recursive: true });
    const next = await write((text) => setIn(text, ['gateway', 'mode'], 'local'));
    expect(JSON.parse(await present())).toEqual({ gateway: { mode: 'local' } });
    expect(next.config.gateway.mode).toBe('local');
    expect((await stat(paths.configFile)).mode & 0o777).toBe(0o600);
    expect((await stat(paths.stateDir)).mode & 0o777).toBe(0o700);
    expect(await readdir(paths.stateDir)).toEqual(['Durar.json']);
  });

  it('keeps comments and order of what people wrote (AMB-003)', async () => {
    await writeFile(paths.configFile, "{\n  // mine\n  session: {scope: 'global'}, // why\n  gateway: {port: 5},\n}\n");
    await write((text) => setIn(text, ['gateway', 'port'], 6));
    expect(await present()).toBe("{\n  // mine\n  session: {scope: 'global'}, // why\n  gateway: {port: 6},\n}\n");
  });

  it('keeps templates', async () => {
    await writeFile(paths.configFile, '{messages: {responsePrefix: "${NAME}"}}');
    await write((text) => setIn(text, ['gateway', 'port'], 6), { env: { NAME: 'n' } });
    expect(await present()).toContain('"${NAME}"');
  });

  it.each<[string, string, string]>([
    ['an unknown key', '{"x": 1}', 'DUR_CONFIG_UNKNOWN_KEY'],
    ['a wrong type', '{"gateway": 1}', 'DUR_CONFIG_INVALID'],
    ['a syntax error', '{"gateway": ', 'DUR_CONFIG_SYNTAX'],
    ['two errors', '{"x": 1, "y": 1}', 'DUR_CONFIG_REFUSED'],
    ['a missing variable', '{"messages": {"responsePrefix": "${NOPE}"}}', 'DUR_CONFIG_ENV_MISSING'],
  ])('refuses %s and changes nothing', async (_name, text, code) => {
    await writeFile(paths.configFile, '{}');
    await expect(write(() => text)).rejects.toEqual(coded(code));
    expect(await present()).toBe('{}');
    expect(await readdir(paths.stateDir)).toEqual(['Durar.json']);
  });

  it('lets a repair leave the errors that were there, and add none', async () => {
    await writeFile(paths.configFile, '{"x": 1, "y": 2}');
    await expect(write((text) => unsetIn(text, ['x']))).rejects.toEqual(coded('DUR_CONFIG_UNKNOWN_KEY'));
    await write((text) => unsetIn(text, ['x']), { allow: 'repair' });
    expect(await present()).toBe('{"y": 2}');
    await expect(write((text) => setIn(text, ['z'], 1), { allow: 'repair' })).rejects.toEqual(coded('DUR_CONFIG_UNKNOWN_KEY'));
  });

  it.each(['{ a b', '{gateway: {port: 5}} }', '{gateway: {port: 5,, }}'])('names the place of what does not parse in %j, and writes nothing', async (text) => {
    await writeFile(paths.configFile, text);
    const error = expect.objectContaining({ code: 'DUR_CONFIG_SYNTAX', owner: expect.objectContaining({ line: 1, column: expect.any(Number) }) });
    for (const allow of ['repair', undefined] as const) {
      await expect(write((raw) => setIn(raw, ['gateway', 'port'], 6), { allow })).rejects.toEqual(error);
      await expect(write((raw) => unsetIn(raw, ['gateway', 'port']), { allow })).rejects.toEqual(error);
      await expect(write((raw) => patchIn(raw, { gateway: { port: 6 } }), { allow })).rejects.toEqual(error);
    }
    expect(await present()).toBe(text);
    expect(await readdir(paths.stateDir)).toEqual(['Durar.json']);
    await write(() => '{}');
    expect(await present()).toBe('{}');
  });

  it('refuses an edit of a text that is no longer there', async () => {
    const { hash } = await loadConfig({ paths, env: {} });
    await write((text) => setIn(text, ['gateway', 'port'], 6), { baseHash: hash });
    await expect(write((text) => setIn(text, ['gateway', 'port'], 7), { baseHash: hash })).rejects.toEqual(coded('DUR_CONFIG_CHANGED'));
    expect(JSON.parse(await present())).toEqual({ gateway: { port: 6 } });
  });

  it('does not overwrite what another writer wrote meanwhile', async () => {
    await writeFile(paths.configFile, '{}');
    const slow = write((text) => setIn(text, ['gateway', 'port'], 6), { approve: () => writeFile(paths.configFile, '{ }') });
    await expect(slow).rejects.toEqual(coded('DUR_CONFIG_CHANGED'));
    expect(await present()).toBe('{ }');
  });

  it('asks for approval before it changes anything', async () => {
    await writeFile(paths.configFile, '{}');
    const approve = (next: { config: { gateway: { port: number } } }) => {
      throw new Error(`no to ${next.config.gateway.port}`);
    };
    await expect(write((text) => setIn(text, ['gateway', 'port'], 6), { approve })).rejects.toThrow('no to 6');
    expect(await present()).toBe('{}');
  });

  it('keeps the last five texts and prunes what lies outside the ring', async () => {
    await writeFile(`${paths.configFile}.bak.7`, 'old');
    for (let port = 1; port <= 7; port += 1) await write((text) => setIn(text, ['gateway', 'port'], port));
    expect((await readdir(paths.stateDir)).sort()).toEqual([
      'Durar.json',
      'Durar.json.bak',
      'Durar.json.bak.1',
      'Durar.json.bak.2',
      'Durar.json.bak.3',
      'Durar.json.bak.4',
    ]);
    const port = async (name: string) => (JSON.parse(await readFile(join(paths.stateDir, name), 'utf8')) as { gateway: { port: number } }).gateway.port;
    expect([await port('Durar.json'), await port('Durar.json.bak'), await port('Durar.json.bak.4')]).toEqual([7, 6, 2]);
    expect((await stat(`${paths.configFile}.bak`)).mode & 0o777).toBe(0o600);
  });

  it('writes nothing when nothing changes, and no backup when told so', async () => {
    await writeFile(paths.configFile, '{}');
    await write((text) => text);
    await write((text) => setIn(text, ['gateway', 'port'], 6), { backup: false });
    expect(await readdir(paths.stateDir)).toEqual(['Durar.json']);
  });

  it('writes through a link', async () => {
    const real = join(home, 'dotfile.json');
    await writeFile(real, '{}');
    await symlink(real, paths.configFile);
    await write((text) => setIn(text, ['gateway', 'port'], 6));
    expect(await readlink(paths.configFile)).toBe(real);
    expect(await readFile(real, 'utf8')).toContain('6');
  });

  it('of several processes at once loses no edit: each is in the file or was refused', { timeout: 60_000 }, async () => {
    const script = `
      import { setIn } from ${JSON.stringify(join(import.meta.dirname, 'edit.ts'))};
      import { resolvePaths } from ${JSON.stringify(join(import.meta.dirname, 'paths.ts'))};
      import { writeConfig } from ${JSON.stringify(join(import.meta.dirname, 'write.ts'))};
      const paths = resolvePaths({ env: { Durar_HOME: ${JSON.stringify(home)} } });
      const [name, rounds] = process.argv.slice(1);
      for (let round = 0; round < rounds; ) {
        try {
          await writeConfig({ paths, env: {}, edit: (text) => setIn(text, ['agents', 'list', JSON.parse(text).agents.list.length], { id: name + round }) });
          round += 1;
        } catch (error) {
          if (error.code !== 'DUR_CONFIG_CHANGED') throw error;
        }
      }`;
    await writeFile(paths.configFile, '{"agents": {"list": []}}');
    const rounds = 12;
    const names = ['a', 'b', 'c', 'd'];
    const ends = names.map((name) => {
      const child = spawn(process.execPath, ['--input-type=module', '--eval', script, name, String(rounds)], { stdio: ['ignore', 'ignore', 'inherit'] });
      return new Promise<number | null>((resolve) => child.once('exit', resolve));
    });
    expect(await Promise.all(ends)).toEqual(names.map(() => 0));
    const { agents } = JSON.parse(await present()) as { agents: { list: Array<{ id: string }> } };
    const wanted = names.flatMap((name) => Array.from({ length: rounds }, (_, round) => `${name}${round}`));
    expect(agents.list.map(({ id }) => id).toSorted()).toEqual(wanted.toSorted());
    expect((await readdir(paths.stateDir)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('clears the lock of a writer that died', async () => {
    await writeFile(join(paths.stateDir, '.Durar.json.lock.tmp'), JSON.stringify({ pid: 2 ** 30, token: 'dead' }));
    await Promise.all([1, 2, 3].map((port) => write((text) => setIn(text, ['gateway', 'port'], port)).catch((error: unknown) => error)));
    expect(JSON.parse(await present()).gateway.port).toBeGreaterThan(0);
    expect((await readdir(paths.stateDir)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('says so when it cannot write', async () => {
    await rm(paths.stateDir, { recursive: true });
    await writeFile(paths.stateDir, '');
    const error: unknown = await write((text) => setIn(text, ['gateway', 'port'], 6)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: expect.stringMatching(/^DUR_CONFIG_(?:WRITE|UNREADABLE)$/) });
  });

  it('removes what a killed writer left', async () => {
    const stale = join(paths.stateDir, '.Durar.json.1-abc.tmp');
    const fresh = join(paths.stateDir, '.Durar.json.2-abc.tmp');
    await writeFile(stale, '');
    await writeFile(fresh, '');
    await utimes(stale, 1, 1);
    await write((text) => setIn(text, ['gateway', 'port'], 6));
    expect((await readdir(paths.stateDir)).filter((name) => name.endsWith('.tmp'))).toEqual(['.Durar.json.2-abc.tmp']);
  });
});

describe('the redaction marker', () => {
  it.each([REDACTED, '__OPENCLAW_REDACTED__'])('%s is replaced by what the file holds there', async (marker) => {
    await writeFile(paths.configFile, '{gateway: {auth: {token: "old"}}} // c');
    await write((text) => setIn(setIn(text, ['gateway', 'auth', 'token'], marker), ['gateway', 'port'], 6));
    expect(await present()).toBe('{gateway: {auth: {token: "old"}, port: 6}} // c');
  });

  it('restores references and templates too', async () => {
    await writeFile(paths.configFile, '{gateway: {auth: {token: "${T}", password: {source: "env", provider: "default", id: "P"}}}}');
    await write(() => JSON.stringify({ gateway: { auth: { token: REDACTED, password: REDACTED } } }));
    expect((await loadConfig({ paths, env: {} })).config.gateway.auth).toMatchObject({
      token: '${T}',
      password: { source: 'env', provider: 'default', id: 'P' },
    });
  });

  it('is refused where there is nothing to restore', async () => {
    await writeFile(paths.configFile, '{}');
    await expect(write((text) => setIn(text, ['gateway', 'auth', 'token'], REDACTED))).rejects.toMatchObject({
      code: 'DUR_CONFIG_REDACTED',
      owner: { pointer: '/gateway/auth/token' },
    });
    expect(await present()).toBe('{}');
  });

  it('leaves a secret of an included file where it is', async () => {
    await writeFile(paths.configFile, '{gateway: {$include: "g.json"}}');
    await writeFile(join(paths.stateDir, 'g.json'), '{"auth": {"token": "inner"}}');
    await write((text) => setIn(setIn(text, ['gateway', 'auth', 'token'], REDACTED), ['gateway', 'port'], 6));
    expect(await present()).not.toMatch(/inner|REDACTED/);
    expect((await loadConfig({ paths, env: {} })).config.gateway).toMatchObject({ port: 6, auth: { token: 'inner' } });
  });
});

describe('kill -9', () => {
  it('leaves a whole file, whenever it comes', { timeout: 60_000 }, async () => {
    const script = `
      import { setIn } from ${JSON.stringify(join(import.meta.dirname, 'edit.ts'))};
      import { resolvePaths } from ${JSON.stringify(join(import.meta.dirname, 'paths.ts'))};
      import { writeConfig } from ${JSON.stringify(join(import.meta.dirname, 'write.ts'))};
      const paths = resolvePaths({ env: { Durar_HOME: ${JSON.stringify(home)} } });
      const prefix = 'x'.repeat(300_000);
      for (let round = 1; ; round += 1) {
        await writeConfig({ paths, env: {}, edit: (text) => setIn(setIn(text, ['gateway', 'port'], round), ['messages', 'responsePrefix'], round + prefix + round) });
        if (round === 1) process.stdout.write('ready');
      }`;
    for (let attempt = 0; attempt < 6; attempt += 1) {
      const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await sleep(attempt * 7);
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
      for (const name of (await readdir(paths.stateDir)).filter((entry) => !entry.endsWith('.tmp'))) {
        const { gateway, messages } = JSON.parse(await readFile(join(paths.stateDir, name), 'utf8')) as {
          gateway: { port: number };
          messages?: { responsePrefix: string };
        };
        expect(messages?.responsePrefix).toHaveLength(300_000 + 2 * String(gateway.port).length);
        expect(messages?.responsePrefix.endsWith(`x${gateway.port}`)).toBe(true);
      }
    }
  });

  it('at every step of a write leaves the old text or the new one, whole, and the next writer is not kept', { timeout: 120_000 }, async () => {
    const script = `
      import fs from 'node:fs/promises';
      import { syncBuiltinESMExports } from 'node:module';
      let left = Number(process.argv[1]);
      const step = () => { left -= 1; if (left < 0) process.kill(process.pid, 'SIGKILL'); };
      const cut = (target, names) => {
        for (const name of names) {
          const original = target[name].bind(target);
          target[name] = async (...args) => {
            step();
            // half of a text is written before the end comes
            if (name === 'writeFile' && left === 0) await original(...args.map((arg) => (arg === args.at(-1) && typeof arg === 'string' ? arg.slice(0, arg.length / 2) : arg)));
            if (name === 'writeFile' && left === 0) step();
            const result = await original(...args);
            if (name === 'open') cut(result, ['writeFile', 'sync', 'close']);
            return result;
          };
        }
      };
      cut(fs, ['open', 'rename', 'link', 'rm', 'copyFile', 'chmod', 'writeFile']);
      syncBuiltinESMExports();
      const { setIn } = await import(${JSON.stringify(join(import.meta.dirname, 'edit.ts'))});
      const { resolvePaths } = await import(${JSON.stringify(join(import.meta.dirname, 'paths.ts'))});
      const { writeConfig } = await import(${JSON.stringify(join(import.meta.dirname, 'write.ts'))});
      const paths = resolvePaths({ env: { Durar_HOME: ${JSON.stringify(home)} } });
      await writeConfig({ paths, env: {}, edit: (text) => setIn(text, ['gateway', 'port'], JSON.parse(text).gateway.port + 1) });`;
    const portIn = async (name: string) => (JSON.parse(await readFile(join(paths.stateDir, name), 'utf8')) as { gateway: { port: number } }).gateway.port;
    await writeFile(paths.configFile, '{"gateway": {"port": 1}}');
    let steps = 0;
    for (let code: number | null = null; code !== 0; steps += 1) {
      const before = await portIn('Durar.json');
      const child = spawn(process.execPath, ['--input-type=module', '--eval', script, String(steps)], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'durar-test-cache') },
      });
      code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
      expect([before, before + 1]).toContain(await portIn('Durar.json'));
      for (const name of (await readdir(paths.stateDir)).filter((entry) => entry.includes('.bak') && !entry.endsWith('.tmp'))) {
        expect(await portIn(name)).toBeLessThanOrEqual(before);
      }
      const now = await portIn('Durar.json');
      await write((text) => setIn(text, ['gateway', 'port'], now + 1));
      expect(await portIn('Durar.json')).toBe(now + 1);
    }
    expect(steps).toBeGreaterThan(12);
  });
});
