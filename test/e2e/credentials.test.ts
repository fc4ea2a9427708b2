import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGatewayClient, type GatewayClient } from '../../sdk/client/client.ts';
import { loadIdentity, nodeSocketFactory } from '../../sdk/client/node.ts';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

/** Stands in every credential of this file, and in nothing else. */
const MARK = ['zq', 'credential'].join('-');
const key = (name: string) => `sk-${MARK}-${name}`;

let machine: Machine;
let gateway: GatewayProcess;
let client: GatewayClient;
let model: Server;
/** The keys that the model was shown. */
const keys: string[] = [];
/** The status that a key gets; others pay. */
const refused = new Map<string, number>();
/** Everything that commands printed and clients were sent. */
const seen: string[] = [];
/** How runs ended. */
const ended = new Map<string, string>();
let count = 0;

beforeAll(async () => {
  model = createServer((request, response) => {
    const shown = (request.headers.authorization ?? '').replace('Bearer ', '');
    keys.push(shown);
    request.resume().on('end', () => {
      const status = refused.get(shown);
      if (status !== undefined) return response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}');
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const choice = { index: 0, delta: { content: 'yes' }, finish_reason: 'stop' };
      return response.end(
        `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [choice] })}\n\ndata: [DONE]\n\n`,
      );
    });
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  machine = await createMachine();
  await machine.writeConfig({
    gateway: { mode: 'local', reload: { debounceMs: 20 } },
    logging: { file: join(machine.home, 'gateway.log'), level: 'trace', consoleLevel: 'trace' },
    models: {
      providers: {
        fake: {
          baseUrl: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`,
          api: 'openai-completions',
          apiKey: key('of-the-configuration'),
          models: [{ id: 'm', contextWindow: 32_000 }],
        },
      },
    },
    agents: { defaults: { model: 'fake/m' }, list: [{ id: 'main' }, { id: 'other' }] },
  });
  // what an older version has left
  await write('main', { fake: { type: 'api_key', key: key('legacy') }, codex: { type: 'oauth', access: 'a', refresh: 'r', expires: 1 } }, 'auth.json');
  gateway = await machine.start({ env: { REF_ONE: key('ref-one'), REF_TWO: key('ref-two') } });
  client = await enter();
}, 60_000);

afterAll(async () => {
  client?.close();
  model.close();
  await machine.remove();
});

const fileOf = (agentId: string, name = 'auth-profiles.json') => join(machine.stateDir, 'agents', agentId, 'agent', name);
async function write(agentId: string, content: object, name?: string): Promise<void> {
  await mkdir(join(fileOf(agentId), '..'), { recursive: true, mode: 0o700 });
  await writeFile(fileOf(agentId, name), JSON.stringify(content), { mode: 0o600 });
}
const read = async (agentId = 'main', name?: string) => JSON.parse(await readFile(fileOf(agentId, name), 'utf8'));

async function enter(): Promise<GatewayClient> {
  const { token } = JSON.parse(await readFile(join(machine.stateDir, 'state/gateway-auth.json'), 'utf8')) as { token: string };
  const made = createGatewayClient({
    url: gateway.url,
    socketFactory: nodeSocketFactory(),
    identity: loadIdentity({ stateDir: join(machine.home, 'client') }),
    auth: { token },
    client: { id: 'test', version: '1', platform: 'test', mode: 'test' },
    scopes: ['operator.admin'],
    onEvent(event) {
      seen.push(JSON.stringify(event));
      const { runId = '', state = '' } = (event.payload ?? {}) as { runId?: string; state?: string };
      if (event.event === 'chat' && ['final', 'error', 'aborted'].includes(state)) ended.set(runId, state);
    },
  });
  await made.connect();
  return made;
}

/** One turn; resolves with what it showed the model and what came of it. */
async function say(message: string, sessionKey = 'main'): Promise<{ keys: string[]; state: string }> {
  const before = keys.length;
  count += 1;
  const runId = `run-${count}`;
  seen.push(JSON.stringify(await client.request('chat.send', { sessionKey, message, idempotencyKey: runId })));
  const state = await until(() => ended.get(runId), `the end of '${message}'`);
  return { keys: keys.slice(before), state };
}

async function durar(args: string[], input?: string) {
  const result = await machine.cli(args, input === undefined ? {} : { input });
  seen.push(result.stdout, result.stderr);
  return result;
}

describe('credentials on a gateway', () => {
  it('an older static key is kept in the store and gone from its file; a sign-in stays (SEC-212, SEC-214, SEC-215, OAUTH-024)', async () => {
    expect((await read()).profiles).toEqual({ 'fake:default': { type: 'api_key', provider: 'fake', key: key('legacy') } });
    expect(Object.keys(await read('main', 'auth.json'))).toEqual(['codex']);
    expect(await say('hi')).toEqual({ keys: [key('legacy')], state: 'final' });
  });

  it('are stored from standard input and used from the next turn on, before the configuration (OAUTH-011, OAUTH-021, OAUTH-079)', async () => {
    expect(await durar(['models', 'auth', 'remove', 'fake:default'])).toMatchObject({ code: 0 });
    expect((await say('hi', 'bare')).keys).toEqual([key('of-the-configuration')]);
    for (const name of ['a', 'b', 'c']) {
      expect(await durar(['models', 'auth', 'add', '--provider', 'fake', '--profile-id', name], `${key(name)}\n`)).toMatchObject({ code: 0 });
    }
    expect(await durar(['models', 'auth', 'order', 'set', '--provider', 'fake', 'b', 'a'])).toMatchObject({ code: 0 });
    expect((await say('hi')).keys).toEqual([key('b')]);
    await durar(['models', 'auth', 'order', 'set', '--provider', 'fake', 'a', 'b']);
    expect((await say('hi')).keys).toEqual([key('a')]);
    const status = (await durar(['models', 'status', '--json'])).json<{ auth: { providers: unknown[] } }>();
    expect(status.auth.providers).toContainEqual({
      provider: 'fake',
      effective: { kind: 'profile', detail: 'profile fake:a (api_key)', profileId: 'fake:a' },
      profiles: { count: 3, apiKey: 3, token: 0, oauth: 0 },
      shadowed: 'models.providers.fake.apiKey',
    });
  });

  it('one that is refused gives way to the next in the same run, and rests; on disk (OAUTH-083)', async () => {
    refused.set(key('a'), 401);
    expect(await say('hi')).toEqual({ keys: [key('a'), key('b')], state: 'final' });
    expect((await say('hi')).keys).toEqual([key('b')]);
    const usage = await until(async () => (await read()).usageStats?.['fake:a'], 'the failure on disk');
    expect(usage).toMatchObject({ errorCount: 1, cooldownReason: 'auth' });
    expect(usage.cooldownUntil).toBeGreaterThan(Date.now());
    expect((await durar(['models', 'auth', 'list'])).stdout).toMatch(/fake:a.*rests until .*\(auth\)/);
    refused.clear();
  });

  it('a session may have its own by /model (OAUTH-080)', async () => {
    await say('/model fake/m@fake:c', 'pinned');
    expect((await say('hi', 'pinned')).keys).toEqual([key('c')]);
    expect((await say('hi')).keys).toEqual([key('b')]);
    refused.set(key('c'), 429);
    // the provider's own client may repeat a request; nobody else pays for it
    const { keys: shown, state } = await say('hi', 'pinned');
    expect([new Set(shown), state]).toEqual([new Set([key('c')]), 'error']);
    refused.clear();
    // a name that nobody has changes nothing
    await say('/model fake/m@nobody', 'pinned');
    expect(await say('hi', 'pinned')).toEqual({ keys: [key('c')], state: 'final' });
  });

  it('another agent has none of them (OAUTH-072)', async () => {
    expect((await say('hi', 'agent:other:main')).keys).toEqual([key('of-the-configuration')]);
  });

  it('change by a reload only, and a reference with them (SEC-213, OAUTH-022)', async () => {
    const ref = (id: string) => ({
      version: 1,
      profiles: { 'fake:ref': { type: 'api_key', provider: 'fake', keyRef: { source: 'env', provider: 'default', id } } },
    });
    await write('main', ref('REF_ONE'));
    expect((await say('hi')).keys).toEqual([key('b')]);
    expect(await durar(['secrets', 'reload'])).toMatchObject({ code: 0 });
    expect((await say('hi')).keys).toEqual([key('ref-one')]);
    await write('main', ref('REF_TWO'));
    expect((await say('hi')).keys).toEqual([key('ref-one')]);
    await durar(['secrets', 'reload']);
    expect((await say('hi')).keys).toEqual([key('ref-two')]);
    expect((await read()).profiles).toEqual(ref('REF_TWO').profiles);
  });

  it.each([
    [
      'a sign-in that refers to a secret',
      { 'fake:o': { type: 'oauth', provider: 'fake', access: 'x', refresh: { source: 'env', provider: 'default', id: 'REF_ONE' } } },
      /auth-profiles\.json: .*refresh' holds a secret reference, and a sign-in by oauth/,
    ],
    [
      'a reference that fails',
      { 'fake:r': { type: 'api_key', provider: 'fake', keyRef: { source: 'env', provider: 'default', id: 'GONE' } } },
      /auth-profiles\.json: .*keyRef' cannot be resolved: .*GONE/,
    ],
    [
      'a broken profile',
      { 'fake:x': { type: 'api_key', provider: 7, key: key('broken') } },
      /auth-profiles\.json' cannot be used: at profiles\.fake:x\.provider/,
    ],
  ])('%s is refused at a reload, and the gateway goes on (SEC-008, SEC-122)', async (_what, profiles, told) => {
    const before = await readFile(fileOf('main'), 'utf8');
    await write('main', { version: 1, profiles });
    expect(await durar(['secrets', 'reload'])).toMatchObject({ code: 1, stderr: expect.stringMatching(told) });
    expect((await say('hi')).keys).toEqual([key('ref-two')]);
    await writeFile(fileOf('main'), before);
    expect(await durar(['secrets', 'reload'])).toMatchObject({ code: 0 });
  });

  it('how they have served is there after a restart, and a start with a broken one fails (SEC-008)', async () => {
    await until(async () => ((await read()).usageStats?.['fake:ref']?.lastUsed ?? 0) > 0, 'the use on disk');
    await write('main', { ...(await read()), order: { fake: ['fake:ref'] } });
    client.close();
    await gateway.stop();
    const good = await read();
    await write('main', { ...good, profiles: { 'fake:o': { type: 'oauth', provider: 'fake', refresh: { source: 'env', provider: 'default', id: 'X' } } } });
    const start = await machine.cli(['gateway', 'run', '--port', '0']);
    expect(start).toMatchObject({ code: 1, stderr: expect.stringContaining('a sign-in by oauth') });
    await write('main', good);
    gateway = await machine.start({ env: { REF_TWO: key('ref-two') } });
    client = await enter();
    expect((await say('hi')).keys).toEqual([key('ref-two')]);
  });

  it('no value of any is found in logs, answers, events, transcripts or on the screen', async () => {
    client.close();
    await gateway.stop();
    const files = (await readdir(machine.home, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const allowed = new Set([machine.configFile, fileOf('main')]);
    const found: string[] = [];
    for (const { parentPath, name } of files) {
      const file = join(parentPath, name);
      if (!allowed.has(file) && !name.startsWith('Durar.json.bak') && (await readFile(file)).includes(MARK)) found.push(file);
    }
    expect(found).toEqual([]);
    expect(seen.length).toBeGreaterThan(50);
    expect(seen.filter((text) => text.includes(MARK))).toEqual([]);
    expect(gateway.output()).not.toContain(MARK);
  });
});
