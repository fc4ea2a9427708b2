/** Lines of the checklists that no other test proves, against real gateway processes with their bundled extensions. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { METHODS } from '../../sdk/protocol/generated/tables.ts';
import { createMachine, type GatewayProcess, type Machine, root, until } from '../e2e/gateway-process.ts';
import { connect, connectParamsFor, dial, newDevice, type Socket, shake, startGateway, TOKEN } from './harness.ts';

let machine: Machine;
let gateway: GatewayProcess;

const config = (extra: object = {}) => ({ gateway: { mode: 'local', auth: { mode: 'token', token: TOKEN } }, ...extra });

beforeAll(async () => {
  machine = await createMachine();
  await machine.writeConfig(config({ logging: { file: join(machine.home, 'gateway.log') } }));
  gateway = await machine.start();
});
afterAll(() => machine.remove());

const scopes = (...names: string[]) => ({ params: { scopes: names.map((name) => `operator.${name}`) } });
const messageOf = ({ error }: { error?: Record<string, unknown> }) => error?.message;

interface Row {
  ts: number;
  [key: string]: unknown;
}
const presence = async (socket: Socket) => (await socket.call('system-presence', {})).payload as Row[];

/** Passes sockets on to a gateway and writes down what clients send; whatever is no socket is counted. */
async function recorder(target: string) {
  const conversations: string[][] = [];
  const seen = { plainRequests: 0, binaryFrames: 0, serverFrames: [] as unknown[] };
  const http = createServer((_request, response) => {
    seen.plainRequests += 1;
    response.end();
  });
  const server = new WebSocketServer({ server: http });
  server.on('connection', (socket) => {
    const methods: string[] = [];
    conversations.push(methods);
    const upstream = new WebSocket(target);
    upstream.on('message', (data, isBinary) => {
      if (isBinary) seen.binaryFrames += 1;
      seen.serverFrames.push(JSON.parse(String(data)));
      socket.send(String(data));
    });
    socket.on('message', (data) => {
      methods.push((JSON.parse(String(data)) as { method: string }).method);
      upstream.send(String(data));
    });
    socket.on('close', () => upstream.close());
    upstream.on('close', () => socket.close());
    upstream.on('error', () => socket.terminate());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate();
    http.close();
  });
  return { port: (http.address() as AddressInfo).port, conversations, seen };
}

/** `durar node run` on a machine of its own, until it is connected. */
async function startNode(there: Machine, port: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(root, 'core/cli/durar.js'), 'node', 'run', '--host', '127.0.0.1', '--port', String(port)], {
    cwd: there.home,
    env: { ...there.env, Durar_GATEWAY_TOKEN: TOKEN },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  child.stdout.on('data', (chunk) => (printed += String(chunk)));
  child.stderr.on('data', (chunk) => (printed += String(chunk)));
  await until(() => printed.includes('Connected to'), 'the node connects');
  return child;
}

const ended = (child: ChildProcess) => new Promise((resolve) => child.once('exit', resolve));

describe('the protocol', () => {
  it('carries every action of the command line and of a node, in text frames of JSON on one port (PROTO-001, PROTO-002, PROTO-004)', async () => {
    const { port, conversations, seen } = await recorder(gateway.url);
    const env = { Durar_GATEWAY_PORT: String(port) };
    const did = async (args: string[]) => {
      const from = conversations.length;
      expect((await machine.cli(args, { env })).code, args.join(' ')).toBe(0);
      return conversations.slice(from);
    };
    for (const [method, args] of [
      ['health', ['health', '--json']],
      ['status', ['status', '--json']],
      ['agent', ['agent', '--json', '--message', 'hello']],
      ['sessions.list', ['sessions', '--json']],
      ['node.list', ['nodes', 'list', '--json']],
      ['device.pair.list', ['devices', 'list', '--json']],
      ['logs.tail', ['logs', '--json', '--limit', '1']],
    ] as const) {
      const heard = await did([...args]);
      expect(heard.map(([first]) => first)).toEqual(heard.map(() => 'connect'));
      expect(heard.flat(), args.join(' ')).toContain(method);
    }
    const there = await createMachine();
    onTestFinished(() => there.remove());
    const from = conversations.length;
    const node = await startNode(there, port);
    expect(conversations[from]?.[0]).toBe('connect');
    node.kill('SIGTERM');
    await ended(node);
    expect(seen).toMatchObject({ plainRequests: 0, binaryFrames: 0 });
    const types = new Set(seen.serverFrames.map((frame) => (frame as { type: string }).type));
    expect([...types].sort()).toEqual(['event', 'res']);
  });

  it('gives a socket the role and the scopes that it declares, for the right token only (PROTO-003, PROTO-021, PROTO-025)', async () => {
    const reader = await connect(gateway.url, scopes('read'));
    expect((await reader.call('sessions.list', {})).ok).toBe(true);
    expect(messageOf(await reader.call('chat.send', { sessionKey: 'main', message: 'x', idempotencyKey: 'k' }))).toBe('missing scope: operator.write');
    expect(messageOf(await reader.call('device.pair.list', {}))).toBe('missing scope: operator.pairing');
    const node = await connect(gateway.url, { params: { role: 'node', scopes: [] } });
    expect(messageOf(await node.call('sessions.list', {}))).toBe('unauthorized role: node');
    const { answer } = await shake(gateway.url, { params: { auth: { token: 'another' } } });
    expect(answer.error).toMatchObject({ details: { code: 'AUTH_TOKEN_MISMATCH' } });
  });

  it('begins each socket with the challenge, before anything else (PROTO-268)', async () => {
    const socket = await dial(gateway.url);
    expect(await socket.next()).toEqual({ type: 'event', event: 'connect.challenge', payload: { nonce: expect.any(String), ts: expect.any(Number) } });
    expect(socket.frames).toHaveLength(1);
  });

  it('binds platform and family into the signature (PROTO-016, PROTO-019)', async () => {
    const tampered = async (change: object) => {
      const socket = await dial(gateway.url);
      const { nonce } = (await socket.event('connect.challenge')).payload as { nonce: string };
      const client = { id: 'panel', version: '1', platform: 'macos', deviceFamily: 'Mac', mode: 'ui' };
      const params = connectParamsFor(nonce, { params: { client } });
      const answer = await socket.call('connect', { ...params, client: { ...client, ...change } });
      return answer.ok === true ? 'ok' : (answer.error as { details: { code: string } }).details.code;
    };
    expect(await tampered({})).toBe('ok');
    expect(await tampered({ platform: 'ios' })).toBe('DEVICE_AUTH_SIGNATURE_INVALID');
    expect(await tampered({ deviceFamily: 'iPhone' })).toBe('DEVICE_AUTH_SIGNATURE_INVALID');
  });

  it('tells pairing operators of a device from elsewhere, and of the decision (PROTO-261, PROTO-262)', async () => {
    const [pairer, reader] = [await connect(gateway.url, scopes('pairing', 'read')), await connect(gateway.url, scopes('read'))];
    for (const [verb, decision] of [
      ['approve', 'approved'],
      ['reject', 'rejected'],
    ] as const) {
      const device = newDevice();
      const { answer } = await shake(gateway.url, { device, ...scopes('read') }, { headers: { 'x-forwarded-for': '203.0.113.9' } });
      expect(answer.error).toMatchObject({ code: 'NOT_PAIRED' });
      const isOurs = (name: string) => (frame: { event?: string; payload?: unknown }) =>
        frame.event === name && (frame.payload as { deviceId: string }).deviceId === device.id;
      const { requestId } = (await pairer.next(isOurs('device.pair.requested'))).payload as { requestId: string };
      expect((await pairer.call(`device.pair.${verb}`, { requestId })).ok).toBe(true);
      expect((await pairer.next(isOurs('device.pair.resolved'))).payload).toMatchObject({ requestId, decision });
    }
    expect(reader.frames.some(({ event }) => event?.startsWith('device.pair.'))).toBe(false);
  });

  it('lists methods that can be called, those of an installed extension after a restart (PROTO-084, PROTO-086)', async () => {
    const other = await createMachine(config());
    onTestFinished(() => other.remove());
    const methods = (socket: { hello: Record<string, unknown> }) => (socket.hello.features as { methods: string[] }).methods;
    const before = await other.start();
    expect(methods(await connect(before.url))).not.toContain('seven.say');
    await before.stop();
    await other.writeConfig(config({ plugins: { load: { paths: [join(root, 'test/fixtures/seven')] }, entries: { seven: { enabled: true } } } }));
    const after = await other.start();
    const socket = await connect(after.url);
    expect(methods(socket)).toEqual(expect.arrayContaining(['seven.say', 'seven.sent']));
    expect((await socket.call('seven.sent', {})).ok).toBe(true);
    const node = await connect(after.url, { params: { role: 'node', scopes: [] } });
    for (const method of methods(socket).filter((name) => name !== 'seven.crash' && name !== 'gateway.stop')) {
      // Too many refusals in a row would close the socket.
      await node.call('health', {});
      const [asOperator, asNode] = await Promise.all([socket.call(method, {}), node.call(method, {})]);
      const refused = [messageOf(asOperator), messageOf(asNode)].map(String);
      expect(refused, method).not.toContain(`unknown method: ${method}`);
      expect(refused.filter((text) => text.startsWith('unauthorized role')).length, method).toBeLessThan(2);
    }
  });

  it('answers from each family that is built (PROTO-089, PROTO-399)', async () => {
    const reader = await connect(gateway.url, scopes('read', 'write', 'approvals'));
    for (const [method, params, member] of [
      ['status', {}, 'sessions'],
      ['models.list', {}, 'models'],
      ['chat.history', { sessionKey: 'main' }, 'messages'],
      ['agent.wait', { runId: 'none', timeoutMs: 0 }, 'status'],
      ['sessions.list', {}, 'sessions'],
      ['agents.list', {}, 'agents'],
      ['tools.catalog', {}, 'groups'],
      ['node.list', {}, 'nodes'],
      ['exec.approval.list', {}, 'approvals'],
      ['plugin.approval.list', {}, 'approvals'],
    ] as const) {
      expect(await reader.call(method, params), method).toMatchObject({ ok: true, payload: { [member]: expect.anything() } });
    }
  });

  it('shows files and conversations in the status to administrators only (PROTO-090)', async () => {
    const admin = await connect(gateway.url);
    await admin.call('agent', { message: '[[offline: say hi]]', sessionKey: 'agent:main:private-matter', idempotencyKey: 'status-1' }, 'run');
    await admin.next(({ id }) => id === 'run');
    const status = async (socket: Socket) => JSON.stringify((await socket.call('status', {})).payload);
    const [full, redacted] = [await status(admin), await status(await connect(gateway.url, scopes('read')))];
    for (const text of ['private-matter', 'store:', '"host"']) {
      expect(full).toContain(text);
      expect(redacted).not.toContain(text);
    }
    expect(JSON.parse(redacted)).toMatchObject({ sessions: { count: (JSON.parse(full) as { sessions: { count: number } }).sessions.count, recent: [] } });
  });

  it('says shutdown on SIGTERM, before the socket closes (PROTO-257)', async () => {
    const other = await createMachine(config());
    onTestFinished(() => other.remove());
    const stopping = await other.start();
    const socket = await connect(stopping.url, { params: { role: 'node', scopes: [] } });
    const stopped = stopping.stop('SIGTERM');
    expect((await socket.event('shutdown')).payload).toEqual({ reason: expect.any(String), restartExpectedMs: null });
    expect(await socket.closed).toEqual({ code: 1012, reason: 'service restart' });
    expect(await stopped).toBe(0);
  });

  it('is declared in one place: a schema for the params of every method, a handler room for every family (PROTO-085, PROTO-087, PROTO-400, AMB-008)', () => {
    const families = (folder: string) => globSync(`${folder}/*.ts`, { cwd: root }).map((file) => basename(file, '.ts'));
    const declared = families('sdk/protocol/methods');
    expect(declared.length).toBeGreaterThan(5);
    expect(families('core/gateway/methods')).toEqual(expect.arrayContaining(declared.filter((name) => name !== 'methods')));
    const source = declared.map((name) => readFileSync(join(root, `sdk/protocol/methods/${name}.ts`), 'utf8')).join('\n');
    const made = readFileSync(join(root, 'sdk/protocol/generated/validators.js'), 'utf8');
    for (const [method, row] of Object.entries(METHODS)) {
      expect(made, method).toMatch(new RegExp(`export (?:const|function) ${row.params}\\b|\\b${row.params}\\b.*export`));
      expect(source, method).toMatch(new RegExp(`(?:'${method.replaceAll('.', '\\.')}'|\\b${method}): \\{`));
    }
  });
});

describe('presence', () => {
  it('shows a device with version, instance, family, roles and scopes (PROTO-015, PROTO-018, PROTO-019, PROTO-081 to PROTO-083, PRES-053)', async () => {
    const device = newDevice();
    const client = { version: '7.8.9', platform: 'macos', deviceFamily: 'Mac', instanceId: 'desk-1' };
    const operator = await connect(gateway.url, {
      device,
      params: { scopes: ['operator.read', 'operator.write'], client: { id: 'panel', mode: 'ui', ...client } },
    });
    await connect(gateway.url, { device, params: { role: 'node', scopes: [], client: { id: 'node-host', mode: 'node', ...client } } });
    const rows = (await presence(operator)).filter(({ deviceId }) => deviceId === device.id);
    expect(rows).toEqual([expect.objectContaining({ ...client, roles: ['operator', 'node'], scopes: ['operator.read', 'operator.write'] })]);
  });

  it('takes beacons of a client (PRES-033)', async () => {
    const device = newDevice();
    const admin = await connect(gateway.url, { device, params: { client: { id: 'panel', version: '1', platform: 'linux', mode: 'ui', instanceId: 'b-1' } } });
    const beacon = { text: 'Node: desk', instanceId: 'b-1', host: 'desk', ip: '10.1.2.3', lastInputSeconds: 12, tags: ['ui'], reason: 'periodic' };
    expect(await admin.call('system-event', beacon)).toMatchObject({ ok: true, payload: { ok: true } });
    const { text: _text, ...fields } = beacon;
    expect((await presence(admin)).filter(({ deviceId }) => deviceId === device.id)).toEqual([expect.objectContaining({ ...fields, text: 'Node: desk' })]);
  });

  it('has the time of the last update in every row, by which a client tells active, idle and stale (PRES-048)', async () => {
    const watcher = await connect(gateway.url);
    const device = newDevice();
    const panel = await connect(gateway.url, { device, params: { client: { id: 'panel', version: '1', platform: 'linux', mode: 'ui' } } });
    const own = async () => (await presence(watcher)).find(({ deviceId }) => deviceId === device.id);
    const ageOf = ({ ts }: Row, now: number) => (now - ts < 120_000 ? 'active' : now - ts < 300_000 ? 'idle' : 'stale');
    const live = await until(own, 'the row');
    panel.raw.close();
    const gone = await until(async () => {
      const row = await own();
      return row?.reason === 'disconnect' ? row : undefined;
    }, 'the disconnect');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await own()).toEqual(gone);
    expect([0, 150_000, 400_000].map((later) => ageOf(gone, gone.ts + later))).toEqual(['active', 'idle', 'stale']);
    expect(live.ts).toBeLessThanOrEqual(gone.ts);
    for (const row of await presence(watcher)) expect(row.ts).toBeTypeOf('number');
  });

  it('keeps a reported address through every spelling of loopback (PRES-046, PRES-047)', async () => {
    const { port } = await startGateway({ settings: { host: '::' } });
    const device = newDevice();
    const spec = { device, params: { client: { id: 'panel', version: '1', platform: 'linux', mode: 'ui', instanceId: 'loop' } } };
    const first = await connect(`ws://127.0.0.1:${port}`, spec);
    await first.call('system-event', { text: 'x', instanceId: 'loop', ip: '10.9.8.7' });
    // 127.0.0.1 reaches a socket that listens on `::` as ::ffff:127.0.0.1.
    for (const host of ['[::1]', '127.0.0.1', 'localhost']) {
      const again = await connect(`ws://${host}:${port}`, spec);
      expect((await presence(again)).find(({ deviceId }) => deviceId === device.id)?.ip, host).toBe('10.9.8.7');
    }
  });

  it('shows the bundled node under one instance id over restarts (PRES-050)', async () => {
    const there = await createMachine();
    onTestFinished(() => there.remove());
    const watcher = await connect(gateway.url);
    const nodes = async () =>
      (await presence(watcher)).filter(({ version, mode, reason }) => mode === 'node' && reason === 'node-connected' && version !== '7.8.9');
    const ids: unknown[] = [];
    for (let i = 0; i < 2; i += 1) {
      const child = await startNode(there, gateway.port);
      const known = JSON.parse(readFileSync(join(there.stateDir, 'node', 'identity', 'device.json'), 'utf8')) as { deviceId: string };
      ids.push((await nodes()).find(({ deviceId }) => deviceId === known.deviceId)?.instanceId);
      child.kill('SIGTERM');
      await ended(child);
    }
    expect(ids[0]).toEqual(expect.stringMatching(/.+/));
    expect(ids[1]).toBe(ids[0]);
  });
});

describe('the log', () => {
  it('is read by logs.tail as it stands in the file (LOG-011)', async () => {
    const admin = await connect(gateway.url);
    await shake(gateway.url, { params: { auth: { token: 'noted in the log' } } });
    const { file, lines } = (await admin.call('logs.tail', { limit: 5 })).payload as { file: string; lines: string[] };
    const written = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(0);
    const at = written.indexOf(lines[0] ?? '');
    expect(written.slice(at, at + lines.length)).toEqual(lines);
    expect(lines.some((line) => line.includes('connect refused'))).toBe(true);
  });

  it('is followed by the command line into the file of the next day (LOG-012)', async () => {
    const other = await createMachine(config());
    onTestFinished(() => other.remove());
    // The clock of the gateway jumps to the next day at a signal.
    const clock = `const Real = Date; let shift = 0;
      process.on('SIGUSR2', () => { shift = 86_400_000; });
      globalThis.Date = class extends Real {
        constructor(...given) { if (given.length === 0) super(Real.now() + shift); else super(...given); }
        static now() { return Real.now() + shift; }
      };`;
    const running = await other.start({ env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(clock)}` } });
    const nextDay = () => globSync('/tmp/Durar/*.log');
    const before = new Set(nextDay());
    onTestFinished(() => {
      for (const file of nextDay()) if (!before.has(file)) rmSync(file, { force: true });
    });
    // The folder of the daily files is shared: the lines of this test are those of its own ids.
    const ids = [1, 2, 3, 4].map((n) => `day-${process.pid}-${n}`);
    const refused = async (n: number) => {
      const socket = await dial(running.url);
      await socket.call('connect', {}, ids[n - 1]);
    };
    await refused(1);
    const child = spawn(process.execPath, [join(root, 'core/cli/durar.js'), 'logs', '--follow', '--json', '--interval', '20'], {
      cwd: other.home,
      env: { ...other.env, Durar_GATEWAY_PORT: String(running.port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let printed = '';
    child.stdout.on('data', (chunk) => (printed += String(chunk)));
    child.stderr.on('data', (chunk) => (printed += String(chunk)));
    const documents = () =>
      printed
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as { type: string; file?: string; id?: string });
    const seen = (n: number) => until(() => documents().filter(({ id }) => id === ids[n - 1]).length > 0, `line ${n}`);
    const files = () => new Set(documents().flatMap(({ type, file }) => (type === 'meta' && file !== undefined ? [file] : [])));
    await seen(1);
    await refused(2);
    await seen(2);
    expect(files().size).toBe(1);
    running.child.kill('SIGUSR2');
    // The first line of the day makes its file; until then nothing tells that the signal arrived.
    await until(async () => {
      await refused(3);
      return files().size === 2;
    }, 'the file of the next day');
    await refused(4);
    await seen(4);
    for (const file of files()) expect(existsSync(file)).toBe(true);
  });
});
