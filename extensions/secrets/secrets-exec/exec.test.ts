import { chmod, chown, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { secretsProviderContract } from '../../../sdk/contract/secrets-provider.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { createExecSecrets } from './provider.ts';

const SECRET = 'sk-never-shown-4711';
let dir: string;
beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'durar-exec-')));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A program of its own for each test; the request is in $request. */
async function program(body: string, mode = 0o700, name = 'resolver'): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, `#!/bin/bash\nread -r request\n${body}\n`);
  await chmod(file, mode);
  return file;
}

const provider = createExecSecrets();
const env = { PATH: process.env.PATH ?? '', HOME: '/home/of/the/operator', VAULT_TOKEN: 's.token', Durar_GATEWAY_TOKEN: 'gateway' };
const ask = (config: Record<string, unknown>, ids: string[] = ['value'], signal?: AbortSignal) =>
  provider.resolve({ provider: 'vault', config: { source: 'exec', ...config }, ids, env, ...(signal === undefined ? {} : { signal }) });
const answering = (answer: unknown, more = '') => program(`${more}\ncat <<'END'\n${JSON.stringify(answer)}\nEND`);

describe('the protocol', () => {
  it('hands over version, alias and ids on stdin, all ids to one process (SEC-092, SEC-093)', async () => {
    const command = await answering({ protocolVersion: 1, values: { 'a/b': 'one', c: 'two' } }, `echo "$request" >> ${dir}/requests`);
    expect(await ask({ command }, ['a/b', 'c'])).toEqual({ values: { 'a/b': 'one', c: 'two' }, errors: {} });
    expect(
      (await readFile(join(dir, 'requests'), 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([{ protocolVersion: 1, provider: 'vault', ids: ['a/b', 'c'] }]);
  });

  it('takes values by id, and the reasons of those that failed (SEC-094, SEC-095)', async () => {
    const command = await answering({ protocolVersion: 1, values: { good: SECRET }, errors: { bad: { message: 'not found' }, text: 'locked', odd: 7 } });
    expect(await ask({ command }, ['good', 'bad', 'text', 'odd'])).toEqual({
      values: { good: SECRET },
      errors: { bad: 'not found', text: 'locked', odd: 'the command has no value for it' },
    });
  });

  it('an id with a value and an error has failed, and an error quotes no value (SEC-095, SEC-100)', async () => {
    const message = `denied for ${SECRET}\n\u001b[31m${'x'.repeat(500)}`;
    const command = await answering({ protocolVersion: 1, values: { id: SECRET }, errors: { id: { message } } });
    const { values, errors = {} } = await ask({ command }, ['id']);
    expect(values).toEqual({});
    expect(errors.id).toMatch(/^denied for \*\*\* \[31mx+$/);
    expect(errors.id?.length).toBeLessThanOrEqual(300);
  });

  it.each([[{ protocolVersion: 2, values: { value: SECRET } }], [{ protocolVersion: '1', values: { value: SECRET } }], [{ values: { value: SECRET } }]])(
    'another version fails: %j (SEC-096)',
    async (answer) => {
      await expect(ask({ command: await answering(answer) })).rejects.toThrow('protocolVersion 1');
    },
  );

  it('an id that the answer leaves out fails; those that nobody asked for are not taken (SEC-097)', async () => {
    const command = await answering({ protocolVersion: 1, values: { other: SECRET } });
    expect(await ask({ command }, ['value'])).toEqual({ values: {}, errors: { value: 'its answer has neither a value nor an error for this id' } });
    const bare = await program(`echo '{"protocolVersion":1}'`);
    expect((await ask({ command: bare }, ['value'])).errors).toHaveProperty('value');
  });

  it.each([[5], [null], [true], [['x']], [{ a: 1 }], ['']])('the value %j is none (SEC-094)', async (value) => {
    const command = await answering({ protocolVersion: 1, values: { value } });
    const { values, errors = {} } = await ask({ command });
    expect(values).toEqual({});
    expect(errors.value).toMatch(/its value is (not a text|empty)/);
  });

  it('an answer cannot reach built-in properties', async () => {
    const command = await program(`echo '{"protocolVersion":1,"values":{"__proto__":{"value":"${SECRET}","polluted":"x"}}}'`);
    expect((await ask({ command }, ['value', 'toString', 'constructor'])).values).toEqual({});
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
  });

  it.each([
    ['plain text', 'echo sk-never-shown-4711', 'not JSON'],
    ['a list', `echo '["sk-never-shown-4711"]'`, 'not a JSON object'],
    ['a half answer', `printf '{"protocolVersion":1,"values":{"value":"sk-never-shown'`, 'not JSON'],
    ['values of another kind', `echo '{"protocolVersion":1,"values":["sk-never-shown-4711"]}'`, 'not an object'],
    ['errors of another kind', `echo '{"protocolVersion":1,"errors":"sk-never-shown-4711"}'`, 'not an object'],
    ['bytes', `printf '\\xff\\xfe'`, 'not UTF-8'],
    ['nothing', 'true', 'not JSON'],
  ])('%s is no answer, and is not quoted (SEC-098, SEC-100)', async (_what, body, reason) => {
    const failure = await ask({ command: await program(body) }).catch((error: Error) => error);
    expect(String(failure)).toContain(reason);
    expect(String(failure)).not.toContain('sk-never');
    expect((failure as Error).cause).toBeUndefined();
  });
});

describe('raw output', () => {
  it.each([
    [`printf '%s\\n' '${SECRET}'`, SECRET],
    [`printf '%s\\r\\n' '${SECRET}'`, SECRET],
    [`printf '%s' '${SECRET}'`, SECRET],
    [`printf 'two\\nlines\\n\\n'`, 'two\nlines\n'],
    [`printf '{"type":"service_account"}'`, '{"type":"service_account"}'],
  ])('%s is the value, without one newline (SEC-099)', async (body, value) => {
    expect((await ask({ command: await program(body), jsonOnly: false })).values).toEqual({ value });
  });

  it('an answer of the protocol is still read as one (SEC-099)', async () => {
    const command = await answering({ protocolVersion: 1, values: { a: 'one', b: 'two' } });
    expect((await ask({ command, jsonOnly: false }, ['a', 'b'])).values).toEqual({ a: 'one', b: 'two' });
  });

  it('serves one id alone, and is not empty (SEC-099)', async () => {
    const command = await program(`echo '${SECRET}'`);
    const failure = await ask({ command, jsonOnly: false }, ['a', 'b']).catch(String);
    expect(failure).toContain('2 ids');
    expect(failure).not.toContain(SECRET);
    await expect(ask({ command: await program('echo'), jsonOnly: false })).rejects.toThrow('printed nothing');
  });
});

describe('the process', () => {
  it('gets its arguments as they are (SEC-081)', async () => {
    const command = await program(`for each in "$@"; do printf '%s\\n' "$each" >> ${dir}/args; done; echo ok`);
    const args = ['; touch pwned', '$(touch pwned)', '`id`', '*', '', 'a b', '\'"'];
    await ask({ command, args, jsonOnly: false });
    expect((await readFile(join(dir, 'args'), 'utf8')).split('\n').slice(0, -1)).toEqual(args);
  });

  it('gets the variables that are named, and no others (SEC-089)', async () => {
    const command = await program(`/usr/bin/env > ${dir}/env; echo ok`);
    process.env.DURAR_TEST_OWN = 'of the process';
    try {
      await ask({ command, passEnv: ['VAULT_TOKEN', 'HOME', 'NOT_SET', 'DURAR_TEST_OWN', 'toString'], env: { EXTRA: 'x', HOME: '/other' }, jsonOnly: false });
    } finally {
      delete process.env.DURAR_TEST_OWN;
    }
    const names = (await readFile(join(dir, 'env'), 'utf8')).trim().split('\n').sort();
    // what bash itself sets
    expect(names.filter((line) => !/^(_|PWD|SHLVL|OLDPWD)=/.test(line))).toEqual(['EXTRA=x', 'HOME=/other', 'VAULT_TOKEN=s.token']);
  });

  it('runs in the folder of the program, under its name', async () => {
    const command = await program('pwd; echo "$0"');
    expect((await ask({ command, jsonOnly: false })).values.value).toBe(`${dir}\n${command}`);
  });

  it('is killed when its time is over, with all that it started (SEC-086)', async () => {
    const command = await program(`trap '' TERM\n(trap '' TERM; sleep 60) & echo "$$ $!" > ${dir}/pids; while true; do echo .; sleep 0.05; done`);
    await expect(ask({ command, passEnv: ['PATH'], timeoutMs: 600 })).rejects.toThrow('did not end within 600 ms');
    await expectGone();
  });

  it('is killed earlier when it is silent (SEC-087)', async () => {
    const command = await program(`echo "$$" > ${dir}/pids; sleep 60`);
    const started = Date.now();
    await expect(ask({ command, passEnv: ['PATH'], timeoutMs: 60_000, noOutputTimeoutMs: 200 })).rejects.toThrow('printed nothing for 200 ms');
    expect(Date.now() - started).toBeLessThan(30_000);
    await expectGone();
  });

  it('what it says on stderr counts as a sign of life', async () => {
    const command = await program('for i in 1 2 3 4 5 6; do echo . >&2; sleep 0.1; done; echo ok');
    expect((await ask({ command, passEnv: ['PATH'], noOutputTimeoutMs: 400, jsonOnly: false })).values).toEqual({ value: 'ok' });
  });

  it.each(['', '>&2'])('is killed when it prints too much %s (SEC-088)', async (to) => {
    const command = await program(`echo "$$" > ${dir}/pids; while true; do echo ${SECRET}${SECRET} ${to}; done`);
    const failure = await ask({ command, maxOutputBytes: 10_000, timeoutMs: 60_000 }).catch(String);
    expect(failure).toContain('printed more than 10000 bytes');
    expect(failure).not.toContain(SECRET);
    await expectGone();
  });

  it('may print exactly as much as it may (SEC-088)', async () => {
    const command = await program(`printf '%s' 12345678`);
    expect((await ask({ command, maxOutputBytes: 8, jsonOnly: false })).values).toEqual({ value: '12345678' });
    await expect(ask({ command, maxOutputBytes: 7, jsonOnly: false })).rejects.toThrow('more than 7 bytes');
  });

  it('is killed when the call is given up', async () => {
    const command = await program(`echo "$$" > ${dir}/pids; sleep 60`);
    const controller = new AbortController();
    const call = ask({ command, passEnv: ['PATH'] }, ['value'], controller.signal);
    await vi.waitFor(() => readFile(join(dir, 'pids'), 'utf8'), 5_000);
    controller.abort(new Error('given up'));
    await expect(call).rejects.toThrow('given up');
    await expectGone();
    await expect(ask({ command }, ['value'], AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  });

  it('fails with its exit code; what it printed is not told (SEC-100)', async () => {
    const command = await program(`echo '{"protocolVersion":1,"values":{"value":"${SECRET}"}}'; echo "token ${SECRET} expired" >&2; exit 3`);
    const failure = await ask({ command, args: ['--token', 'tok-5'] }).catch((error: Error) => error);
    expect(String(failure)).toBe(`Error: '${command}' ended with exit code 3; its 34 bytes of messages may hold secrets and are not shown`);
    await expect(ask({ command: await program('kill -TERM $$') })).rejects.toThrow('was ended by SIGTERM');
  });

  it('noise on stderr does no harm', async () => {
    const command = await answering({ protocolVersion: 1, values: { value: SECRET } }, 'echo "a warning" >&2');
    expect((await ask({ command })).values).toEqual({ value: SECRET });
  });

  it('need not read a request, however long', async () => {
    const file = join(dir, 'deaf');
    await writeFile(file, '#!/bin/bash\nexec 0<&-\necho \'{"protocolVersion":1,"values":{"id0":"x"}}\'\n', { mode: 0o700 });
    const ids = Array.from({ length: 512 }, (_, index) => `id${index}${index === 0 ? '' : 'x'.repeat(250)}`);
    const { values, errors = {} } = await ask({ command: file }, ids);
    expect(values).toEqual({ id0: 'x' });
    expect(Object.keys(errors)).toHaveLength(511);
  });

  it('is not waited for by what it leaves behind with its output open', async () => {
    const command = await program(`sleep 20 & echo "$!" > ${dir}/pids; echo ok`);
    expect((await ask({ command, passEnv: ['PATH'], jsonOnly: false })).values).toEqual({ value: 'ok' });
    process.kill(Number(await readFile(join(dir, 'pids'), 'utf8')));
  });

  it('is none without ids', async () => {
    expect(await ask({ command: '/does/not/exist' }, [])).toEqual({ values: {}, errors: {} });
  });
});

describe('the path of the command', () => {
  it.each(['resolver', './resolver', '~/resolver', '', undefined, 5])('%j is not absolute (SEC-080)', async (command) => {
    await expect(ask({ command })).rejects.toThrow('command is not an absolute path');
  });

  it.each([
    ['absent', () => join(dir, 'absent'), 'does not exist'],
    ['a folder', () => dir, 'is not a regular file'],
    ['not executable', () => program('echo ok', 0o600), 'cannot be started (EACCES)'],
  ])('%s fails (SEC-080)', async (_what, command, reason) => {
    await expect(ask({ command: await command(), jsonOnly: false })).rejects.toThrow(reason);
  });

  it('a link fails, unless links are allowed (SEC-082, SEC-083)', async () => {
    const target = await program('echo "$0"');
    const command = join(dir, 'link');
    await symlink(target, command);
    await expect(ask({ command, jsonOnly: false })).rejects.toThrow('is a symbolic link');
    expect((await ask({ command, allowSymlinkCommand: true, jsonOnly: false })).values).toEqual({ value: target });
  });

  it.each(['/.', '/', '//'])('a link is one with %s behind it as well (SEC-082)', async (end) => {
    await symlink(await program('echo ok'), join(dir, 'link'));
    await expect(ask({ command: `${join(dir, 'link')}${end}`, jsonOnly: false })).rejects.toThrow('is a symbolic link');
  });

  it('a folder on the way may be a link', async () => {
    await mkdir(join(dir, 'real'), { mode: 0o700 });
    await writeFile(join(dir, 'real/tool'), '#!/bin/bash\necho ok\n', { mode: 0o700 });
    await symlink('real', join(dir, 'bin'));
    expect((await ask({ command: join(dir, 'bin/tool'), jsonOnly: false })).values).toEqual({ value: 'ok' });
  });

  it.each(['702', '720', '777'])('a program of mode %s fails, behind a link as well (SEC-084)', async (mode) => {
    const command = join(dir, 'link');
    const target = await program('echo ok', Number.parseInt(mode, 8));
    await symlink(target, command);
    await expect(ask({ command: target })).rejects.toThrow('others may write to');
    await expect(ask({ command, allowSymlinkCommand: true })).rejects.toThrow(`others may write to '${target}'`);
  });

  it('a folder on the way that others may write to fails; a sticky one does not (SEC-084)', async () => {
    const folder = join(dir, 'open');
    await mkdir(folder, { mode: 0o700 });
    await writeFile(join(folder, 'tool'), '#!/bin/bash\necho ok\n', { mode: 0o700 });
    const command = join(folder, 'tool');
    for (const mode of [0o777, 0o770]) {
      await chmod(folder, mode);
      await expect(ask({ command, jsonOnly: false })).rejects.toThrow(`others may write to the folder '${folder}'`);
    }
    await chmod(folder, 0o1777);
    expect((await ask({ command, jsonOnly: false })).values).toEqual({ value: 'ok' });
  });

  it('a link in a folder that others may write to fails, wherever it leads (SEC-084)', async () => {
    const folder = join(dir, 'open');
    await mkdir(folder, { mode: 0o700 });
    await chmod(folder, 0o777);
    const command = join(folder, 'link');
    await symlink(await program('echo ok'), command);
    await expect(ask({ command, allowSymlinkCommand: true })).rejects.toThrow(`others may write to the folder '${folder}'`);
  });

  it.skipIf(process.geteuid?.() !== 0)("another user's program, folder or link fails (SEC-084)", async () => {
    const command = await program('echo ok');
    await chown(command, 12345, 12345);
    await expect(ask({ command })).rejects.toThrow(`'${command}' belongs to another user`);
    await chown(command, 0, 0);
    await chown(dir, 12345, 12345);
    await expect(ask({ command })).rejects.toThrow(`the folder '${dir}' belongs to another user`);
  });

  it('links that lead in a circle fail', async () => {
    await symlink('two', join(dir, 'one'));
    await symlink('one', join(dir, 'two'));
    await expect(ask({ command: join(dir, 'one'), allowSymlinkCommand: true })).rejects.toThrow('ELOOP');
  });

  it('trustedDirs say where the target may be (SEC-085)', async () => {
    const folder = join(dir, 'cellar');
    await mkdir(folder, { mode: 0o700 });
    await writeFile(join(folder, 'tool'), '#!/bin/bash\necho ok\n', { mode: 0o700 });
    await mkdir(join(dir, 'bin'), { mode: 0o700 });
    const command = join(dir, 'bin/tool');
    await symlink(join(folder, 'tool'), command);
    const trust = (trustedDirs: string[]) => ask({ command, allowSymlinkCommand: true, jsonOnly: false, trustedDirs });
    for (const trustedDirs of [[folder], [join(dir, 'absent'), dir]]) expect((await trust(trustedDirs)).values).toEqual({ value: 'ok' });
    for (const trustedDirs of [[join(dir, 'bin')], [join(dir, 'cell')], [], ['/usr']])
      await expect(trust(trustedDirs)).rejects.toThrow('none of the trusted folders');
    await expect(trust(['cellar'])).rejects.toThrow('not an absolute path');
    // as package managers leave their folders
    await chmod(folder, 0o775);
    expect((await trust([folder])).values).toEqual({ value: 'ok' });
    await expect(ask({ command, allowSymlinkCommand: true, jsonOnly: false })).rejects.toThrow('others may write to the folder');
    await chmod(folder, 0o777);
    await expect(trust([folder])).rejects.toThrow('others may write to the folder');
  });

  it('allowInsecurePath takes what fails otherwise, but no link and nothing outside (SEC-091)', async () => {
    const command = await program('echo ok', 0o777);
    expect((await ask({ command, allowInsecurePath: true, jsonOnly: false })).values).toEqual({ value: 'ok' });
    const link = join(dir, 'link');
    await symlink(command, link);
    await expect(ask({ command: link, allowInsecurePath: true })).rejects.toThrow('is a symbolic link');
    await expect(ask({ command, allowInsecurePath: true, trustedDirs: ['/usr'] })).rejects.toThrow('trusted folders');
  });

  it('on Windows it fails without a way to verify access lists (SEC-090, SEC-091)', async () => {
    const command = await program('echo ok', 0o777);
    const config = { command, jsonOnly: false };
    const on = (verifyAcl?: (path: string) => Promise<boolean>) => createExecSecrets({ platform: 'win32', ...(verifyAcl === undefined ? {} : { verifyAcl }) });
    const call = (provider: ReturnType<typeof on>, more = {}) => provider.resolve({ provider: 'x', config: { ...config, ...more }, ids: ['value'], env });
    await expect(call(on())).rejects.toThrow('cannot be verified on this system');
    await expect(call(on(() => Promise.reject(new Error('icacls is not there'))))).rejects.toThrow('cannot be verified on this system');
    await expect(call(on(async () => false))).rejects.toThrow('others have rights');
    expect((await call(on(async (path) => path === command))).values).toEqual({ value: 'ok' });
    expect((await call(on(), { allowInsecurePath: true })).values).toEqual({ value: 'ok' });
  });
});

it.each([
  [{ args: 'x' }, 'args is not a list of texts'],
  [{ passEnv: [1] }, 'passEnv is not a list of texts'],
  [{ env: { A: 1 } }, 'env is not a map of texts'],
  [{ jsonOnly: 'no' }, 'jsonOnly is neither true nor false'],
  [{ timeoutMs: 0 }, 'timeoutMs is not a whole number above 0'],
  [{ maxOutputBytes: 1.5 }, 'maxOutputBytes is not a whole number above 0'],
])('the settings %j are refused', async (more, reason) => {
  await expect(ask({ command: '/bin/true', ...more })).rejects.toThrow(reason);
});

describeContract(secretsProviderContract, async () => {
  const home = await mkdtemp(join(tmpdir(), 'durar-exec-'));
  const command = join(home, 'resolver');
  const answer = { protocolVersion: 1, values: { 'one/key': 'sk-one-1', 'two/key': 'sk-two-2' }, errors: { missing: { message: 'not found' } } };
  await writeFile(command, `#!/bin/bash\nread -r request\ncat <<'END'\n${JSON.stringify(answer)}\nEND\n`, { mode: 0o700 });
  return {
    provider: createExecSecrets(),
    config: { source: 'exec', command },
    env: { PATH: process.env.PATH ?? '' },
    known: { 'one/key': 'sk-one-1', 'two/key': 'sk-two-2' },
    unknown: 'missing',
    dispose: () => rm(home, { recursive: true }),
  };
});

/** No process that the program noted is there any more. */
async function expectGone(): Promise<void> {
  const pids = (await readFile(join(dir, 'pids'), 'utf8')).trim().split(/\s+/).map(Number);
  expect(pids.length).toBeGreaterThan(0);
  await vi.waitUntil(() => pids.every((pid) => !isAlive(pid)), { timeout: 5_000 });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
