import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { secretsProviderContract } from '../../../sdk/contract/secrets-provider.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { valueAt } from './pointer.ts';
import { createFileSecrets } from './provider.ts';

const SECRET = 'sk-never-shown-4711';
let dir: string;
beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'durar-file-')));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const provider = createFileSecrets({ stateDir: () => join(dir, 'state') });
const ask = (config: Record<string, unknown>, ids: string[] = ['/key'], env: Record<string, string> = {}) =>
  provider.resolve({ provider: 'keys', config: { source: 'file', ...config }, ids, env });

async function file(content: unknown, mode = 0o600, name = 'secrets.json'): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content));
  await chmod(path, mode);
  return path;
}

describe('a JSON file', () => {
  it('gives the texts at the pointers, all of one reading (SEC-074, SEC-075)', async () => {
    const path = await file({ providers: { openai: { apiKey: 'one' } }, list: ['two', { three: 'three' }], '': { '': 'four' } });
    expect(await ask({ path }, ['/providers/openai/apiKey', '/list/0', '/list/1/three', '//'])).toEqual({
      values: { '/providers/openai/apiKey': 'one', '/list/0': 'two', '/list/1/three': 'three', '//': 'four' },
      errors: {},
    });
  });

  it('~0 and ~1 stand for ~ and / in names (SEC-056, SEC-057)', async () => {
    const path = await file({ 'a~b': 'tilde', 'a/b': 'slash', '~1': 'both' });
    const ids = ['/a~0b', '/a~1b', '/~01'];
    expect((await ask({ path }, ids)).values).toEqual({ '/a~0b': 'tilde', '/a~1b': 'slash', '/~01': 'both' });
  });

  it.each([
    ['/absent', 'nothing at this pointer'],
    ['/text/length', 'nothing at this pointer'],
    ['/list/01', 'nothing at this pointer'],
    ['/list/-', 'nothing at this pointer'],
    ['/list/length', 'nothing at this pointer'],
    ['/list/2', 'nothing at this pointer'],
    ['/toString', 'nothing at this pointer'],
    ['/__proto__/toString', 'nothing at this pointer'],
    ['/null/x', 'nothing at this pointer'],
    ['/number', 'not a text'],
    ['/null', 'not a text'],
    ['/list', 'not a text'],
    ['/empty', 'is empty'],
    ['/a~2', 'invalid escape'],
    ['/a~', 'invalid escape'],
    ['value', 'not an absolute JSON pointer'],
    ['', 'not an absolute JSON pointer'],
  ])('the id %j does not resolve: %s (SEC-055, SEC-058, SEC-075)', async (id, reason) => {
    const path = await file({ text: SECRET, list: [SECRET, SECRET], number: 5, null: null, empty: '' });
    const { values, errors = {} } = await ask({ path }, [id, '/text']);
    expect(values).toEqual({ '/text': SECRET });
    expect(Object.keys(errors)).toEqual([id]);
    expect(errors[id]).toContain(reason);
    expect(errors[id]).not.toContain(SECRET);
  });

  it('own names of built-in properties are names', async () => {
    const path = await file('{"__proto__":{"key":"one"},"constructor":"two"}');
    expect((await ask({ path }, ['/__proto__/key', '/constructor'])).values).toEqual({ '/__proto__/key': 'one', '/constructor': 'two' });
    expect(({} as { key?: string }).key).toBeUndefined();
  });

  it.each([
    ['a list', [SECRET], 'does not hold a JSON object'],
    ['a text', `"${SECRET}"`, 'does not hold a JSON object'],
    ['null', 'null', 'does not hold a JSON object'],
    ['no JSON', `key: ${SECRET}`, 'is not JSON'],
    ['a part', `{"key":"${SECRET}`, 'is not JSON'],
    ['nothing', '', 'is not JSON'],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'is not UTF-8'],
  ])('%s fails, and is not quoted (SEC-075, SEC-100)', async (_what, content, reason) => {
    const failure = await ask({ path: await file(content) }).catch((error: Error) => error);
    expect(String(failure)).toContain(reason);
    expect(`${String(failure)} ${String((failure as Error).cause)}`).not.toContain('sk-never');
  });

  it('may begin with a byte order mark', async () => {
    expect((await ask({ path: await file(`\uFEFF${JSON.stringify({ key: 'x' })}`) })).values).toEqual({ '/key': 'x' });
  });
});

it.each([
  [{ a: [{ b: 1 }] }, '/a/0/b', { value: 1 }],
  [{ a: undefined }, '/a', { value: undefined }],
  ['text', '/0', { problem: 'the file has nothing at this pointer' }],
])('%j at %s', (document, pointer, expected) => {
  expect(valueAt(document, pointer)).toEqual(expected);
});

it('every place of every document has a pointer that finds it (SEC-056, SEC-057)', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.infiniteStream(fc.nat()), (document, picks) => {
      let value: unknown = document;
      let pointer = '';
      for (const pick of picks) {
        const names = typeof value === 'object' && value !== null ? Object.keys(value) : [];
        const name = names[pick % Math.max(1, names.length)];
        if (name === undefined) break;
        value = (value as Record<string, unknown>)[name];
        pointer += `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      }
      if (pointer !== '') expect(valueAt(document, pointer)).toEqual({ value });
    }),
  );
});

describe('a file that is one secret', () => {
  it.each([
    [`${SECRET}\n`, SECRET],
    [`${SECRET}\r\n`, SECRET],
    [SECRET, SECRET],
    [`-----BEGIN KEY-----\nabc\n-----END KEY-----\n\n`, '-----BEGIN KEY-----\nabc\n-----END KEY-----\n'],
    ['{"key":"x"}', '{"key":"x"}'],
  ])('%j is the value, without one newline (SEC-076)', async (content, value) => {
    expect((await ask({ path: await file(content), mode: 'singleValue' }, ['value'])).values).toEqual({ value });
  });

  it('has the id value and no other, and is not empty (SEC-076)', async () => {
    const path = await file(SECRET);
    const { values, errors = {} } = await ask({ path, mode: 'singleValue' }, ['value', '/value', '/key']);
    expect(values).toEqual({ value: SECRET });
    expect(Object.keys(errors)).toEqual(['/value', '/key']);
    expect((await ask({ path: await file('\n'), mode: 'singleValue' }, ['value'])).errors).toEqual({ value: 'its value is empty' });
  });
});

describe('the path', () => {
  it('~ is the home, and ~/.Durar the state folder of the profile (SEC-074)', async () => {
    await mkdir(join(dir, 'state'), { mode: 0o700 });
    await file({ key: 'state' }, 0o600, 'state/secrets.json');
    await file({ key: 'home' }, 0o600, 'home.json');
    expect((await ask({ path: '~/.Durar/secrets.json' })).values).toEqual({ '/key': 'state' });
    expect((await ask({ path: '~/home.json' }, ['/key'], { HOME: dir })).values).toEqual({ '/key': 'home' });
    expect((await ask({ path: '~/home.json' }, ['/key'], { HOME: '/nowhere', Durar_HOME: dir })).values).toEqual({ '/key': 'home' });
  });

  it.each([
    ['secrets.json', 'neither absolute nor below ~'],
    ['~other/secrets.json', 'neither absolute nor below ~'],
    ['/does/not/exist', 'does not exist'],
    ['/etc', 'not a regular file'],
    ['/dev/zero', 'not a regular file'],
    ['', 'the block has no path'],
    [undefined, 'the block has no path'],
  ])('%j fails: %s (SEC-074)', async (path, reason) => {
    await expect(ask({ path })).rejects.toThrow(reason);
  });

  it('a pipe is not waited for', async () => {
    execFileSync('mkfifo', ['-m', '600', join(dir, 'pipe')]);
    await expect(ask({ path: join(dir, 'pipe') })).rejects.toThrow('not a regular file');
  });

  it.each(['600', '400', '700'])('mode %s is private enough (SEC-077)', async (mode) => {
    expect((await ask({ path: await file({ key: 'x' }, Number.parseInt(mode, 8)) })).values).toEqual({ '/key': 'x' });
  });

  it.each(['644', '640', '604', '601', '620', '602', '666'])('mode %s fails, unless it is vouched for (SEC-077, SEC-079)', async (mode) => {
    const path = await file({ key: 'x' }, Number.parseInt(mode, 8));
    await expect(ask({ path })).rejects.toThrow(/others may (read|write to) '.*' \(mode 06/);
    expect((await ask({ path, allowInsecurePath: true })).values).toEqual({ '/key': 'x' });
  });

  it.skipIf(process.geteuid?.() !== 0)("another user's file fails (SEC-077)", async () => {
    const path = await file({ key: 'x' });
    await chown(path, 12345, 12345);
    await expect(ask({ path })).rejects.toThrow(`'${path}' belongs to another user`);
    expect((await ask({ path, allowInsecurePath: true })).values).toEqual({ '/key': 'x' });
  });

  it('a folder that others may write to fails (SEC-077)', async () => {
    const path = await file({ key: 'x' });
    await chmod(dir, 0o770);
    await expect(ask({ path })).rejects.toThrow(`others may write to the folder '${dir}' (mode 0770)`);
  });

  it('links are followed, and what they lead to is checked (SEC-077)', async () => {
    const target = await file({ key: 'x' });
    const path = join(dir, 'link');
    await symlink(target, path);
    expect((await ask({ path })).values).toEqual({ '/key': 'x' });
    await chmod(target, 0o644);
    await expect(ask({ path })).rejects.toThrow(`others may read '${target}'`);
  });

  it('a file that is replaced between the check and the reading fails (SEC-077)', async () => {
    const path = await file({ key: 'checked' });
    await file({ key: 'another' }, 0o666, 'another.json');
    const swapping = createFileSecrets({
      stateDir: () => dir,
      platform: 'win32',
      async verifyAcl() {
        await rename(join(dir, 'another.json'), path);
        return true;
      },
    });
    await expect(swapping.resolve({ provider: 'keys', config: { path }, ids: ['/key'], env: {} })).rejects.toThrow('was replaced while it was checked');
  });

  it('on Windows it fails without a way to verify access lists (SEC-078, SEC-079)', async () => {
    const path = await file({ key: 'x' }, 0o666);
    const on = (verifyAcl?: (path: string) => Promise<boolean>) =>
      createFileSecrets({ stateDir: () => dir, platform: 'win32', ...(verifyAcl === undefined ? {} : { verifyAcl }) });
    const call = (of: ReturnType<typeof on>, more = {}) => of.resolve({ provider: 'keys', config: { path, ...more }, ids: ['/key'], env: {} });
    await expect(call(on())).rejects.toThrow('cannot be verified on this system');
    await expect(call(on(() => Promise.reject(new Error('no icacls'))))).rejects.toThrow('cannot be verified on this system');
    await expect(call(on(async () => false))).rejects.toThrow('others have rights');
    expect((await call(on(async (asked) => asked === path))).values).toEqual({ '/key': 'x' });
    expect((await call(on(), { allowInsecurePath: true })).values).toEqual({ '/key': 'x' });
  });
});

describe('limits', () => {
  it('a file may be as large as maxBytes', async () => {
    const path = await file({ key: 'x'.repeat(90) });
    const size = JSON.stringify({ key: 'x'.repeat(90) }).length;
    expect((await ask({ path, maxBytes: size })).values).toHaveProperty(['/key']);
    await expect(ask({ path, maxBytes: size - 1 })).rejects.toThrow(`larger than ${size - 1} bytes`);
  });

  it('a file system that hangs is given up after timeoutMs, or when the call is', async () => {
    const path = await file({ key: 'x' });
    const hangs = createFileSecrets({ stateDir: () => dir, platform: 'win32', verifyAcl: () => new Promise(() => undefined) });
    const call = { provider: 'keys', config: { path, timeoutMs: 50 }, ids: ['/key'], env: {} };
    await expect(hangs.resolve(call)).rejects.toThrow('could not be read within 50 ms');
    await expect(hangs.resolve({ ...call, config: { path }, signal: AbortSignal.abort(new Error('given up')) })).rejects.toThrow('given up');
  });

  it.each([
    [{ mode: 'yaml' }, "mode is neither 'json' nor 'singleValue'"],
    [{ maxBytes: 0 }, 'maxBytes is not a whole number above 0'],
    [{ timeoutMs: '5s' }, 'timeoutMs is not a whole number above 0'],
    [{ allowInsecurePath: 'yes' }, 'allowInsecurePath is neither true nor false'],
  ])('the settings %j are refused (SEC-064)', async (more, reason) => {
    await expect(ask({ path: await file({ key: 'x' }), ...more })).rejects.toThrow(reason);
  });

  it('without ids no file is read', async () => {
    expect(await ask({ path: '/does/not/exist' }, [])).toEqual({ values: {} });
  });
});

describeContract(secretsProviderContract, async () => {
  const home = await mkdtemp(join(tmpdir(), 'durar-file-'));
  const path = join(home, 'secrets.json');
  await writeFile(path, JSON.stringify({ one: 'sk-one-1', deep: { two: 'sk-two-2' } }), { mode: 0o600 });
  return {
    provider: createFileSecrets({ stateDir: () => home }),
    config: { source: 'file', path },
    env: {},
    known: { '/one': 'sk-one-1', '/deep/two': 'sk-two-2' },
    unknown: '/missing',
    dispose: () => rm(home, { recursive: true }),
  };
});
