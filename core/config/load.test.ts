// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${VAR} is the syntax of the file
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from './load.ts';
import { type Paths, resolvePaths } from './paths.ts';

let home: string;
let paths: Paths;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'durar-config-'));
  paths = resolvePaths({ env: { Durar_HOME: home } });
});

afterEach(() => rm(home, { recursive: true, force: true }));

async function put(name: string, text: string): Promise<void> {
  const file = join(paths.stateDir, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

const load = (env: Record<string, string> = {}) => loadConfig({ paths, env, cwd: join(home, 'cwd') });

describe('a file', () => {
  it('that is missing means defaults', async () => {
    const loaded = await load();
    expect(loaded).toMatchObject({ exists: false, raw: '', errors: [], warnings: [], file: paths.configFile });
    expect(loaded.config.gateway.port).toBe(18_789);
    expect(loaded.config.agents.defaults.workspace).toBe(join(paths.stateDir, 'workspace'));
  });

  it('takes port and workspace of its profile when it names none', async () => {
    paths = resolvePaths({ env: { Durar_HOME: home }, dev: true });
    expect((await load()).config.gateway.port).toBe(19_001);
    await put('Durar.json', '{gateway: {port: 5}, agents: {defaults: {workspace: "~/w"}}}');
    const { config } = await load();
    expect([config.gateway.port, config.agents.defaults.workspace]).toEqual([5, '~/w']);
  });

  it('is JSON5 with comments (AMB-003)', async () => {
    await put('Durar.json', "\uFEFF// hi\n{gateway: {bind: 'lan', /* c */ port: 0x10,},}");
    const loaded = await load();
    expect(loaded.errors).toEqual([]);
    expect(loaded.config.gateway).toMatchObject({ bind: 'lan', port: 16 });
  });

  it.each([
    ['empty', ''],
    ['blank', ' \n '],
  ])('that is %s means defaults', async (_name, text) => {
    await put('Durar.json', text);
    expect(await load()).toMatchObject({ exists: true, errors: [] });
  });

  it.each([
    ['a missing comma', '{\n  a: 1\n  b: 2\n}', 3, 3, /invalid character 'b'/],
    ['an open brace', '{\n  "a": 1', 2, 9, /end of input/],
    ['a stray word', '{} x', 1, 4, /invalid character 'x'/],
    ['curly quotes around a key (AMB-004)', '{\n  “a”: 1\n}', 2, 3, /curly; write straight quotes/],
    ['curly quotes around a value (AMB-004)', '{ a: “b” }', 1, 6, /“ is curly/],
    ['a single curly quote (AMB-004)', '{ a: ‘b’ }', 1, 6, /‘ is curly/],
  ])('with %s gives line and column', async (_name, text, line, column, reason) => {
    await put('Durar.json', text);
    const { errors, config } = await load();
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code: 'DUR_CONFIG_SYNTAX', owner: { file: paths.configFile, line, column }, message: expect.stringMatching(reason) });
    expect(config.gateway.port).toBe(18_789);
  });

  it('may have curly quotes inside a text', async () => {
    await put('Durar.json', '{messages: {responsePrefix: "“hi”"}}');
    expect((await load()).config.messages.responsePrefix).toBe('“hi”');
  });

  it('with errors names the place of each and still gives its valid parts', async () => {
    await put('Durar.json', '{\n  "gateway": { "port": 20000, "bnd": 1 },\n  "agents": {\n    "defaults": { "timeoutSeconds": "x" }\n  }\n}');
    const { errors, config } = await load();
    expect(errors.map((error) => [error.code, error.owner.line, error.owner.column])).toEqual([
      ['DUR_CONFIG_UNKNOWN_KEY', 2, 31],
      ['DUR_CONFIG_INVALID', 4, 19],
    ]);
    expect([config.gateway.port, config.agents.defaults.timeoutSeconds]).toEqual([20_000, 172_800]);
  });

  it('that cannot be read is an error, not a missing file', async () => {
    await mkdir(paths.configFile, { recursive: true });
    expect((await load()).errors[0]).toMatchObject({ code: 'DUR_CONFIG_UNREADABLE' });
  });
});

describe('${VAR}', () => {
  it('is replaced in texts; $${VAR} is literal; other forms stay', async () => {
    await put('Durar.json', '{messages: {responsePrefix: "${NAME}-$${NAME}-${name}-$NAME", ackReaction: "${Durar_X}"}}');
    const { config, errors } = await load({ NAME: 'n', Durar_X: 'y' });
    expect(errors).toEqual([]);
    expect(config.messages).toMatchObject({ responsePrefix: 'n-${NAME}-${name}-$NAME', ackReaction: 'y' });
  });

  it.each([
    ['missing', {}],
    ['empty', { NAME: '' }],
  ])('that is %s is an error with its place', async (_name, env) => {
    await put('Durar.json', '{\n  messages: { responsePrefix: "${NAME}" }\n}');
    expect((await load(env as Record<string, string>)).errors).toMatchObject([
      {
        code: 'DUR_CONFIG_ENV_MISSING',
        message: "'messages.responsePrefix' refers to the environment variable 'NAME', which is not set",
        owner: { pointer: '/messages/responsePrefix', line: 2, column: 15 },
      },
    ]);
  });

  it('stays a reference in fields that hold secrets, set or not', async () => {
    await put(
      'Durar.json',
      '{gateway: {auth: {token: "${TOKEN}"}}, models: {providers: {p: {apiKey: "${TOKEN}", baseUrl: "${URL}"}}}, channels: {x: {botToken: "${NO}", name: "${URL}"}}}',
    );
    const { config, errors } = await load({ TOKEN: 'plain', URL: 'u' });
    expect(errors).toEqual([]);
    expect(config.gateway.auth.token).toBe('${TOKEN}');
    expect(config.models.providers.p).toMatchObject({ apiKey: '${TOKEN}', baseUrl: 'u' });
    expect(config.channels.x).toEqual({ botToken: '${NO}', name: 'u' });
  });

  it('cannot smuggle structure in', async () => {
    await put('Durar.json', '{messages: {responsePrefix: "${NAME}"}}');
    expect((await load({ NAME: '", "x": "' })).config.messages.responsePrefix).toBe('", "x": "');
  });
});

describe('the environment', () => {
  it('takes the first source that sets a variable', async () => {
    await mkdir(join(home, 'cwd'), { recursive: true });
    await writeFile(join(home, 'cwd', '.env'), 'B=cwd\nC=cwd\n# comment\nQ="two words"\n');
    await put('.env', 'A=state\nB=state\nC=state\nD=state\nEMPTY=state\n');
    await put('Durar.json', '{env: {D: "config", E: "config-${A}", vars: {E: "vars", F: "vars"}}}');
    const { env, errors } = await load({ A: 'process', EMPTY: '' });
    expect(errors).toEqual([]);
    expect(env).toMatchObject({ A: 'process', B: 'cwd', C: 'cwd', D: 'state', E: 'config-process', F: 'vars', Q: 'two words', EMPTY: 'state' });
  });

  it('is not written to', async () => {
    await put('Durar.json', '{env: {DURAR_TEST_ONLY: "x"}}');
    const before = {};
    await load(before);
    expect(before).toEqual({});
    expect(process.env.DURAR_TEST_ONLY).toBeUndefined();
  });

  it('asks the login shell last, and only when told to', async () => {
    const shell = join(home, 'shell');
    await writeFile(shell, '#!/bin/sh\nexec env -i A=shell Z=shell env -0\n');
    await chmod(shell, 0o755);
    expect((await load({ SHELL: shell })).env.Z).toBeUndefined();
    expect((await load({ SHELL: shell, A: 'process', Durar_LOAD_SHELL_ENV: '1' })).env).toMatchObject({ A: 'process', Z: 'shell' });
    await put('Durar.json', '{env: {shellEnv: {enabled: true}}}');
    expect((await load({ SHELL: shell })).env.Z).toBe('shell');
    const broken = await load({ SHELL: join(home, 'nothing') });
    expect([broken.errors, broken.warnings.map((warning) => warning.code)]).toEqual([[], ['DUR_CONFIG_SHELL_ENV']]);
  });
});

describe('$include', () => {
  it('takes the place of the object, or is merged under its siblings', async () => {
    await put('Durar.json', '{gateway: {$include: "parts/gateway.json5"}, session: {$include: ["parts/a.json", "parts/b.json"], scope: "global"}}');
    await put('parts/gateway.json5', "{bind: 'lan', reload: {$include: './reload.json'}}");
    await put('parts/reload.json', '{"mode": "hot"}');
    await put('parts/a.json', '{"dmScope": "main", "reset": {"mode": "daily", "atHour": 3}, "resetTriggers": ["/a"]}');
    await put('parts/b.json', '{"dmScope": "per-peer", "reset": {"atHour": 5}, "scope": "per-sender", "resetTriggers": ["/b"]}');
    const { config, errors, files } = await load();
    expect(errors).toEqual([]);
    expect(config.gateway).toMatchObject({ bind: 'lan', reload: { mode: 'hot' } });
    expect(config.session).toMatchObject({ dmScope: 'per-peer', scope: 'global', reset: { mode: 'daily', atHour: 5 }, resetTriggers: ['/b'] });
    expect(files).toHaveLength(5);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['a missing file', { 'Durar.json': '{gateway: {$include: "no.json"}}' }, /'no.json' failed: the file does not exist/],
    ['a file that includes itself', { 'Durar.json': '{gateway: {$include: "Durar.json"}}' }, /include each other/],
    [
      'a circle of two',
      { 'Durar.json': '{gateway: {$include: "a.json"}}', 'a.json': '{tls: {$include: "b.json"}}', 'b.json': '{x: {$include: "a.json"}}' },
      /a\.json -> .*b\.json -> .*a\.json/,
    ],
    ['a path that leaves the folder', { 'Durar.json': '{gateway: {$include: "../out.json"}}', '../out.json': '{}' }, /leaves the folder/],
    ['an absolute path outside', { 'Durar.json': '{gateway: {$include: "/etc/hostname"}}' }, /leaves the folder/],
    ['a number', { 'Durar.json': '{gateway: {$include: 5}}' }, /must be a file name/],
    ['an empty list', { 'Durar.json': '{gateway: {$include: []}}' }, /must be a file name/],
    ['keys beside a file without an object', { 'Durar.json': '{gateway: {$include: "a.json", port: 1}}', 'a.json': '[1]' }, /cannot be merged/],
  ])('refuses %s', async (_name, files, message) => {
    for (const [name, text] of Object.entries(files)) await put(name, text);
    expect((await load()).errors).toMatchObject([{ code: 'DUR_CONFIG_INCLUDE', message: expect.stringMatching(message) }]);
  });

  it('refuses a link that leaves the folder', async () => {
    await writeFile(join(home, 'out.json'), '{}');
    await put('Durar.json', '{gateway: {$include: "link.json"}}');
    await symlink(join(home, 'out.json'), join(paths.stateDir, 'link.json'));
    expect((await load()).errors).toMatchObject([{ code: 'DUR_CONFIG_INCLUDE', message: expect.stringMatching(/leaves the folder/) }]);
  });

  it('gives the place of each error in the file that holds it, the deepest too', async () => {
    await put('Durar.json', '{\n  gateway: { $include: "gateway.json5" },\n  agents: { $include: ["a.json5", "b.json5"], list: "none" },\n}');
    await put('gateway.json5', '{\n  port: 70000,\n  auth: { $include: "auth.json5" },\n}');
    await put('auth.json5', '{\n\n  mode: "open" }');
    await put('a.json5', '{ defaults: {\n workspce: "x" } }');
    await put('b.json5', '{ defaults: { model: "a/b" } }');
    const { errors, files, hashes } = await load();
    const places = errors.map(({ owner }) => [owner.pointer, owner.file?.slice(paths.stateDir.length + 1), owner.line, owner.column]);
    expect(places.toSorted()).toEqual([
      ['/agents/defaults/workspce', 'a.json5', 2, 2],
      ['/agents/list', 'Durar.json', 3, 47],
      ['/gateway/auth/mode', 'auth.json5', 3, 3],
      ['/gateway/port', 'gateway.json5', 2, 3],
    ]);
    expect(files).toHaveLength(5);
    expect([...hashes.keys()]).toEqual(files);
  });

  it('gives the place of a syntax error in the included file', async () => {
    await put('Durar.json', '{gateway: {$include: "a.json"}}');
    await put('a.json', '{\n  x y\n}');
    expect((await load()).errors).toMatchObject([{ code: 'DUR_CONFIG_SYNTAX', owner: { file: join(paths.stateDir, 'a.json'), line: 2, column: 5 } }]);
  });

  it('ends at ten levels', async () => {
    const chain = async (length: number) => {
      await put('Durar.json', '{wizard: {$include: "1.json"}}');
      for (let index = 1; index < length; index += 1) await put(`${index}.json`, `{x: {$include: "${index + 1}.json"}}`);
      await put(`${length}.json`, '{}');
      return (await load()).errors;
    };
    expect(await chain(10)).toEqual([]);
    expect(await chain(11)).toMatchObject([{ code: 'DUR_CONFIG_INCLUDE', message: expect.stringMatching(/more than 10 levels/) }]);
  });

  it('keeps forbidden keys out', async () => {
    await put('Durar.json', '{"channels": {"__proto__": {"x": 1}}}');
    expect((await load()).errors).toMatchObject([{ code: 'DUR_CONFIG_PATH' }]);
    expect(({} as { x?: number }).x).toBeUndefined();
  });
});
