import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createMachine, type Machine, until } from './gateway-process.ts';

let machine: Machine;
afterEach(() => machine.remove());

const read = async () => JSON.parse(await readFile(machine.configFile, 'utf8')) as Record<string, unknown>;
const local = (extra: object = {}) => ({ gateway: { mode: 'local', reload: { debounceMs: 20 }, ...extra } });
const set = (...args: string[]) => machine.cli(['config', 'set', ...args]);

describe('durar config set', () => {
  it('builds references and secret providers, and takes a batch as one edit', async () => {
    machine = await createMachine(local());
    const file = join(machine.home, 'vault.json');
    await writeFile(file, '{"door": "open"}', { mode: 0o600 });
    expect((await set('secrets.providers.vault', '--provider-source', 'file', '--provider-path', file, '--provider-mode', 'json')).code).toBe(0);
    expect((await set('gateway.auth.token', '--ref-provider', 'vault', '--ref-source', 'file', '--ref-id', '/door')).code).toBe(0);
    const batch = [
      { path: 'agents.list[0].id', value: 'ada' },
      { path: 'secrets.providers.run', provider: { source: 'exec', command: '/bin/true' } },
      { path: 'models.providers.x.apiKey', ref: { source: 'env', provider: 'default', id: 'X_KEY' } },
    ];
    await writeFile(join(machine.home, 'batch.json'), JSON.stringify(batch.slice(1, 2)));
    expect((await set('--batch-json', JSON.stringify(batch.slice(0, 1)))).code).toBe(0);
    expect((await set('--batch-file', join(machine.home, 'batch.json'))).code).toBe(0);
    expect(await read()).toMatchObject({
      secrets: { providers: { vault: { source: 'file', path: file, mode: 'json' }, run: { source: 'exec', command: '/bin/true' } } },
      gateway: { auth: { token: { source: 'file', provider: 'vault', id: '/door' } } },
      agents: { list: [{ id: 'ada' }] },
    });
    const exec = [
      '--provider-source',
      'exec',
      '--provider-command',
      '/bin/cat',
      '--provider-arg',
      '-',
      '--provider-env',
      'A=b=c',
      '--provider-pass-env',
      'HOME',
    ];
    expect((await set('secrets.providers.run', ...exec, '--provider-json-only')).code).toBe(0);
    expect((await read()).secrets).toMatchObject({ providers: { run: { args: ['-'], env: { A: 'b=c' }, passEnv: ['HOME'], jsonOnly: true } } });
    const bad = await set('--batch-json', '[{path: "gateway.port", value: 19001}, {path: "gateway.prot", value: 1}]');
    expect(bad).toMatchObject({ code: 1, stderr: expect.stringContaining('gateway.prot') });
    expect((await read()).gateway).not.toHaveProperty('port');
  });

  it.each([
    [['gateway.port', '1', '--ref-id', 'x'], 'exclude each other'],
    [['gateway.port'], "missing required argument 'value'"],
    [['gateway.auth.token', '--ref-id', 'X'], 'a reference needs'],
    [['gateway.port', '--provider-source', 'env'], '--provider-\\* describe a secret provider'],
    [['secrets.providers.x', '--provider-source', 'file'], 'needs --provider-path'],
    [['--batch-json', '[{path: "a"}]'], 'needs one of value, ref and provider'],
    [['a.b', '--batch-json', '[]'], 'a batch names its own paths'],
    [['gateway.port', '1', '--allow-exec'], 'goes with --dry-run'],
  ])('refuses %j', async (args, message) => {
    machine = await createMachine();
    expect(await set(...args)).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
  });

  it('--dry-run tells what the edit would do, whether its references resolve, and writes nothing', async () => {
    machine = await createMachine(local());
    const before = await readFile(machine.configFile, 'utf8');
    const command = join(machine.home, 'say.sh');
    await writeFile(command, '#!/bin/sh\necho said >> "$(dirname "$0")/ran"\nprintf key\n');
    await chmod(command, 0o700);
    const batch = [
      { path: 'secrets.providers.say', provider: { source: 'exec', command, jsonOnly: false } },
      { path: 'gateway.auth.token', ref: { source: 'exec', provider: 'say', id: 'token' } },
      { path: 'gateway.port', value: 19_777 },
      { path: 'gateway.reload.mode', value: 'hot' },
      { path: 'plugins.entries.recall.enabled', value: true },
    ];
    const trial = async (...more: string[]) => (await set('--dry-run', '--json', '--batch-json', JSON.stringify(batch), ...more)).json();
    expect(await trial()).toMatchObject({
      ok: true,
      operations: 5,
      inputModes: ['batch'],
      configPath: machine.configFile,
      checks: { schema: true, resolvability: true, resolvabilityComplete: false },
      refsChecked: 0,
      skippedExecRefs: 1,
      errors: [],
      effect: {
        mode: 'hybrid',
        keys: expect.arrayContaining([
          { path: 'gateway.port', effect: 'listener' },
          { path: 'gateway.auth.token', effect: 'hot' },
          { path: 'gateway.reload.mode', effect: 'none' },
        ]),
        extensions: [{ id: 'recall', effect: 'loaded' }],
        secrets: [expect.objectContaining({ path: 'gateway.auth.token', refs: ['exec:say:token'] })],
      },
    });
    await expect(readFile(join(machine.home, 'ran'))).rejects.toThrow('ENOENT');
    expect(await trial('--allow-exec')).toMatchObject({ ok: true, checks: { resolvabilityComplete: true }, refsChecked: 1, skippedExecRefs: 0 });
    expect(await readFile(join(machine.home, 'ran'), 'utf8')).toBe('said\n');
    const missing = await set('gateway.auth.token', '--ref-provider', 'default', '--ref-source', 'env', '--ref-id', 'NOT_SET_ANYWHERE', '--dry-run', '--json');
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.json()).toMatchObject({ ok: false, errors: [{ kind: 'resolvability', ref: 'env:default:NOT_SET_ANYWHERE' }] });
    const wrong = await set('gateway.port', 'x', '--dry-run', '--json');
    expect(wrong).toMatchObject({ code: 1 });
    expect(wrong.json()).toMatchObject({
      ok: false,
      checks: { schema: false },
      errors: [{ kind: 'schema', message: expect.stringContaining('gateway.port') }],
    });
    expect((await set('gateway.bind', 'lan', '--dry-run')).stdout).toContain('moves the listener');
    expect(await readFile(machine.configFile, 'utf8')).toBe(before);
  });

  it('asks the running gateway about its own credential with the present one, so that a wrong reference locks nobody out', async () => {
    machine = await createMachine(local({}));
    await machine.start({ env: { OF_THE_GATEWAY: 'only-the-gateway-has-it' } });
    const token = (id: string) => set('gateway.auth.token', '--ref-provider', 'default', '--ref-source', 'env', '--ref-id', id);
    const before = await readFile(machine.configFile, 'utf8');
    expect(await token('NOT_SET_HERE')).toMatchObject({ code: 1, stderr: expect.stringContaining('NOT_SET_HERE') });
    expect(await readFile(machine.configFile, 'utf8')).toBe(before);
    expect((await machine.cli(['health', '--json'])).json()).toMatchObject({ ok: true });
    expect(await token('OF_THE_GATEWAY')).toMatchObject({ code: 0, stdout: expect.stringContaining('The running gateway uses it') });
    expect((await machine.cli(['health'], { env: { OF_THE_GATEWAY: 'only-the-gateway-has-it' } })).code).toBe(0);
  });

  it('of several commands at once loses no edit', async () => {
    machine = await createMachine(local());
    const paths = ['agents.defaults.timeoutSeconds', 'agents.defaults.maxConcurrent', 'gateway.channelMaxRestartsPerHour', 'gateway.port'];
    const results = await Promise.all(paths.map((path, index) => set(path, String(600 + index))));
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(await read()).toMatchObject({
      agents: { defaults: { timeoutSeconds: 600, maxConcurrent: 601 } },
      gateway: { channelMaxRestartsPerHour: 602, port: 603 },
    });
  });
});

describe('durar config validate', () => {
  it('names each error with its place and pointer', async () => {
    machine = await createMachine();
    await machine.writeConfig('{\n  gateway: {\n    prot: 1,\n    port: "x",\n  },\n}\n');
    const { code, stdout } = await machine.cli(['config', 'validate', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      errors: expect.arrayContaining([
        expect.objectContaining({
          code: 'DUR_CONFIG_UNKNOWN_KEY',
          owner: expect.objectContaining({ file: machine.configFile, line: 3, pointer: '/gateway/prot' }),
        }),
        expect.objectContaining({ code: 'DUR_CONFIG_INVALID', owner: expect.objectContaining({ line: 4, column: 5, pointer: '/gateway/port' }) }),
      ]),
    });
    expect((await machine.cli(['config', 'validate'])).stderr).toContain(`${machine.configFile}:3:`);
  });

  it('fails for settings that an extension refuses, and for a rule of a channel that cannot be meant so', async () => {
    for (const telegram of [{ accounts: { a: { bogus: 1 } } }, { dmPolicy: 'allowlist', allowFrom: [] }]) {
      machine = await createMachine({ ...local({}), channels: { telegram } });
      const { code, stdout } = await machine.cli(['config', 'validate', '--json']);
      expect({ code, told: JSON.parse(stdout) }).toMatchObject({ code: 1, told: { ok: false, errors: [], findings: [{ level: 'error' }] } });
      expect((await machine.cli(['config', 'validate'])).stdout).toContain(`✗ ${machine.configFile}`);
      await machine.remove();
    }
    machine = await createMachine({ ...local({}), channels: { telegram: { enabled: false } } });
    expect((await machine.cli(['config', 'validate'])).code).toBe(0);
  });

  it('looks up the references of stored credentials too, and doctor does (SEC-162, SEC-163)', async () => {
    machine = await createMachine(local({}));
    const folder = join(machine.stateDir, 'agents/main/agent');
    await mkdir(folder, { recursive: true });
    const ref = (id: string) => ({ source: 'env', provider: 'default', id });
    const profiles = {
      'openai:a': { type: 'api_key', provider: 'openai', keyRef: ref('NOT_SET_HERE') },
      'openai:b': { type: 'token', provider: 'openai', tokenRef: ref('SET_HERE') },
    };
    await writeFile(join(folder, 'auth-profiles.json'), JSON.stringify({ version: 1, profiles }), { mode: 0o600 });
    const env = { SET_HERE: 'stored-value-7f' };
    const { code, stdout } = await machine.cli(['config', 'validate', '--json'], { env });
    expect(code).toBe(0);
    const { unavailable } = JSON.parse(stdout) as { unavailable: Array<{ path: string; reason: string }> };
    expect(unavailable).toEqual([
      expect.objectContaining({ path: expect.stringContaining('auth-profiles.json: profiles'), reason: expect.stringContaining('NOT_SET_HERE') }),
    ]);
    const doctor = await machine.cli(['doctor'], { env });
    expect(doctor.stdout).toContain('NOT_SET_HERE');
    expect(stdout + doctor.stdout).not.toContain(env.SET_HERE);
  });

  it('tells what the running gateway would change to use the file', async () => {
    machine = await createMachine(local({ reload: { mode: 'off' } }));
    await machine.start();
    expect((await machine.cli(['config', 'validate'])).stdout).toContain('The running gateway uses it.');
    await machine.writeConfig({ ...local({ reload: { mode: 'off' }, auth: { token: 'a-new-secret' } }), plugins: { entries: { recall: { enabled: true } } } });
    const { stdout } = await machine.cli(['config', 'validate', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      pending: {
        mode: 'off',
        keys: expect.arrayContaining([{ path: 'gateway.auth.token', effect: 'restart' }]),
        extensions: [{ id: 'recall', effect: 'loaded' }],
      },
    });
    expect(stdout).not.toContain('a-new-secret');
    expect((await machine.cli(['config', 'validate'])).stdout).toContain('waits for the next start');
  });

  it('tells of an edit that was refused', async () => {
    machine = await createMachine(local());
    const gateway = await machine.start();
    await machine.writeConfig({ ...local({ auth: { mode: 'password' } }) });
    await until(() => gateway.output().includes('is not applied'), 'the refusal');
    const { stdout } = await machine.cli(['config', 'validate', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ pending: { keys: [{ path: 'gateway.auth.mode', effect: 'hot' }] } });
  });
});

it('durar config get masks the password inside a URL (SEC-126)', async () => {
  machine = await createMachine({ ...local(), models: { providers: { x: { baseUrl: 'https://ada:pa55word@host/v1', models: [] } } } });
  const { stdout } = await machine.cli(['config', 'get', 'models.providers.x.baseUrl']);
  expect(stdout.trim()).toBe('https://ada:__Durar_REDACTED__@host/v1');
});

it('a redacted snapshot that is sent back keeps the secrets; the marker as a value of its own is refused (SEC-126 to SEC-128)', async () => {
  machine = await createMachine({
    ...local({ auth: { token: 'kept-token' } }),
    models: { providers: { x: { apiKey: 'kept-key', baseUrl: 'https://ada:kept-pass@host/v1', models: [] } } },
  });
  const gateway = await machine.start();
  const call = async (method: string, params: object = {}) => machine.cli(['gateway', 'call', method, '--json', '--params', JSON.stringify(params)]);
  const got = await call('config.get');
  expect(got.stdout).not.toMatch(/kept-(token|key|pass)/);
  const { parsed, hash } = got.json<{ parsed: Record<string, object>; hash: string }>();
  expect(parsed).toMatchObject({ gateway: { auth: { token: '__Durar_REDACTED__' } }, models: { providers: { x: { apiKey: '__Durar_REDACTED__' } } } });
  const edited = { ...parsed, ui: { seamColor: '#123456' } };
  expect((await call('config.set', { raw: JSON.stringify(edited), baseHash: hash })).code).toBe(0);
  expect(await read()).toMatchObject({
    gateway: { auth: { token: 'kept-token' } },
    models: { providers: { x: { apiKey: 'kept-key', baseUrl: 'https://ada:kept-pass@host/v1' } } },
    ui: { seamColor: '#123456' },
  });
  const { hash: now } = (await call('config.get')).json<{ hash: string }>();
  for (const patch of [
    { hooks: { token: '__Durar_REDACTED__' } },
    { models: { providers: { y: { baseUrl: 'https://ada:__Durar_REDACTED__@other', models: [] } } } },
  ]) {
    const refused = await call('config.patch', { raw: JSON.stringify(patch), baseHash: now });
    expect(refused.code, JSON.stringify(patch)).toBe(1);
    expect(refused.stdout).toContain('redaction marker');
  }
  expect(await machine.cli(['config', 'set', 'hooks.token', '__Durar_REDACTED__'])).toMatchObject({ code: 1 });
  expect(gateway.child.exitCode).toBeNull();
});
