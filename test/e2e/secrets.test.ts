import { hash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createGatewayClient, type GatewayClient } from '../../sdk/client/client.ts';
import { loadIdentity, nodeSocketFactory } from '../../sdk/client/node.ts';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

const FIXTURE = join(root, 'test/fixtures/counting-secrets');
/** Stands in every value that the source gives, and in no file. */
const MARK = ['zq', 'secret'].join('-');
const ALIASES = ['c0', 'c1', 'c2', 'c3'];

interface Call {
  provider: string;
  ids: string[];
  asking: number;
}

let machine: Machine;
let gateway: GatewayProcess;
let client: GatewayClient;
let model: Server;
let source: string;
/** The key that the model was shown, by call. */
const keys: string[] = [];
/** Every answer and event that a client saw, `secrets.resolve` excepted. */
const seen: string[] = [];
/** Everything that a command printed. */
const printed: string[] = [];

beforeAll(async () => {
  model = createServer((request, response) => {
    keys.push(request.headers.authorization ?? '');
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const choice = { index: 0, delta: { content: 'yes' }, finish_reason: 'stop' };
      response.end(`data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [choice] })}\n\ndata: [DONE]\n\n`);
    });
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  machine = await createMachine();
  source = join(machine.home, 'source');
  await mkdir(source);
  await setSource({ version: 1 });
  await machine.writeConfig(config());
  gateway = await machine.start();
  client = await enter();
}, 60_000);

afterAll(async () => {
  client?.close();
  model.close();
  await machine.remove();
});

const ref = (provider: string, id: string) => ({ source: 'counter', provider, id });

/** 512 references over four aliases: one key that a model is shown, and those of skills. */
function config(more: { refs?: number; entries?: object; gateway?: object; timeoutMs?: number } = {}) {
  const { refs = 512, entries = {}, timeoutMs } = more;
  const skills = Array.from({ length: refs - 1 }, (_, at) => [`s${at + 1}`, { apiKey: ref(`c${(at + 1) % 4}`, `id${at + 1}`) }]);
  const block = { source: 'counter', folder: source, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  return {
    gateway: { mode: 'local', reload: { debounceMs: 20 }, ...more.gateway },
    logging: { file: join(machine.home, 'gateway.log'), level: 'trace', consoleLevel: 'trace' },
    plugins: { load: { paths: [FIXTURE] } },
    secrets: { providers: Object.fromEntries(ALIASES.map((alias) => [alias, block])), resolution: { maxProviderConcurrency: 2 } },
    models: {
      providers: {
        fake: {
          baseUrl: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`,
          api: 'openai-completions',
          apiKey: ref('c0', 'model'),
          models: [{ id: 'm', contextWindow: 32_000 }],
        },
      },
    },
    agents: { defaults: { model: 'fake/m' } },
    skills: { entries: { ...Object.fromEntries(skills), ...entries } },
  };
}

const setSource = (state: object) => writeFile(join(source, 'state.json'), JSON.stringify(state));

async function calls(): Promise<Call[]> {
  const text = await readFile(join(source, 'calls'), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Call);
}

async function enter(scopes = ['operator.admin']): Promise<GatewayClient> {
  const { token } = JSON.parse(await readFile(join(machine.stateDir, 'state/gateway-auth.json'), 'utf8')) as { token: string };
  const made = createGatewayClient({
    url: gateway.url,
    socketFactory: nodeSocketFactory(),
    identity: loadIdentity({ stateDir: join(machine.home, `client-${scopes.join('-')}`) }),
    auth: { token },
    client: { id: 'test', version: '1', platform: 'test', mode: 'test' },
    scopes,
    onEvent: (event) => seen.push(JSON.stringify(event)),
  });
  await made.connect();
  return made;
}

async function call<Result = Record<string, unknown>>(method: string, params: Record<string, unknown> = {}, options: object = {}): Promise<Result> {
  try {
    const result = await client.request(method, params, options);
    if (method !== 'secrets.resolve') seen.push(JSON.stringify(result) ?? '');
    return result as Result;
  } catch (error) {
    seen.push(`${String(error)} ${JSON.stringify(error)}`);
    throw error;
  }
}

/** The key with which a turn asks the model. */
async function turn(): Promise<string | undefined> {
  await call('agent', { message: 'hello', sessionKey: 'main', idempotencyKey: randomUUID() }, { expectFinal: true, timeoutMs: 20_000 });
  return keys.at(-1);
}

async function cli(args: string[]) {
  const result = await machine.cli(args);
  printed.push(result.stdout, result.stderr);
  return result;
}

async function lines(code: string): Promise<Array<Record<string, unknown>>> {
  await call('logs.tail', { limit: 1 });
  const text = await readFile(join(machine.home, 'gateway.log'), 'utf8');
  return text
    .split('\n')
    .filter((line) => line.includes(`"${code}"`))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const events = async () => (await call<{ queuedSystemEvents: string[] }>('status')).queuedSystemEvents.filter((text) => text.includes('SECRETS_RELOADER'));
const bearer = (version: number) => `Bearer ${MARK}-${version}-c0-model`;
const fileHash = async () => hash('sha256', await readFile(machine.configFile, 'utf8'));

it('512 references over four aliases are four calls, two at a time, before it listens (SEC-005, SEC-068, SEC-069, SEC-093, SEC-133)', async () => {
  const asked = await calls();
  expect(asked.map(({ provider, ids }) => [provider, ids.length]).sort()).toEqual(ALIASES.map((alias) => [alias, 128]));
  expect(Math.max(...asked.map(({ asking }) => asking))).toBe(2);
});

it('turns read the active secrets and nothing else, whatever becomes of the source (SEC-009, SEC-010, SEC-012)', async () => {
  const before = (await calls()).length;
  expect(await turn()).toBe(bearer(1));
  await setSource({ version: 2, hangs: true });
  expect(await turn()).toBe(bearer(1));
  await rm(join(source, 'state.json'));
  expect(await turn()).toBe(bearer(1));
  expect((await calls()).length).toBe(before);
});

it('secrets reload takes the new values over (SEC-136, SEC-141, SEC-169, PROTO-126)', async () => {
  await setSource({ version: 2 });
  const { code, stdout } = await cli(['secrets', 'reload', '--json']);
  expect([code, JSON.parse(stdout)]).toEqual([0, { ok: true, warningCount: 0 }]);
  expect(await turn()).toBe(bearer(2));
});

describe('secrets.resolve', () => {
  it('gives the active secrets of the targets, and no others (SEC-154, PROTO-127)', async () => {
    const before = (await calls()).length;
    const { assignments, ...rest } = await call<{ assignments: Array<{ path: string; value: string }> }>('secrets.resolve', {
      commandName: 'test',
      targetIds: ['models.providers.*.apiKey', 'skills.entries.s7.apiKey'],
    });
    expect(assignments).toEqual([
      { path: 'models.providers.fake.apiKey', pathSegments: ['models', 'providers', 'fake', 'apiKey'], value: `${MARK}-2-c0-model` },
      { path: 'skills.entries.s7.apiKey', pathSegments: ['skills', 'entries', 's7', 'apiKey'], value: `${MARK}-2-c3-id7` },
    ]);
    expect(rest).toEqual({ ok: true, diagnostics: [], inactiveRefPaths: [] });
    expect((await calls()).length).toBe(before);
  });

  it.each([
    [{ commandName: 'test', targetIds: ['gateway.port'] }, 'invalid secrets.resolve params: unknown target id "gateway.port"'],
    [{ commandName: 'test' }, /invalid secrets.resolve params: .*targetIds/],
    [{ targetIds: [] }, /invalid secrets.resolve params: .*commandName/],
  ])('refuses %j', async (params, message) => {
    await expect(call('secrets.resolve', params)).rejects.toThrow(message);
  });

  it('needs operator.admin, as does secrets.reload', async () => {
    const reader = await enter(['operator.read', 'operator.write']);
    for (const [method, params] of [
      ['secrets.resolve', { commandName: 'test', targetIds: [] }],
      ['secrets.reload', {}],
    ] as const) {
      await expect(reader.request(method, params)).rejects.toThrow('missing scope: operator.admin');
    }
    reader.close();
  });
});

describe('a write that names a secret', () => {
  const patch = (entries: object) => ({ skills: { entries } });
  const broken = patch({ s1: { apiKey: ref('c0', 'sealed') } });
  beforeEach(() => setSource({ version: 2, broken: ['sealed'] }));

  it.each([
    ['config.set', 'SEC-137'],
    ['config.apply', 'SEC-138'],
    ['config.patch', 'SEC-139'],
  ])('that does not resolve is refused by %s, and nothing has changed (%s, SEC-144)', async (method, _id) => {
    const before = await fileHash();
    const { hash: baseHash } = await call<{ hash: string }>('config.get');
    const raw = method === 'config.patch' ? broken : config({ entries: broken.skills.entries });
    await expect(call(method, { raw: JSON.stringify(raw), baseHash })).rejects.toThrow(
      /invalid config: active SecretRef resolution failed \(skills\.entries\.s1\.apiKey: .*it is sealed \(provider 'c0'\)/,
    );
    expect(await fileHash()).toBe(before);
    expect(await turn()).toBe(bearer(2));
    expect(await events()).toEqual([]);
  });

  it('out of use is taken, and told (SEC-016, SEC-017, SEC-140)', async () => {
    const { hash: baseHash } = await call<{ hash: string }>('config.get');
    await call('config.patch', { raw: JSON.stringify(patch({ s1: { enabled: false, apiKey: ref('c0', 'sealed') } })), baseHash });
    expect(await lines('SECRETS_REF_IGNORED_INACTIVE_SURFACE')).toContainEqual(expect.objectContaining({ path: 'skills.entries.s1.apiKey' }));
    const answer = await call('secrets.resolve', { commandName: 'test', targetIds: ['skills.entries.s1.apiKey'] });
    expect(answer).toMatchObject({ assignments: [], inactiveRefPaths: ['skills.entries.s1.apiKey'] });
  });

  it('at a field that takes none is refused (SEC-121)', async () => {
    const { hash: baseHash } = await call<{ hash: string }>('config.get');
    const raw = { ...config(), agents: { defaults: { model: 'fake/m', params: { note: ref('c0', 'x') } } } };
    await expect(call('config.set', { raw: JSON.stringify(raw), baseHash })).rejects.toThrow(/agents\.defaults\.params\.note.* takes none/);
  });
});

describe('a source that fails while the gateway runs', () => {
  it('leaves the last good secrets, is told once, then only logged (SEC-015, SEC-143, SEC-146, SEC-147, SEC-149, SEC-151)', async () => {
    await setSource({ version: 3, broken: ['model'] });
    for (let round = 0; round < 3; round += 1) await expect(call('secrets.reload')).rejects.toThrow("'models.providers.fake.apiKey' cannot be resolved");
    expect(await events()).toEqual([expect.stringContaining('SECRETS_RELOADER_DEGRADED')]);
    expect((await lines('SECRETS_RELOADER_DEGRADED')).length).toBe(1);
    expect(gateway.output()).toContain('the secrets still cannot be reloaded');
    expect((await cli(['secrets', 'reload'])).code).toBe(1);
    expect(await turn()).toBe(bearer(2));
  });

  it('recovers once (SEC-148, SEC-150)', async () => {
    await setSource({ version: 3 });
    await call('secrets.reload');
    expect(await events()).toEqual([expect.stringContaining('SECRETS_RELOADER_RECOVERED')]);
    await call('secrets.reload');
    expect((await lines('SECRETS_RELOADER_RECOVERED')).length).toBe(1);
    expect(await turn()).toBe(bearer(3));
  });

  it('an edit of the file beside a broken reference is not applied (SEC-007, SEC-134, SEC-135)', async () => {
    await setSource({ version: 4, broken: ['sealed'] });
    await machine.writeConfig(config({ entries: { s2: { apiKey: ref('c0', 'sealed') } } }));
    await until(async () => (await lines('SECRETS_RELOADER_DEGRADED')).length === 2, 'the refusal');
    expect(await turn()).toBe(bearer(3));
    await machine.writeConfig(config({ timeoutMs: 300 }));
    await until(async () => (await lines('SECRETS_RELOADER_RECOVERED')).length === 2, 'the correction');
    expect(await turn()).toBe(bearer(4));
  });

  it('one that hangs is cut off, and turns go on meanwhile (SEC-012)', async () => {
    await setSource({ version: 5, hangs: true });
    const reload = call('secrets.reload').then(
      () => 'done',
      (error: unknown) => String(error),
    );
    let isOver = false;
    void reload.then(() => (isOver = true));
    expect(await turn()).toBe(bearer(4));
    expect(isOver).toBe(false);
    expect(await reload).toContain('did not answer within');
    await setSource({ version: 5 });
    await call('secrets.reload');
    expect(await turn()).toBe(bearer(5));
  });

  it('an edit that is taken back recovers; one that a command takes back tells nothing (SEC-147, SEC-148)', async () => {
    const count = async () => [(await lines('SECRETS_RELOADER_DEGRADED')).length, (await lines('SECRETS_RELOADER_RECOVERED')).length];
    const [degraded = 0, recovered = 0] = await count();
    const before = await readFile(machine.configFile, 'utf8');
    await setSource({ version: 5, broken: ['sealed'] });
    await machine.writeConfig(config({ entries: { s2: { apiKey: ref('c0', 'sealed') } } }));
    await until(async () => (await count())[0] === degraded + 1, 'the refusal');
    await writeFile(machine.configFile, before);
    await until(async () => (await count())[1] === recovered + 1, 'the way back');
    const value = JSON.stringify(ref('c0', 'sealed'));
    // slower than the command takes its edit back
    await cli(['config', 'set', 'gateway.reload.debounceMs', '5000']);
    expect((await cli(['config', 'set', 'skills.entries.s2.apiKey', value])).code).toBe(1);
    expect(await count()).toEqual([degraded + 1, recovered + 1]);
    await cli(['config', 'set', 'gateway.reload.debounceMs', '20']);
  });
});

describe('commands that only read', () => {
  it('take what the gateway has, without asking the source (SEC-153, SEC-164)', async () => {
    const before = (await calls()).length;
    await setSource({ version: 5, broken: ['model'] });
    const { stdout, code } = await cli(['status', '--all', '--json']);
    const { secrets } = JSON.parse(stdout) as { secrets: Array<{ path: string; state: string; from?: string }> };
    expect(code).toBe(0);
    expect(secrets).toContainEqual({ path: 'models.providers.fake.apiKey', state: 'available', from: 'gateway' });
    expect(secrets.length).toBe(512);
    expect((await calls()).length).toBe(before);
  });
});

describe('without a gateway', () => {
  beforeAll(async () => {
    client.close();
    await gateway.stop();
  }, 60_000);

  it('they ask the source, for what they need only, and go on without (SEC-157, SEC-158, SEC-162, SEC-163, SEC-165, SEC-166, SEC-167)', async () => {
    await setSource({ version: 5, broken: ['model'] });
    await machine.writeConfig(config({ refs: 3 }));
    const before = (await calls()).length;
    const all = await cli(['status', '--all']);
    expect([all.code, all.stdout]).toEqual([0, expect.stringContaining('models.providers.fake.apiKey: configured but unavailable in this command path')]);
    expect(all.stdout).toContain('3 references: 2 available, 1 unavailable');
    const asked = (await calls()).slice(before);
    expect(asked.flatMap(({ ids }) => ids).sort()).toEqual(['id1', 'id2', 'model']);
    expect((await cli(['status'])).code).toBe(0);
    expect((await calls()).length).toBe(before + asked.length);
    for (const command of [['doctor'], ['config', 'validate']]) {
      const { stdout } = await cli(command);
      expect(stdout).toContain('models.providers.fake.apiKey: configured but unavailable in this command path');
    }
    expect((await cli(['config', 'validate'])).code).toBe(0);
  });

  it('a start with that reference fails, names place and provider, and tells no degradation (SEC-006, SEC-014, SEC-142, SEC-152, SEC-168)', async () => {
    await setSource({ version: 6, broken: ['model'] });
    const start = await cli(['gateway', 'run', '--port', '0']);
    expect(start.code).not.toBe(0);
    expect(start.stderr + start.stdout).toMatch(/'models\.providers\.fake\.apiKey' cannot be resolved: it is sealed \(provider 'c0'\)/);
    expect(start.stderr + start.stdout).not.toContain('SECRETS_RELOADER');
    expect((await cli(['gateway', 'status', '--json'])).stdout).not.toContain('"running": true');
  });

  it('too many references to one alias fail (SEC-069)', async () => {
    await setSource({ version: 6 });
    const entries = Object.fromEntries(Array.from({ length: 513 }, (_, at) => [`t${at}`, { apiKey: ref('c1', `t${at}`) }]));
    await machine.writeConfig(config({ refs: 1, entries }));
    expect((await cli(['gateway', 'run', '--port', '0'])).stderr).toContain('maxRefsPerProvider is 512');
  });

  it('credentials of the gateway are told with the reason; the environment and the command line go before a broken one (SEC-033, SEC-034, SEC-040, SEC-041)', async () => {
    await setSource({ version: 6, broken: ['token'] });
    await machine.writeConfig(config({ refs: 1, gateway: { auth: { token: ref('c1', 'token') } } }));
    expect((await cli(['gateway', 'run', '--port', '0'])).code).not.toBe(0);
    const running = await machine.start({ env: { Durar_GATEWAY_TOKEN: 'token-of-the-environment' } });
    expect(running.output()).toMatch(
      /SECRETS_GATEWAY_AUTH_SURFACE: the secret of gateway\.auth\.token is inactive: Durar_GATEWAY_TOKEN or --token is set and wins/,
    );
    expect(running.output()).toContain('SECRETS_REF_IGNORED_INACTIVE_SURFACE');
    printed.push(running.output());
    await running.stop();
    const shown = await machine.start({ args: ['--token', 'token-of-the-command'] });
    expect(shown.output()).toContain('Durar_GATEWAY_TOKEN or --token is set and wins');
    await shown.stop();
  });
});

it('no value is in a log, an event, an answer, a transcript, a file or a command line (SEC-004, SEC-100)', async () => {
  expect(keys.length).toBeGreaterThan(5);
  const files = await readdir(machine.home, { recursive: true, withFileTypes: true });
  const names = files.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  expect(names.some((name) => name.endsWith('.jsonl') || name.endsWith('.db'))).toBe(true);
  expect(names).toContain(join(machine.home, 'gateway.log'));
  const found: string[] = [];
  for (const name of names) if ((await readFile(name)).includes(MARK)) found.push(name);
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if ((await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes(MARK)) found.push(`process ${pid}`);
  }
  for (const [what, texts] of Object.entries({ seen, printed, output: [gateway.output()] })) if (texts.some((text) => text.includes(MARK))) found.push(what);
  expect(found).toEqual([]);
});
