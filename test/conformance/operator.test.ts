/** Methods for operators against a real gateway process: configuration, agents, tools, logs, sending; the recordings of these families. */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { createMachine, type GatewayProcess, type Machine, until } from '../e2e/gateway-process.ts';
import { ANSWER_DEVIATIONS } from './deviations.ts';
import { connect, newDevice, type Socket, TOKEN } from './harness.ts';

interface Frame {
  id?: string;
  method?: string;
  params?: Record<string, unknown>;
  ok?: boolean;
  payload?: unknown;
  error?: { code: string; message: string; details?: unknown };
  event?: string;
}

const folder = join(import.meta.dirname, 'frames');
const sha = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');
const scopes = (...list: string[]) => ({ params: { scopes: list } });

const CHANNEL = {
  'Durar.plugin.json': JSON.stringify({
    id: 'fixchat',
    name: 'Fix chat',
    channels: ['fixchat'],
    contracts: { tools: ['fix_lookup'] },
    configSchema: { type: 'object', additionalProperties: false, properties: { key: { type: 'string' }, note: { type: 'string', description: 'a note' } } },
    uiHints: { key: { label: 'Key', sensitive: true } },
    channelConfigs: {
      fixchat: {
        schema: { type: 'object', properties: { folder: { type: 'string', description: 'where messages go' }, line: { type: 'string', sensitive: true } } },
      },
    },
  }),
  'index.js': `
    import { appendFileSync } from 'node:fs';
    import { join } from 'node:path';
    export default { id: 'fixchat', register(api) {
      api.registerChannel({ id: 'fixchat', meta: { label: 'Fix chat' }, capabilities: { chatTypes: ['direct'] },
        config: { listAccountIds: () => ['default', 'second'], resolveAccount: () => ({}) },
        outbound: { deliveryMode: 'direct', textChunkLimit: 10, async sendText({ cfg, to, text, accountId, threadId }) {
          if (to === 'nobody') throw new Error('no such person');
          appendFileSync(join(cfg.channels.fixchat.folder, 'sent.log'), JSON.stringify({ to, text, accountId, threadId }) + '\\n');
          await new Promise((resolve) => setTimeout(resolve, 20));
          return { messageId: 'm-' + text };
        }, pollMaxOptions: 3, async sendPoll({ cfg, to, poll, accountId }) {
          appendFileSync(join(cfg.channels.fixchat.folder, 'sent.log'), JSON.stringify({ to, poll, accountId }) + '\\n');
          return { messageId: 'm', pollId: 'p' };
        } } });
      api.registerTool({ name: 'fix_lookup', description: 'Looks things up. Slowly.', parameters: { type: 'object' }, execute: async () => ({ content: [] }) }, { optional: true });
    } };`,
};

let machine: Machine;
afterEach(() => machine?.remove());

async function start(config: object | string = {}, args: string[] = []): Promise<{ gateway: GatewayProcess; admin: Socket }> {
  machine = await createMachine();
  const log = join(machine.home, 'gateway.log');
  const base = { gateway: { mode: 'local', auth: { mode: 'token', token: TOKEN } }, logging: { file: log }, ...(config as object) };
  await machine.writeConfig(typeof config === 'string' ? config.replace('LOG', log) : base);
  await mkdir(join(machine.stateDir, 'extensions', 'fixchat'), { recursive: true });
  for (const [name, text] of Object.entries(CHANNEL)) writeFileSync(join(machine.stateDir, 'extensions', 'fixchat', name), text);
  const gateway = await machine.start({ args });
  onTestFinished(async () => void (await gateway.stop()));
  return { gateway, admin: await connect(gateway.url) };
}

const text = () => readFileSync(machine.configFile, 'utf8');
const payload = async <T = Record<string, never>>(socket: Socket, method: string, params: object = {}): Promise<T> => {
  const answer = await socket.call(method, params);
  expect(answer.error, method).toBeUndefined();
  return answer.payload as T;
};
const refusal = async (socket: Socket, method: string, params: object = {}) => (await socket.call(method, params)).error as { code: string; message: string };

/** The requests of a recording with their answers. */
function recording(number: string): Array<{ request: Frame; answer: Frame }> {
  const file = readdirSync(folder).find((name) => name.startsWith(`${number}-`)) ?? '';
  const { frames } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { frames: Array<{ frame?: Frame }> };
  const all = frames.flatMap(({ frame }) => (frame === undefined ? [] : [frame]));
  return all.flatMap((request, at) => {
    const answer = all.slice(at + 1).find(({ id, method }) => id === request.id && method === undefined);
    return request.method === undefined || answer === undefined ? [] : [{ request, answer }];
  });
}

/** The answers of a method, in their order. */
const recorded = (number: string, method: string) => recording(number).filter(({ request }) => request.method === method);

/** The paths of a value with the kinds of what stands there; the members of a list share one path. */
function shapeOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return [`${path}:array`, ...value.flatMap((member) => shapeOf(member, `${path}[]`))];
  if (typeof value !== 'object' || value === null) return [`${path}:${value === null ? 'null' : typeof value}`];
  return [`${path}:object`, ...Object.entries(value).flatMap(([key, member]) => shapeOf(member, path === '' ? key : `${path}.${key}`))];
}

/** Everything that the recording has is there, but for the deviations; `open` are parts whose content is each installation's own. */
function expectShape(number: string, method: string, ours: unknown, theirs: unknown, open: string[] = []): void {
  const absent = ANSWER_DEVIATIONS.filter((one) => one.file === number && one.method === method).flatMap(({ paths }) => [...paths]);
  const have = new Set(shapeOf(ours));
  const missing = shapeOf(theirs).filter((entry) => {
    const path = entry.slice(0, entry.lastIndexOf(':'));
    const isBelow = (other: string) => path === other || path.startsWith(`${other}.`) || path.startsWith(`${other}[`);
    return !have.has(entry) && !absent.some(isBelow) && !open.some((other) => path !== other && isBelow(other));
  });
  expect(missing, `${number} ${method}`).toEqual([]);
}

describe('system', () => {
  it('answers as recorded: health, status, presence, beacons, identity (15; PROTO-088, PROTO-091 to PROTO-094, PROTO-252, PROTO-254)', async () => {
    const { gateway, admin } = await start();
    const panel = await connect(gateway.url, {
      params: { client: { id: 'panel', version: '1.2.3', platform: 'linux', mode: 'ui' } },
      device: newDevice(),
    });
    for (const method of ['health', 'status', 'gateway.identity.get']) {
      expectShape('15', method, await payload(admin, method), recorded('15', method)[0]?.answer.payload);
    }
    const rows = recorded('15', 'system-presence')[0]?.answer.payload as Array<Record<string, unknown>>;
    const ours = await payload<Array<Record<string, unknown>>>(admin, 'system-presence');
    expectShape('15', 'system-presence', ours, rows);
    expect(Object.keys(ours[0] ?? {})).toEqual(Object.keys(rows[0] ?? {}));
    expect(ours[0]).toMatchObject({ mode: 'gateway', reason: 'self' });
    panel.raw.close();
    await admin.event('presence');

    const [beacon] = recorded('15', 'system-event');
    expect((await admin.call('system-event', beacon?.request.params)).payload).toEqual(beacon?.answer.payload);
    const isBeacon = (frame: { event?: string; payload?: unknown }) =>
      frame.event === 'presence' && (frame.payload as { presence: Array<{ host: string }> }).presence.some(({ host }) => host === 'example-host');
    const event = await admin.next(isBeacon);
    const row = (event.payload as { presence: Array<{ host: string }> }).presence.find(({ host }) => host === 'example-host');
    expect(row).toEqual({
      host: 'example-host',
      ip: '10.0.0.5',
      version: '1.2.3',
      lastInputSeconds: 3,
      mode: 'node',
      reason: 'connect',
      text: 'Node: example-host (10.0.0.5) · app 1.2.3 · last input 3s ago · mode node · reason connect',
      ts: expect.any(Number),
    });
    expect(event.stateVersion).toEqual({ presence: expect.any(Number), health: expect.any(Number) });
    const probed = await payload<{ ts: number }>(admin, 'health', { probe: true });
    expect((await admin.event('health')).payload).toMatchObject({ ok: true });
    expect(probed.ts).toBeGreaterThan(0);
  });

  it('keeps one identity for the life of its state, and its rows for that of the process (PROTO-091, PRES-027, PRES-038)', async () => {
    const { gateway, admin } = await start();
    const identity = await payload<{ deviceId: string; publicKey: string }>(admin, 'gateway.identity.get');
    expect(sha(Buffer.from(identity.publicKey, 'base64url'))).toBe(identity.deviceId);
    await payload(admin, 'system-event', { text: 'x', instanceId: 'gone-soon' });
    await gateway.stop();
    const again = await machine.start();
    onTestFinished(async () => void (await again.stop()));
    const next = await connect(again.url);
    expect(await payload(next, 'gateway.identity.get')).toEqual(identity);
    expect(await payload<object[]>(next, 'system-presence')).toHaveLength(1);
  });

  it('hands a system event over with the next turn, once (PROTO-093)', async () => {
    const { gateway, admin } = await start();
    expect((await refusal(admin, 'system-event', { text: ' ' })).message).toBe('text required');
    const reader = await connect(gateway.url, scopes('operator.write'));
    expect((await refusal(reader, 'system-event', { text: 'x' })).message).toBe('missing scope: operator.admin');
    await payload(admin, 'system-event', { text: 'the battery is low' });
    expect((await payload<{ queuedSystemEvents: string[] }>(admin, 'status')).queuedSystemEvents).toEqual(['the battery is low']);
    expect((await payload<{ queuedSystemEvents: string[] }>(reader, 'status')).queuedSystemEvents).toEqual([]);
    await payload(admin, 'agent', { message: 'hi', idempotencyKey: 'turn' });
    expect((await payload<{ queuedSystemEvents: string[] }>(admin, 'status')).queuedSystemEvents).toEqual([]);
  });
});

describe('configuration', () => {
  it('answers as recorded (33; PROTO-128 to PROTO-131)', async () => {
    const { admin } = await start({
      models: { providers: { mock: { baseUrl: 'http://127.0.0.1:1/v1', apiKey: 'never-shown', models: [{ id: 'm', name: 'M' }] } } },
    });
    const got = await payload<{ hash: string; config: object }>(admin, 'config.get');
    expectShape('33', 'config.get', got, recorded('33', 'config.get')[0]?.answer.payload, ['parsed', 'resolved', 'config']);
    expect(got.hash).toBe(sha(text()));
    expect(got).toMatchObject({
      raw: null,
      parsed: { gateway: { auth: { token: '__Durar_REDACTED__' } }, models: { providers: { mock: { apiKey: '__Durar_REDACTED__' } } } },
    });
    expect(JSON.stringify(got)).not.toMatch(new RegExp(`never-shown|${TOKEN}`));
    for (const { request, answer } of recorded('33', 'config.set').slice(0, 2)) {
      expect((await admin.call('config.set', request.params, request.id)).error).toEqual(answer.error);
    }
    const [invalid, noop, change] = recorded('33', 'config.patch');
    const wrong = await refusal(admin, 'config.patch', { ...invalid?.request.params, baseHash: got.hash });
    expectShape('33', 'config.patch', wrong, invalid?.answer.error);
    expect(wrong.message).toBe('invalid config: gateway.port: must be a whole number, not text');
    expect(await payload(admin, 'config.patch', { ...noop?.request.params, baseHash: got.hash })).toMatchObject({
      ok: true,
      noop: true,
      path: machine.configFile,
    });
    const done = await payload<{ config: object }>(admin, 'config.patch', { ...change?.request.params, baseHash: got.hash });
    expectShape('33', 'config.patch', done, change?.answer.payload, ['config']);
    expect(done).toMatchObject({
      restart: null,
      config: { ui: { seamColor: '#445566' } },
      sentinel: { payload: { message: 'example note', kind: 'config-patch' } },
    });
    expect(JSON.stringify(done)).not.toMatch(new RegExp(`never-shown|${TOKEN}`));
    const limited = (await admin.call('config.patch', { raw: '{}', baseHash: got.hash })).error as unknown as Record<string, unknown>;
    const theirs = recorded('33', 'config.patch').at(-1)?.answer.error as unknown as Record<string, unknown>;
    expect({ ...limited, retryAfterMs: 0, message: '' }).toEqual({ ...theirs, retryAfterMs: 0, message: '' });
    expect(limited.message).toMatch(/^rate limit exceeded for config\.patch; retry after \d+s$/);
  });

  it('keeps comments, order and secrets, and is live when it is answered', async () => {
    const { admin } = await start(
      `// mine\n{\n  logging: { file: 'LOG' },\n  gateway: { mode: 'local', auth: { mode: 'token', token: '${TOKEN}' } }, // the door\n  agents: { defaults: { model: 'offline/echo' } },\n}\n`,
    );
    const before = text();
    const { hash, config } = await payload<{ hash: string; config: { agents: { defaults: object } } }>(admin, 'config.get');
    await payload(admin, 'config.patch', {
      raw: "{ agents: { defaults: { model: 'offline/script' } }, gateway: { auth: { token: '__Durar_REDACTED__' } } }",
      baseHash: hash,
    });
    expect(text()).toBe(before.replace("'offline/echo'", '"offline/script"'));
    expect(await payload(admin, 'agents.list')).toMatchObject({ agents: [{ model: { primary: 'offline/script' } }] });
    // A form sends everything back as it got it, defaults included.
    await payload(admin, 'config.set', { raw: JSON.stringify(config), baseHash: sha(text()) });
    expect(text()).toContain('// the door');
    expect(text()).toContain(`token: '${TOKEN}'`);
    expect(text()).not.toContain('REDACTED');
    const next = { ...JSON.parse(JSON.stringify(config)), gateway: { mode: 'local', auth: { mode: 'token', token: '__Durar_REDACTED__' } } };
    delete next.ui;
    next.commands = undefined;
    await payload(admin, 'config.apply', { raw: JSON.stringify(next), baseHash: sha(text()) });
    expect(text()).not.toContain('commands');
    expect(text()).toContain(TOKEN);
  });

  it('refuses a candidate that breaks what works, and changes nothing (PROTO-129)', async () => {
    const { admin } = await start({ plugins: { entries: { fixchat: { enabled: true } } } });
    const before = text();
    const { hash } = await payload<{ hash: string }>(admin, 'config.get');
    const generation = async () => (await payload<{ host: { generation: number } }>(admin, 'status')).host.generation;
    const live = await generation();
    const set = (change: object) => refusal(admin, 'config.set', { raw: JSON.stringify({ ...JSON.parse(before), ...change }), baseHash: hash });
    expect(await set({ plugins: { entries: { fixchat: { enabled: true, config: { nope: 1 } } } } })).toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringContaining('fixchat'),
    });
    const secret = {
      models: { providers: { mock: { baseUrl: 'http://127.0.0.1:1', apiKey: { source: 'env', provider: 'default', id: 'NOT_SET' }, models: [] } } },
    };
    expect((await set(secret)).message).toMatch(/^invalid config: active SecretRef resolution failed \(/);
    expect((await set({ nope: 1 })).message).toMatch(/^invalid config: nope: /);
    expect((await refusal(admin, 'config.set', { raw: '{ broken', baseHash: hash })).message).toMatch(/^invalid config: /);
    expect((await refusal(admin, 'config.patch', { raw: '[1]', baseHash: hash })).message).toBe('config.patch raw must be an object');
    expect(
      (await refusal(admin, 'config.patch', { raw: '{gateway:{auth:{token:"__Durar_REDACTED__"}},ui:{seamColor:"__Durar_REDACTED__"}}', baseHash: hash }))
        .message,
    ).toMatch(/redaction marker/);
    expect(text()).toBe(before);
    expect(await generation()).toBe(live);
  });

  it('sees what was written by hand meanwhile, and lists what is wrong with it', async () => {
    const { admin } = await start();
    const { hash } = await payload<{ hash: string }>(admin, 'config.get');
    writeFileSync(machine.configFile, '{ gateway: { mode: "local", port: "x" }, nope: 1 }');
    const got = await payload<{ hash: string; issues: object[] }>(admin, 'config.get');
    expect(got).toMatchObject({ valid: false, config: {}, parsed: {}, issues: [{ path: 'gateway.port' }, { path: 'nope' }], hash: sha(text()) });
    expect((await refusal(admin, 'config.set', { raw: '{}', baseHash: hash })).message).toBe('config changed since last load; re-run config.get and retry');
  });

  it('repairs a file that cannot be read, by replacing it', async () => {
    const { admin } = await start();
    const before = text();
    writeFileSync(machine.configFile, '{ gateway: ');
    const broken = await payload<{ hash: string }>(admin, 'config.get');
    expect(broken).toMatchObject({ valid: false, issues: [{ message: expect.stringContaining('line 1') }] });
    expect((await refusal(admin, 'config.patch', { raw: '{}', baseHash: broken.hash })).message).toMatch(/^invalid config: /);
    await payload(admin, 'config.set', { raw: before, baseHash: broken.hash });
    expect(text()).toBe(before);
    expect(readFileSync(`${machine.configFile}.bak`, 'utf8')).toBe('{ gateway: ');
  });

  it('takes one of two writes that begin with the same text', async () => {
    const { admin } = await start();
    const { hash } = await payload<{ hash: string }>(admin, 'config.get');
    const write = (color: string) => admin.call('config.patch', { raw: JSON.stringify({ ui: { seamColor: color } }), baseHash: hash });
    const answers = await Promise.all(['#111111', '#222222'].map(write));
    expect(answers.map(({ ok }) => ok)).toEqual([true, false]);
    expect(answers[1]?.error?.message).toBe('config changed since last load; re-run config.get and retry');
    expect(JSON.parse(text()).ui).toEqual({ seamColor: '#111111' });
  });

  it('tells which keys wait for a restart (GW-061)', async () => {
    const { admin } = await start({ gateway: { mode: 'local', auth: { mode: 'token', token: TOKEN }, reload: { mode: 'hot' } } });
    const { hash } = await payload<{ hash: string }>(admin, 'config.get');
    const done = await payload(admin, 'config.patch', { raw: '{gateway:{port:19000}}', baseHash: hash, restartDelayMs: 5, sessionKey: 'main' });
    expect(done).toMatchObject({ restart: { ok: false, reason: 'config.patch', paths: ['gateway.port'] }, sentinel: { payload: { sessionKey: 'main' } } });
  });

  it('describes the schema, with that of extensions (PROTO-132 to PROTO-136)', async () => {
    const { admin } = await start({ plugins: { entries: { fixchat: { enabled: true } } } });
    const { schema, uiHints, version, generatedAt } = await payload<{ schema: object; uiHints: object; version: string; generatedAt: string }>(
      admin,
      'config.schema',
    );
    expect(schema).toMatchObject({
      type: 'object',
      properties: { channels: { properties: { fixchat: { properties: { folder: { description: 'where messages go' } } } } } },
    });
    expect(uiHints).toMatchObject({ 'plugins.entries.fixchat.config.key': { label: 'Key', sensitive: true }, 'gateway.port': { label: 'Port' } });
    expect(version).toBe((await payload<{ runtimeVersion: string }>(admin, 'status')).runtimeVersion);
    expect(new Date(generatedAt).toISOString()).toBe(generatedAt);
    expect(await payload(admin, 'config.schema.lookup', { path: 'plugins.entries.fixchat.config.note' })).toMatchObject({
      schema: { type: 'string', description: 'a note' },
    });
  });

  it('looks places up as recorded (34; PROTO-142 to PROTO-151)', async () => {
    const { gateway, admin } = await start();
    for (const { request, answer } of recording('34')) {
      const ours = await admin.call(request.method ?? '', request.params, request.id);
      if (answer.ok !== true) {
        expect(ours).toEqual(answer);
        continue;
      }
      const theirs = answer.payload as { path: string; schema: { type: string }; children: Array<{ key: string }> };
      const { path, schema, children } = ours.payload as typeof theirs;
      expect([path, schema.type]).toEqual([theirs.path, theirs.schema.type]);
      for (const { key, ...child } of theirs.children) {
        const { hint: _texts, hintPath: _place, type: _union, ...stable } = child as unknown as Record<string, unknown>;
        expect(children.find((one) => one.key === key)).toMatchObject(stable);
      }
    }
    const reader = await connect(gateway.url, scopes('operator.read', 'operator.write'));
    for (const method of ['config.get', 'config.set', 'config.patch', 'config.apply', 'config.schema', 'config.schema.lookup']) {
      expect((await refusal(reader, method, {})).message).toBe('missing scope: operator.admin');
    }
  });

  it("masks the secrets of an extension's block, and puts them back", async () => {
    const { admin } = await start({
      plugins: { entries: { fixchat: { enabled: true, config: { key: 'hidden-key', note: 'seen' } } } },
      channels: { fixchat: { line: 'hidden-line', folder: '/seen' } },
    });
    const got = await payload<{ hash: string; config: object; parsed: object }>(admin, 'config.get');
    expect(JSON.stringify(got)).not.toMatch(/hidden-(key|line)/);
    expect(got.config).toMatchObject({ channels: { fixchat: { line: '__Durar_REDACTED__', folder: '/seen' } } });
    expect((await machine.cli(['config', 'get', 'channels'])).stdout).not.toContain('hidden-line');
    expect(got.parsed).toMatchObject({ plugins: { entries: { fixchat: { config: { key: '__Durar_REDACTED__', note: 'seen' } } } } });
    await payload(admin, 'config.set', { raw: JSON.stringify({ ...got.parsed, ui: { seamColor: '#112233' } }), baseHash: got.hash });
    expect(JSON.parse(text()).plugins.entries.fixchat.config).toEqual({ key: 'hidden-key', note: 'seen' });
    expect(JSON.parse(text()).channels.fixchat.line).toBe('hidden-line');
  });
});

describe('agents', () => {
  it('answers as recorded (36; PROTO-097, PROTO-158 to PROTO-165, PROTO-244 to PROTO-245, PROTO-272 to PROTO-279)', async () => {
    const { gateway, admin } = await start();
    const at = (path: unknown) => join(machine.home, String(path).replace('/home/example/', ''));
    for (const { request, answer } of recording('36').filter(({ request }) => /^(agents\.|agent\.|models|tools\.catalog)/.test(request.method ?? ''))) {
      const params = { ...request.params, ...(request.params?.workspace === undefined ? {} : { workspace: at(request.params.workspace) }) };
      const ours = await admin.call(request.method ?? '', params, request.id);
      if (answer.ok !== true) expect(ours).toEqual(answer);
      else expectShape('36', request.method ?? '', ours.payload, answer.payload);
    }
    await payload(admin, 'agent', { message: 'hi', sessionKey: 'agent:main:example', idempotencyKey: 'first' });
    const reader = await connect(gateway.url, scopes('operator.read'));
    const [effective] = recorded('36', 'tools.effective');
    const ours = await payload(reader, 'tools.effective', effective?.request.params);
    expectShape('36', 'tools.effective', ours, effective?.answer.payload);
    expect((await refusal(reader, 'tools.effective', { sessionKey: 'agent:main:nope' })).message).toBe('unknown session key "agent:main:nope"');
    expect((await refusal(reader, 'tools.effective', {})).message).toContain("required property 'sessionKey'");
    expect((await refusal(reader, 'tools.effective', { sessionKey: 'main', senderIsOwner: true })).message).toContain("unexpected property 'senderIsOwner'");
  });

  it('creates, changes and deletes agents in the file and live, comments kept', async () => {
    const { gateway, admin } = await start(
      `{\n  // who talks\n  logging: { file: 'LOG' },\n  gateway: { mode: 'local', auth: { mode: 'token', token: '${TOKEN}' } },\n  bindings: [{ agentId: 'fox', match: { channel: 'fixchat' } }],\n}\n`,
    );
    const workspace = join(machine.home, 'den');
    expect(await payload(admin, 'agents.create', { name: 'Fox', workspace, emoji: '🦊' })).toEqual({ ok: true, agentId: 'fox', name: 'Fox', workspace });
    expect(readFileSync(join(workspace, 'IDENTITY.md'), 'utf8')).toContain('- Name: Fox');
    expect(text()).toContain('// who talks');
    const listed = await payload<{ defaultId: string; agents: Array<{ id: string }> }>(admin, 'agents.list');
    expect([listed.defaultId, listed.agents.map(({ id }) => id)]).toEqual(['main', ['main', 'fox']]);
    expect(await payload(admin, 'agent.identity.get', { sessionKey: 'agent:fox:main' })).toEqual({ agentId: 'fox', name: 'Fox', emoji: '🦊', avatar: '🦊' });
    for (const [name, message] of Object.entries({ fox: 'agent "fox" already exists', Default: '"default" is reserved', MAIN: '"main" is reserved' })) {
      expect((await refusal(admin, 'agents.create', { name, workspace })).message).toBe(message);
    }
    expect((await refusal(admin, 'agents.create', { name: '🦊', workspace })).message).toContain('agent name needs');
    await payload(admin, 'agents.update', { agentId: 'FOX', name: 'Vixen', model: 'offline/script', avatar: 'V' });
    expect(await payload(admin, 'agents.list')).toMatchObject({
      agents: [{}, { id: 'fox', name: 'Vixen', model: { primary: 'offline/script' }, identity: { avatar: 'V' } }],
    });
    expect((await refusal(admin, 'agents.update', { agentId: 'wolf', name: 'x' })).message).toBe('agent "wolf" not found');
    expect((await refusal(admin, 'agents.delete', { agentId: 'wolf' })).message).toBe('agent "wolf" not found');
    const run = await payload(admin, 'agent', { message: 'hi', agentId: 'fox', idempotencyKey: 'by-fox' });
    expect(run).toMatchObject({ status: 'accepted' });
    const reader = await connect(gateway.url, scopes('operator.write'));
    expect((await refusal(reader, 'agents.delete', { agentId: 'fox' })).message).toBe('missing scope: operator.admin');
    const gone = await payload<{ movedTo: string }>(admin, 'agents.delete', { agentId: 'fox', deleteFiles: true });
    expect(gone).toMatchObject({ ok: true, agentId: 'fox', removedBindings: 1 });
    expect([existsSync(workspace), existsSync(join(gone.movedTo, 'IDENTITY.md'))]).toEqual([false, true]);
    expect(text()).not.toContain('fox');
  });

  it("never deletes another agent's folder, nor the home", async () => {
    const { admin } = await start();
    for (const [name, workspace] of Object.entries({ guest: machine.workspace, greedy: machine.home })) {
      await payload(admin, 'agents.create', { name, workspace });
      expect(await payload(admin, 'agents.delete', { agentId: name, deleteFiles: true })).not.toHaveProperty('movedTo');
      expect(existsSync(workspace)).toBe(true);
    }
  });

  it('reads and writes the files of the prompt and no others (PROTO-162 to PROTO-164)', async () => {
    const { gateway, admin } = await start();
    const { files } = await payload<{ files: Array<{ name: string; missing: boolean }> }>(admin, 'agents.files.list', { agentId: 'main' });
    expect(files.map(({ name }) => name)).toEqual(['AGENTS.md', 'SOUL.md', 'TOOLS.md', 'IDENTITY.md', 'USER.md', 'HEARTBEAT.md', 'BOOTSTRAP.md']);
    const set = await payload<{ file: object }>(admin, 'agents.files.set', { agentId: 'main', name: 'USER.md', content: 'Ada' });
    expect(set.file).toMatchObject({ name: 'USER.md', missing: false, size: 3, content: 'Ada' });
    expect(readFileSync(join(machine.workspace, 'USER.md'), 'utf8')).toBe('Ada');
    await payload(admin, 'agents.files.set', { agentId: 'main', name: 'MEMORY.md', content: 'x' });
    expect((await payload<{ files: object[] }>(admin, 'agents.files.list', { agentId: 'main' })).files).toHaveLength(8);
    const reader = await connect(gateway.url, scopes('operator.read'));
    expect((await payload<{ file: object }>(reader, 'agents.files.get', { agentId: 'main', name: 'USER.md' })).file).toMatchObject({ content: 'Ada' });
    expect((await refusal(reader, 'agents.files.set', { agentId: 'main', name: 'USER.md', content: '' })).message).toBe('missing scope: operator.admin');
    for (const name of ['../Durar.json', '/etc/passwd', 'secrets.md', 'user.md']) {
      expect((await refusal(admin, 'agents.files.get', { agentId: 'main', name })).message).toBe(`unsupported file "${name}"`);
      expect((await refusal(admin, 'agents.files.set', { agentId: 'main', name, content: 'x' })).message).toBe(`unsupported file "${name}"`);
    }
    expect((await refusal(admin, 'agents.files.get', { agentId: 'wolf', name: 'USER.md' })).message).toBe('unknown agent id "wolf"');
  });

  it('follows links inside the folder only', async () => {
    const { admin } = await start();
    symlinkSync(machine.configFile, join(machine.workspace, 'SOUL.md'));
    writeFileSync(join(machine.workspace, 'own.md'), 'mine');
    symlinkSync(join(machine.workspace, 'own.md'), join(machine.workspace, 'TOOLS.md'));
    const before = text();
    for (const [method, more] of [
      ['agents.files.get', {}],
      ['agents.files.set', { content: 'x' }],
    ] as const) {
      expect((await refusal(admin, method, { agentId: 'main', name: 'SOUL.md', ...more })).message).toContain('it links out of the folder');
    }
    expect(text()).toBe(before);
    await payload(admin, 'agents.files.set', { agentId: 'main', name: 'TOOLS.md', content: 'new' });
    expect(readFileSync(join(machine.workspace, 'own.md'), 'utf8')).toBe('new');
    expect(lstatSync(join(machine.workspace, 'TOOLS.md')).isSymbolicLink()).toBe(true);
  });
});

describe('tools', () => {
  it('tells where each tool comes from, and what a session may use (PROTO-273 to PROTO-276, PROTO-280, PROTO-281)', async () => {
    const { admin } = await start({
      channels: { fixchat: { folder: '/nowhere' } },
      plugins: { entries: { fixchat: { enabled: true } } },
      agents: { list: [{ id: 'main' }, { id: 'bold', tools: { allow: ['fix_lookup', 'read'] } }, { id: 'shy', tools: { profile: 'minimal' } }] },
    });
    const { groups } = await payload<{ groups: Array<{ id: string; source: string; tools: object[] }> }>(admin, 'tools.catalog');
    expect(groups.find(({ id }) => id === 'fs')).toMatchObject({
      source: 'core',
      tools: expect.arrayContaining([expect.objectContaining({ id: 'read', defaultProfiles: ['coding'] })]),
    });
    expect(groups.find(({ id }) => id === 'plugin:fixchat')).toMatchObject({
      source: 'plugin',
      pluginId: 'fixchat',
      tools: [{ id: 'fix_lookup', source: 'plugin', pluginId: 'fixchat', optional: true, description: 'Looks things up.' }],
    });
    const core = await payload<{ groups: Array<{ source: string }> }>(admin, 'tools.catalog', { includePlugins: false });
    expect(core.groups.every(({ source }) => source === 'core')).toBe(true);
    expect((await refusal(admin, 'tools.catalog', { agentId: 'wolf' })).message).toBe('unknown agent id "wolf"');
    const usable: Record<string, unknown> = {};
    for (const agentId of ['main', 'bold', 'shy']) {
      await payload(admin, 'agent', { message: 'hi', agentId, idempotencyKey: agentId });
      const effective = await payload<{ groups: Array<{ id: string; tools: Array<{ id: string }> }> }>(admin, 'tools.effective', {
        sessionKey: `agent:${agentId}:main`,
      });
      usable[agentId] = Object.fromEntries(effective.groups.map(({ id, tools }) => [id, tools.map((tool) => tool.id).sort()]));
    }
    expect(usable).toEqual({
      main: { core: expect.arrayContaining(['edit', 'exec', 'read', 'write']) },
      bold: { core: ['read'], channel: ['fix_lookup'] },
      shy: { core: ['session_status'] },
    });
    expect((await refusal(admin, 'tools.effective', { sessionKey: 'agent:bold:main', agentId: 'main' })).message).toContain('does not match session agent');
  });
});

describe('logs', () => {
  it('tails the file of the gateway, for readers as well (38; PROTO-113 to PROTO-116, LOG-041)', async () => {
    const { gateway, admin } = await start();
    const reader = await connect(gateway.url, scopes('operator.read'));
    await refusal(admin, 'no.such.method');
    const tail = await payload<{ file: string; lines: string[]; cursor: number }>(reader, 'logs.tail', { limit: 3 });
    expectShape('38', 'logs.tail', tail, recorded('38', 'logs.tail')[0]?.answer.payload);
    expect(tail.file).toBe(join(machine.home, 'gateway.log'));
    expect(tail.lines.length).toBeLessThanOrEqual(3);
    expect(tail.lines.some((line) => line.includes('unknown method: no.such.method'))).toBe(true);
    appendFileSync(tail.file, '{"message":"by hand"}\n');
    expect((await payload<{ lines: string[] }>(reader, 'logs.tail', { cursor: tail.cursor })).lines).toContain('{"message":"by hand"}');
    for (const [key, value] of Object.entries({ limit: 5001, maxBytes: 1_000_001, cursor: -1 })) {
      expect((await refusal(reader, 'logs.tail', { [key]: value })).message).toContain(`at /${key}`);
    }
  });

  it('is printed by `durar logs`, also as JSON lines, and hints when nobody answers', async () => {
    const { gateway, admin } = await start();
    for (const method of ['no.such', 'nor.this']) await refusal(admin, method);
    const plain = await machine.cli(['logs', '--limit', '2', '--plain']);
    expect([plain.code, plain.stdout.trimEnd().split('\n').length]).toEqual([0, 2]);
    const json = await machine.cli(['logs', '--json', '--limit', '1']);
    const documents = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string });
    expect(documents.map(({ type }) => type)).toEqual(expect.arrayContaining(['meta', 'log']));
    await gateway.stop();
    const silent = await machine.cli(['logs']);
    expect(silent.code).not.toBe(0);
    expect(silent.stderr).toContain('durar doctor');
  });

  it('goes on with what is written when it follows, without a gap, until the gateway ends', async () => {
    const { gateway } = await start();
    const log = join(machine.home, 'gateway.log');
    const following = machine.cli(['logs', '--follow', '--json', '--interval', '20', '--limit', '3']);
    await until(() => existsSync(log), 'the log');
    for (let i = 0; i < 60; i += 1) {
      appendFileSync(log, `${JSON.stringify({ time: '2026-01-01T00:00:00.000Z', level: 'info', subsystem: 'test', message: `by hand ${i}` })}\n`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await gateway.stop();
    const { code, stdout } = await following;
    const seen = stdout.split('\n').flatMap((line) => (line.includes('"message":"by hand') ? [Number(/by hand (\d+)/.exec(line)?.[1])] : []));
    expect(seen.length).toBeGreaterThan(5);
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, i) => (seen[0] ?? 0) + i));
    expect(code).not.toBe(0);
  });

  it.each([
    [[], false, false],
    [['--verbose'], true, false],
    [['--verbose', '--compact'], true, false],
    [['--verbose', '--ws-log', 'full'], true, true],
  ] as const)('follows the sockets with %j (LOG-040 to LOG-052)', async (args, all, frames) => {
    const { gateway, admin } = await start({}, [...args]);
    await payload(admin, 'config.get');
    admin.send('{nope');
    await refusal(admin, 'no.such.method');
    const output = await until(() => (gateway.output().includes('no.such.method') ? gateway.output() : undefined), 'the line of the error');
    expect(output).toContain('parse-error');
    expect(output).toMatch(/res ✗ no\.such\.method .*errorCode=INVALID_REQUEST/);
    expect(/res ✓ system-presence/.test(output)).toBe(false);
    await payload(admin, 'gateway.identity.get');
    await payload(admin, 'system-presence');
    if (all) await until(() => /res ✓ system-presence/.test(gateway.output()), 'the line of the call');
    expect(/← req system-presence/.test(gateway.output())).toBe(frames);
    expect(gateway.output()).not.toContain(TOKEN);
  });
});

describe('send', () => {
  const sent = () =>
    readFileSync(join(machine.home, 'sent.log'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);

  it('delivers through a channel outside any run, once per key (PROTO-050, PROTO-112)', async () => {
    const { gateway, admin } = await start();
    expect((await refusal(admin, 'send', { to: 'x', message: 'hi', idempotencyKey: 'none' })).message).toBe(
      'Channel is required (no configured channels detected).',
    );
    await payload(admin, 'config.patch', {
      raw: JSON.stringify({ channels: { fixchat: { folder: machine.home } }, plugins: { entries: { fixchat: { enabled: true } } } }),
      baseHash: sha(text()),
    });
    for (const [params, message] of [
      [{ to: 'x', message: 'hi', channel: 'nochan', idempotencyKey: 's2' }, 'unsupported channel: nochan'],
      [{ to: 'x', idempotencyKey: 's3' }, 'invalid send params: text or media is required'],
    ] as const) {
      expect(await refusal(admin, 'send', params)).toEqual({ code: 'INVALID_REQUEST', message });
    }
    expect((await refusal(admin, 'send', { to: 'x', message: 'hi' })).message).toContain("required property 'idempotencyKey'");
    const params = { to: 'ada', message: 'hello', threadId: 't1', idempotencyKey: 'k1' };
    const [first, second] = await Promise.all([admin.call('send', params), admin.call('send', params)]);
    expect(first.payload).toEqual({ runId: 'k1', channel: 'fixchat', messageId: 'm-hello' });
    expect(second.payload).toEqual(first.payload);
    expect((await admin.call('send', params)).payload).toEqual(first.payload);
    expect(sent()).toEqual([{ to: 'ada', text: 'hello', accountId: 'default', threadId: 't1' }]);
    await payload(admin, 'agent', { message: 'hi', idempotencyKey: 'turn' });
    await until(
      async () => (await payload<{ status: string }>(admin, 'agent.wait', { runId: 'turn', timeoutMs: 5000 })).status === 'ok',
      'the end of the turn',
    );
    await payload(admin, 'send', { to: 'ada', message: 'by the way', sessionKey: 'main', idempotencyKey: 'k0' });
    const { messages } = await payload<{ messages: Array<{ content: unknown }> }>(admin, 'chat.history', { sessionKey: 'main' });
    expect(JSON.stringify(messages.at(-1)?.content)).toContain('by the way');
    const failing = { to: 'nobody', message: 'x', channel: 'fixchat', idempotencyKey: 'k2' };
    const failed = await refusal(admin, 'send', failing);
    expect(failed).toMatchObject({ code: 'UNAVAILABLE', message: 'no such person' });
    expect(await refusal(admin, 'send', { ...failing, to: 'ada' })).toEqual(failed);
    expect((await refusal(admin, 'send', { to: 'ada', mediaUrl: 'file:///x.png', idempotencyKey: 'k3' })).message).toBe(
      "the channel 'fixchat' cannot send media",
    );
    expect((await refusal(admin, 'send', { to: 'ada', message: 'x', accountId: 'third', idempotencyKey: 'k4' })).message).toContain("no account 'third'");
    const reader = await connect(gateway.url, scopes('operator.read'));
    expect((await refusal(reader, 'send', params)).message).toBe('missing scope: operator.write');
  });

  it('asks in polls, once per key', async () => {
    const { admin } = await start({ channels: { fixchat: { folder: '/nowhere' } }, plugins: { entries: { fixchat: { enabled: true } } } });
    await payload(admin, 'config.patch', { raw: JSON.stringify({ channels: { fixchat: { folder: machine.home } } }), baseHash: sha(text()) });
    const params = { to: 'ada', question: 'Tea?', options: ['yes', 'no'], durationHours: 2, idempotencyKey: 'p1' };
    const answers = [await payload(admin, 'poll', params), await payload(admin, 'poll', params)];
    expect(answers).toEqual(Array(2).fill({ runId: 'p1', channel: 'fixchat', messageId: 'm', pollId: 'p' }));
    expect(sent()).toEqual([{ to: 'ada', accountId: 'default', poll: { question: 'Tea?', options: ['yes', 'no'], durationHours: 2, maxSelections: 1 } }]);
    const wrong = async (change: object) => (await refusal(admin, 'poll', { ...params, idempotencyKey: JSON.stringify(change), ...change })).message;
    expect(await wrong({ options: ['one'] })).toContain('at /options');
    expect(await wrong({ options: ['1', '2', '3', '4'] })).toContain('at most 3 options');
    expect(await wrong({ maxSelections: 3 })).toContain('maxSelections exceeds');
    expect(await wrong({ durationSeconds: 5 })).toContain('exclude each other');
    expect(await wrong({ channel: 'webchat' })).toBe('unsupported channel: webchat');
    expect((admin as unknown as { hello: { features: { methods: string[] } } }).hello.features.methods).not.toContain('poll');
  });

  it('is there for the command line, long texts in parts', async () => {
    const { admin } = await start({ channels: { fixchat: { folder: '/nowhere' } }, plugins: { entries: { fixchat: { enabled: true } } } });
    await payload(admin, 'config.patch', { raw: JSON.stringify({ channels: { fixchat: { folder: machine.home } } }), baseHash: sha(text()) });
    const { code, stdout } = await machine.cli(['message', 'send', '--target', 'ada', '--message', 'one two three four', '--account', 'second']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('Sent through fixchat')]);
    expect(sent()).toMatchObject([{ text: 'one two', accountId: 'second' }, { text: 'three four' }]);
    const dry = await machine.cli(['message', 'send', '--target', 'ada', '--message', 'x', '--dry-run', '--json']);
    expect(dry.json()).toMatchObject({ dryRun: true, params: { to: 'ada' } });
    expect((await machine.cli(['message', 'send', '--message', 'x'])).code).not.toBe(0);
    expect(sent()).toHaveLength(2);
  });
});
