import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectExtensionMethods, scopeOf } from '../../.ci/extension-methods.ts';
import { createMachine, type GatewayProcess, type Machine, until } from '../e2e/gateway-process.ts';
import { NODE_UNPLAYED } from './deviations.ts';
import { connect, newDevice, type Socket, type TestDevice, TOKEN } from './harness.ts';

/** Nodes and approvals against a real gateway process, with its bundled extensions. */
let machine: Machine;
let gateway: GatewayProcess;

beforeAll(async () => {
  machine = await createMachine({
    gateway: { mode: 'local', auth: { mode: 'token', token: TOKEN }, nodes: { allowCommands: ['screen.record'], denyCommands: ['camera.list'] } },
  });
  gateway = await machine.start();
});

afterAll(async () => {
  await machine.remove();
});

const scopes = (...names: string[]) => ({ params: { scopes: names.map((name) => `operator.${name}`) } });
const operator = (...names: string[]) => connect(gateway.url, names.length === 0 ? {} : scopes(...names));

interface NodeSpec {
  device?: TestDevice;
  platform?: string;
  displayName?: string;
  caps?: string[];
  commands?: string[];
  permissions?: Record<string, boolean>;
  deviceFamily?: string;
  id?: string;
  mode?: string;
}

async function node(spec: NodeSpec = {}): Promise<Socket & { nodeId: string; hello: Record<string, unknown> }> {
  const { device = newDevice(), platform = 'linux', displayName, deviceFamily, caps = [], commands = [], permissions, id = 'node-host', mode = 'node' } = spec;
  const socket = await connect(gateway.url, {
    device,
    params: {
      client: {
        id,
        version: '1.2.3',
        platform,
        mode,
        ...(displayName === undefined ? {} : { displayName }),
        ...(deviceFamily === undefined ? {} : { deviceFamily }),
      },
      role: 'node',
      scopes: [],
      caps,
      commands,
      ...(permissions === undefined ? {} : { permissions }),
    },
  });
  return Object.assign(socket, { nodeId: device.id });
}

/** The open pairing request of a node, once the registry has met it. */
async function requestOf(socket: Socket, nodeId: string): Promise<{ requestId: string }> {
  for (;;) {
    const { payload } = await socket.call('node.pair.list', {});
    const found = (payload as { pending: Array<{ nodeId: string; requestId: string }> }).pending.find((one) => one.nodeId === nodeId);
    if (found !== undefined) return found;
  }
}

async function approved(spec: NodeSpec, by?: Socket): Promise<Awaited<ReturnType<typeof node>>> {
  const socket = await node(spec);
  const admin = by ?? (await operator());
  const { requestId } = await requestOf(admin, socket.nodeId);
  expect(await admin.call('node.pair.approve', { requestId })).toMatchObject({ ok: true });
  return socket;
}

interface InvokeRequest {
  id: string;
  command: string;
  paramsJSON: string | null;
  idempotencyKey: string;
}

/** Answers the next request of the gateway. */
async function answer(socket: Socket & { nodeId: string }, result: object): Promise<InvokeRequest> {
  const request = (await socket.event('node.invoke.request')).payload as InvokeRequest;
  await socket.call('node.invoke.result', { id: request.id, nodeId: socket.nodeId, ...result });
  return request;
}

interface Recorded {
  dir: string;
  frame: { type: string; id: string; event?: string; method?: string; params?: Record<string, unknown>; payload?: Record<string, unknown> };
}

const folder = join(import.meta.dirname, 'frames');
const recording = (number: string): Recorded['frame'][] => {
  const file = readdirSync(folder).find((name) => name.startsWith(`${number}-`)) ?? '';
  return (JSON.parse(readFileSync(join(folder, file), 'utf8')) as { frames: Recorded[] }).frames.map(({ frame }) => frame);
};

/** What differs from run to run: times, and what the gateway makes up. */
const MADE_UP = /(?:^ts$|Ms$|^seq$|^requestId$|^token$|^canvasCapability$|^canvasHostUrl$)/;
const UUID = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/;
const NODES = ['252494575061dc6a274738ee84a5d9e5a93dc7a62d1c5b3ef40e0e67a16bee13', 'eb3897daf6bb0955babe02deb228c972a6a6d6e2d3bdb3fa94db5bae0f6bce46'];

describe('recorded nodes and approvals', () => {
  it('tells the life of a node as recorded (26 to 32)', async () => {
    const other = await node();
    const first = await node({
      displayName: 'Example node',
      caps: ['system', 'canvas'],
      commands: ['system.run', 'system.which', 'system.run.prepare', 'system.notify'],
      permissions: { 'screen.record': false },
    });
    const ids = [first.nodeId, other.nodeId];
    const stable = (value: unknown, from: readonly string[]): unknown =>
      JSON.parse(JSON.stringify(value), (key, member) => {
        if (MADE_UP.test(key) && member !== null) return typeof member;
        if (typeof member === 'string' && UUID.test(member)) return member.replace(UUID, 'uuid');
        const at = typeof member === 'string' ? from.indexOf(member) : -1;
        return at < 0 ? member : `node ${at}`;
      });
    const expectLike = (ours: unknown, recorded: unknown, what: string) => expect(stable(ours, ids), what).toMatchObject(stable(recorded, NODES) as object);
    const played = new Set(['30 op-20']);
    /** Sends a recorded request, with our ids in the place of theirs, and compares the answers. */
    const replay = async (number: string, id: string, socket: Socket, replaced: Record<string, unknown> = {}) => {
      played.add(`${number} ${id}`);
      const frames = recording(number).filter((frame) => frame.id === id);
      const [request] = frames;
      const params = JSON.parse(JSON.stringify({ ...request?.params, ...replaced }).replaceAll(NODES[0] ?? '', first.nodeId));
      const got = await socket.call(request?.method ?? '', params, id);
      expectLike(got, frames.at(-1), `${number} ${id}`);
      return got as { payload: Record<string, unknown> };
    };
    const heard = async (number: string, socket: Socket, name: string, at = 0) => {
      const recorded = recording(number).filter(({ event }) => event === name)[at];
      expectLike((await socket.event(name)).payload, recorded?.payload, `${number} ${name}`);
    };

    const appr = await connect(gateway.url, {
      params: {
        scopes: ['operator.approvals', 'operator.pairing'],
        client: { id: 'gateway-client', version: '1', platform: 'linux', mode: 'backend', displayName: 'Approver' },
      },
    });
    const op = await operator();
    await requestOf(appr, first.nodeId);
    other.raw.close();
    await other.closed;

    const listed = await replay('26', 'appr-1', appr);
    const [{ requestId }] = listed.payload.pending as [{ requestId: string }];
    await replay('26', 'appr-2', appr, { requestId });
    const { node: paired } = (await replay('26', 'op-1', op, { requestId })).payload as { node: { token: string } };
    await heard('26', appr, 'node.pair.resolved');
    await replay('26', 'op-3', op, { token: paired.token });
    await replay('26', 'op-4', op);
    const second = await replay('26', 'appr-3', appr);
    await replay('26', 'appr-4', appr);
    await replay('26', 'appr-5', appr, { requestId: (second.payload.request as { requestId: string }).requestId });

    for (const id of ['op-6', 'op-7', 'op-8']) await replay('27', id, op);
    await replay('27', 'appr-6', appr);

    const which = { ok: true, payloadJSON: '{"bins":{"git":"/usr/bin/git"}}' };
    await Promise.all([replay('28', 'op-9', op), answer(first, which)]);
    await Promise.all([replay('28', 'op-10', op), answer(first, { ok: true, payload: { shown: true }, payloadJSON: null, error: null })]);
    const [, boom] = await Promise.all([replay('28', 'op-11', op), answer(first, { ok: false, error: { code: 'BOOM', message: 'it failed' } })]);
    expectLike({ ...boom, id: '' }, { ...recording('28')[0]?.payload, id: '' }, '28 node.invoke.request');
    const late = first.event('node.invoke.request');
    await replay('28', 'op-12', op);
    const { id: lateId } = (await late).payload as InvokeRequest;
    expect((await first.call('node.invoke.result', { id: lateId, nodeId: first.nodeId, ok: true })).payload).toEqual({ ok: true, ignored: true });
    for (const id of ['op-13', 'op-14', 'op-15', 'op-16']) await replay('28', id, op);

    for (const id of ['node-6', 'node-7', 'node-8']) await replay('29', id, first);
    for (const [id, socket] of [
      ['op-17', op],
      ['node-9', first],
      ['op-18', op],
      ['node-10', first],
      ['node-12', first],
      ['node-13', first],
    ] as const) {
      await replay('29', id, socket);
    }

    await replay('30', 'op-19', op);
    const frames = recording('30');
    const [ask, accepted, final] = frames.filter(({ id }) => id === 'op-20');
    const params = { ...ask?.params, nodeId: first.nodeId };
    expectLike(await op.call('exec.approval.request', params, 'op-20'), accepted, '30 accepted');
    await heard('30', appr, 'exec.approval.requested');
    const waiting = replay('30', 'op-21', op);
    await replay('30', 'appr-8', appr);
    await heard('30', appr, 'exec.approval.resolved');
    expectLike(await op.next(({ id }) => id === 'op-20'), final, '30 final');
    await waiting;
    for (const [id, socket] of [
      ['appr-7', appr],
      ['appr-9', appr],
      ['op-22', op],
      ['op-23', op],
      ['op-27', op],
    ] as const)
      await replay('30', id, socket);
    await heard('30', appr, 'exec.approval.requested', frames.filter(({ event }) => event === 'exec.approval.requested').length - 1);

    const ran = { ok: true, payloadJSON: '{"exitCode":0,"stdout":"hi\\n","stderr":"","success":true,"timedOut":false}' };
    const [, run] = await Promise.all([replay('31', 'op-24', op), answer(first, ran)]);
    const forwarded = recording('31').find(({ event }) => event === 'node.invoke.request')?.payload;
    expect(run).toMatchObject({ command: 'system.run', paramsJSON: forwarded?.paramsJSON, idempotencyKey: 'inv-run-1' });
    await replay('31', 'op-25', op);
    await replay('31', 'op-26', op);

    const plugin = { pluginId: 'example-plugin', title: 'Allow thing', description: 'Do the thing', severity: 'info', toolName: 'thing', timeoutMs: 10_000 };
    const decided = op.call('plugin.approval.request', plugin);
    const { id: pluginApproval } = (await appr.event('plugin.approval.requested')).payload as { id: string };
    expectLike((await op.event('plugin.approval.requested')).payload, recording('32')[0]?.payload, '32 requested');
    await replay('32', 'appr-10', appr, { id: pluginApproval });
    await heard('32', appr, 'plugin.approval.resolved');
    expect((await decided).payload).toMatchObject({ id: pluginApproval, decision: 'deny' });

    const asked = ['26', '27', '28', '29', '30', '31', '32'].flatMap((file) =>
      recording(file).flatMap(({ type, id, method }) => (type === 'req' && method !== 'node.invoke.result' ? [`${file} ${id}`] : [])),
    );
    const unplayed = asked.filter((one) => !played.has(one));
    expect(unplayed).toEqual(NODE_UNPLAYED.map(({ file, id }) => `${file} ${id}`));
  });
});

const codeOf = (frame: { error?: Record<string, unknown> }) => (frame.error?.details as { code?: string; reason?: string } | undefined) ?? {};
const message = (frame: { error?: Record<string, unknown> }) => frame.error?.message;

describe('pairing of nodes', () => {
  it('is decided once, however many decide at the same time', async () => {
    const admin = await operator();
    for (const order of [
      ['approve', 'reject'],
      ['reject', 'approve'],
      ['approve', 'approve'],
    ]) {
      const socket = await node({ commands: ['system.notify'] });
      const { requestId } = await requestOf(admin, socket.nodeId);
      const [first, second] = await Promise.all(order.map((verb) => admin.call(`node.pair.${verb}`, { requestId })));
      expect(first?.ok, order.join()).toBe(true);
      expect(message(second ?? {}), order.join()).toBe('unknown requestId');
      const { paired } = (await admin.call('node.pair.list', {})).payload as { paired: Array<{ nodeId: string }> };
      expect(paired.some(({ nodeId }) => nodeId === socket.nodeId)).toBe(order[0] === 'approve');
    }
  });

  it('shows what the sample node of the protocol page claims (PROTO-022 to PROTO-024, PROTO-039 to PROTO-042, PROTO-076)', async () => {
    const claims = {
      caps: ['camera', 'canvas', 'screen', 'location', 'voice'],
      commands: ['camera.snap', 'canvas.navigate', 'screen.record', 'location.get'],
      permissions: { 'camera.capture': true, 'screen.record': false },
    };
    const { nodeId } = await node({ id: 'ios-node', platform: 'ios', ...claims });
    const reader = await operator('read');
    const { payload } = await reader.call('node.describe', { nodeId });
    expect(payload).toMatchObject({
      nodeId,
      clientId: 'ios-node',
      platform: 'ios',
      caps: [...claims.caps].sort(),
      commands: [...claims.commands].sort(),
      permissions: claims.permissions,
      connected: true,
    });
  });

  it.each([
    ['PROTO-071', [], ['pairing'], undefined],
    ['PROTO-072', ['canvas.present'], ['pairing'], 'operator.write'],
    ['PROTO-072', ['canvas.present'], ['pairing', 'write'], undefined],
    ['PROTO-073', ['system.run'], ['pairing', 'write'], 'operator.admin'],
    ['PROTO-074', ['system.run.prepare'], ['pairing', 'write'], 'operator.admin'],
    ['PROTO-075', ['system.which'], ['pairing', 'write'], 'operator.admin'],
    ['PROTO-073', ['system.run'], ['pairing', 'admin'], undefined],
  ])('%s: approving %j with %j', async (_id, commands, held, missing) => {
    const pairer = await operator(...held);
    const { nodeId } = await node({ commands });
    const { requestId } = await requestOf(pairer, nodeId);
    const got = await pairer.call('node.pair.approve', { requestId });
    if (missing === undefined) expect(got).toMatchObject({ ok: true, payload: { requestId, node: { nodeId } } });
    else expect(message(got)).toBe(`missing scope: ${missing}`);
  });

  it('opens, lists, refreshes and closes requests, and tells those who may pair (PROTO-207 to PROTO-210, PROTO-258, PROTO-259, PROTO-270)', async () => {
    const pairer = await operator('pairing');
    const reader = await operator('read');
    const { payload } = await pairer.call('node.pair.request', { nodeId: 'n-1', displayName: 'N', commands: ['canvas.present'] });
    const { request, created } = payload as { request: { requestId: string }; created: boolean };
    expect(created).toBe(true);
    expect((await pairer.event('node.pair.requested')).payload).toMatchObject({ requestId: request.requestId, nodeId: 'n-1' });
    expect((await pairer.call('node.pair.request', { nodeId: 'n-1', displayName: 'N2' })).payload).toMatchObject({
      created: false,
      request: { requestId: request.requestId, displayName: 'N2', commands: ['canvas.present'] },
    });
    const more = (await pairer.call('node.pair.request', { nodeId: 'n-1', commands: ['system.run'] })).payload as {
      request: { requestId: string };
      created: boolean;
    };
    expect(more.created).toBe(true);
    expect(message(await pairer.call('node.pair.approve', { requestId: request.requestId }))).toBe('unknown requestId');
    expect((await pairer.call('node.pair.reject', { requestId: more.request.requestId })).payload).toMatchObject({ nodeId: 'n-1' });
    expect((await pairer.event('node.pair.resolved')).payload).toMatchObject({ requestId: more.request.requestId, decision: 'rejected' });
    expect(message(await reader.call('node.pair.list', {}))).toBe('missing scope: operator.pairing');
    expect(reader.frames.some(({ event }) => event?.startsWith('node.pair.'))).toBe(false);
    expect(message(await pairer.call('node.pair.request', { nodeId: 'n-1', zzz: 1 }))).toBe(
      "invalid node.pair.request params: at root: unexpected property 'zzz'",
    );
  });

  it('verifies the token of a node, and lists no tokens (PROTO-208, PROTO-211)', async () => {
    const admin = await operator();
    const { nodeId } = await node();
    const { requestId } = await requestOf(admin, nodeId);
    const { node: paired } = (await admin.call('node.pair.approve', { requestId })).payload as { node: { token: string } };
    expect((await admin.call('node.pair.verify', { nodeId, token: paired.token })).payload).toMatchObject({ ok: true, node: { nodeId } });
    for (const [id, token] of [
      [nodeId, 'x'],
      [nodeId, `${paired.token}x`],
      ['other', paired.token],
      ['__proto__', paired.token],
    ]) {
      expect((await admin.call('node.pair.verify', { nodeId: id, token })).payload).toEqual({ ok: false });
    }
    expect(JSON.stringify((await admin.call('node.pair.list', {})).payload)).not.toContain(paired.token);
  });

  it('asks again when a paired node comes back with more commands; what was approved goes on', async () => {
    const admin = await operator();
    const device = newDevice();
    const first = await approved({ device, commands: ['system.which'] }, admin);
    first.raw.close();
    await first.closed;
    const second = await node({ device, commands: ['system.which', 'system.run'] });
    await requestOf(admin, device.id);
    const run = await admin.call('node.invoke', { nodeId: device.id, command: 'system.run', params: { command: ['ls'] }, idempotencyKey: 'more-1' });
    expect(codeOf(run).reason).toBe('command not approved');
    const [found] = await Promise.all([
      admin.call('node.invoke', { nodeId: device.id, command: 'system.which', params: { bins: [] }, idempotencyKey: 'more-2' }),
      answer(second, { ok: true, payload: 1 }),
    ]);
    expect(found).toMatchObject({ ok: true });
  });

  it('a device that was removed and comes back has to be approved as a node again', async () => {
    const admin = await operator();
    const device = newDevice();
    const first = await approved({ device, commands: ['system.which'] }, admin);
    await admin.call('device.pair.remove', { deviceId: device.id });
    expect(await first.closed).toEqual({ code: 4001, reason: 'device removed' });
    await node({ device, commands: ['system.which'] });
    await requestOf(admin, device.id);
    const got = await admin.call('node.invoke', { nodeId: device.id, command: 'system.which', idempotencyKey: 'removed-1' });
    expect(codeOf(got).reason).toBe('command not approved');
  });

  it('lists paired nodes that are away, with the names that operators gave them, also after a restart (PROTO-212 to PROTO-214)', async () => {
    const admin = await operator();
    const away = await approved({ displayName: 'Claimed', commands: ['system.notify'] }, admin);
    expect((await admin.call('node.rename', { nodeId: away.nodeId, displayName: 'Given' })).payload).toEqual({ nodeId: away.nodeId, displayName: 'Given' });
    expect(message(await admin.call('node.rename', { nodeId: '__proto__', displayName: 'x' }))).toBe('unknown nodeId');
    const shown = async (socket: Socket) =>
      ((await socket.call('node.list', {})).payload as { nodes: Array<{ nodeId: string }> }).nodes.find(({ nodeId }) => nodeId === away.nodeId);
    expect(await shown(admin)).toMatchObject({ displayName: 'Given', connected: true });
    away.raw.close();
    await until(async () => ((await shown(admin)) as { connected?: boolean } | undefined)?.connected === false, 'the node is away');
    await until(async () => ((await shown(admin)) as { lastConnectedAtMs?: number } | undefined)?.lastConnectedAtMs !== undefined, 'it is noted when');
    await gateway.stop('SIGKILL');
    gateway = await machine.start();
    const known = { displayName: 'Given', paired: true, connected: false, commands: ['system.notify'], lastConnectedAtMs: expect.any(Number) };
    expect(await shown(await operator())).toMatchObject(known);
  });

  it('a node is in the list of who is present (PRES-017, PRES-022, PRES-037)', async () => {
    const { nodeId } = await node({ displayName: 'Here' });
    const { payload } = await (await operator('read')).call('system-presence', {});
    expect((payload as Array<{ deviceId?: string }>).find(({ deviceId }) => deviceId === nodeId)).toMatchObject({
      host: 'Here',
      mode: 'node',
      reason: 'node-connected',
      roles: ['node'],
    });
  });
});

describe('roles of nodes', () => {
  it('operators may not call what is for nodes, nor nodes what is for operators (PROTO-054, PROTO-217)', async () => {
    const admin = await operator();
    const device = await node();
    for (const method of [
      'node.event',
      'node.invoke.result',
      'node.pending.pull',
      'node.pending.ack',
      'node.pending.drain',
      'node.canvas.capability.refresh',
    ]) {
      expect(message(await admin.call(method, {}))).toBe('unauthorized role: operator');
    }
    for (const method of ['config.get', 'node.list', 'node.invoke', 'exec.approval.resolve', 'no.such.method']) {
      expect(message(await device.call(method, {}))).toBe('unauthorized role: node');
    }
    expect(message(await device.call('node.pending.drain', { maxItems: 11 }))).toMatch(/^invalid node.pending.drain params: at \/maxItems: /);
  });

  it('each method needs what the protocol says (PROTO-054 to PROTO-061, PROTO-065)', async () => {
    const needs: Record<string, string[]> = {
      'operator.pairing': ['node.pair.request', 'node.pair.list', 'node.pair.approve', 'node.pair.reject', 'node.pair.verify', 'node.rename'],
      'operator.read': ['node.list', 'node.describe'],
      'operator.write': ['node.invoke', 'node.pending.enqueue'],
      'operator.admin': ['exec.approvals.get', 'exec.approvals.set', 'exec.approvals.node.get', 'exec.approvals.node.set'],
      'operator.approvals': ['exec', 'plugin'].flatMap((family) => ['request', 'resolve', 'waitDecision', 'list'].map((verb) => `${family}.approval.${verb}`)),
      node: ['node.invoke.result', 'node.event', 'node.pending.pull', 'node.pending.ack', 'node.pending.drain', 'node.canvas.capability.refresh'],
    };
    const declared: Record<string, string[]> = {};
    for (const row of await collectExtensionMethods()) {
      if (!/^(?:node|exec|plugin)\./.test(row.method)) continue;
      const need = scopeOf(row) ?? 'node';
      declared[need] = [...(declared[need] ?? []), row.method];
    }
    for (const [need, methods] of Object.entries(needs)) expect(declared[need]?.sort(), need).toEqual(methods.sort());
    expect(Object.keys(declared).sort()).toEqual(Object.keys(needs).sort());
  });

  it('all methods are in the discovery list, and the events', async () => {
    const { features } = (await operator()).hello as { features: { methods: string[]; events: string[] } };
    expect(features.methods).toEqual(
      expect.arrayContaining([
        'node.pair.request',
        'node.invoke',
        'node.pending.drain',
        'exec.approvals.node.set',
        'exec.approvals.get',
        'plugin.approval.request',
      ]),
    );
    expect(features.events).toEqual(expect.arrayContaining(['node.pair.requested', 'node.pair.resolved', 'node.invoke.request', 'exec.approval.requested']));
  });
});

describe('invoke', () => {
  it('reaches the one node, and its result the caller (PROTO-215, PROTO-216, PROTO-260)', async () => {
    const admin = await operator();
    const [one, other] = [await approved({ commands: ['system.notify'] }, admin), await node({ commands: ['system.notify'] })];
    const params = { nodeId: one.nodeId, command: 'system.notify', params: { title: 't' }, idempotencyKey: 'reach-1' };
    const [got, seen] = await Promise.all([admin.call('node.invoke', params), answer(one, { ok: true, payload: { shown: true } })]);
    expect(got.payload).toEqual({ ok: true, nodeId: one.nodeId, command: 'system.notify', payload: { shown: true }, payloadJSON: null });
    expect(seen).toMatchObject({ command: 'system.notify', paramsJSON: '{"title":"t"}', idempotencyKey: 'reach-1' });
    expect(await admin.call('node.invoke', params)).toMatchObject({ ok: true, payload: { payload: { shown: true } } });
    expect(one.frames.filter(({ event }) => event === 'node.invoke.request')).toHaveLength(1);
    for (const socket of [other, admin]) expect(socket.frames.some(({ event }) => event === 'node.invoke.request')).toBe(false);
  });

  it('needs an idempotency key and operator.write (PROTO-050, PROTO-061)', async () => {
    const [writer, reader] = [await operator('write'), await operator('read')];
    expect(message(await writer.call('node.invoke', { nodeId: 'x', command: 'y' }))).toBe(
      "invalid node.invoke params: must have required property 'idempotencyKey'",
    );
    expect(message(await reader.call('node.invoke', { nodeId: 'x', command: 'y', idempotencyKey: 'k' }))).toBe('missing scope: operator.write');
  });

  it('a repeat while the first is under way waits for it (PROTO-051)', async () => {
    const admin = await operator();
    const one = await approved({ commands: ['system.notify'] }, admin);
    const params = { nodeId: one.nodeId, command: 'system.notify', idempotencyKey: 'twice' };
    const calls = [admin.call('node.invoke', params), admin.call('node.invoke', params)];
    await answer(one, { ok: true, payloadJSON: '{"n":1}' });
    const [first, second] = await Promise.all(calls);
    expect(second?.payload).toEqual(first?.payload);
    expect(one.frames.filter(({ event }) => event === 'node.invoke.request')).toHaveLength(1);
  });

  it('is refused for what the node did not declare, and for what its owner switched off (PROTO-077, PROTO-078)', async () => {
    const admin = await operator();
    const mac = await approved(
      {
        platform: 'macos',
        commands: ['screen.record', 'canvas.present', 'system.notify'],
        permissions: { 'screen.record': false, 'canvas.present': true, 'camera.capture': false },
      },
      admin,
    );
    const codes = async (command: string) =>
      codeOf(await admin.call('node.invoke', { nodeId: mac.nodeId, command, timeoutMs: 50, idempotencyKey: `off-${command}` }));
    expect(await codes('camera.snap')).toEqual({ reason: 'command not allowlisted', command: 'camera.snap' });
    expect(await codes('system.which')).toEqual({ reason: 'command not declared by node', command: 'system.which' });
    expect(await codes('screen.record')).toEqual({ reason: 'permission switched off on node', command: 'screen.record' });
    for (const command of ['canvas.present', 'system.notify']) expect(await codes(command)).toMatchObject({ nodeError: { code: 'TIMEOUT' } });
    expect(mac.frames.some(({ event, payload }) => event === 'node.invoke.request' && (payload as InvokeRequest).command === 'screen.record')).toBe(false);
  });

  it('that disconnects fails at once, and its answer comes too late (PROTO-216)', async () => {
    const admin = await operator();
    const one = await approved({ commands: ['system.notify'] }, admin);
    const asked = admin.call('node.invoke', { nodeId: one.nodeId, command: 'system.notify', timeoutMs: 60_000, idempotencyKey: 'cut' });
    await one.event('node.invoke.request');
    one.raw.terminate();
    expect((await asked).error).toMatchObject({ code: 'UNAVAILABLE', details: { code: 'NODE_DISCONNECTED' } });
  });

  it('has its bounds: commands on their way, and sessions that a node follows', async () => {
    const admin = await operator();
    const one = await approved({ commands: ['system.notify'] }, admin);
    const invoke = (n: number) => admin.call('node.invoke', { nodeId: one.nodeId, command: 'system.notify', timeoutMs: 60_000, idempotencyKey: `many-${n}` });
    for (let i = 0; i < 1000; i += 1) invoke(i).catch(() => undefined);
    for (let i = 0; i < 1000; i += 1) await one.event('node.invoke.request');
    expect(await invoke(1000)).toMatchObject({ ok: false, error: { code: 'UNAVAILABLE', retryable: true, details: { code: 'NODES_BUSY' } } });
    const follow = (n: number) => one.call('node.event', { event: 'chat.subscribe', payload: { sessionKey: `session-${n}` } }, `follow-${n}`);
    const followed = await Promise.all(Array.from({ length: 1001 }, (_, i) => follow(i)));
    expect(followed.filter(({ ok }) => ok)).toHaveLength(1000);
    expect(message(followed.at(-1) ?? {})).toBe('a node may follow 1000 sessions at most');
    expect((await follow(3)).ok).toBe(true);
    one.raw.close();
    await one.closed;
    const back = await until(async () => !(await invoke(1001)).error?.retryable, 'room for other commands').catch((error: Error) => error);
    expect(back).toBe(true);
  });

  it('follows the platform and gateway.nodes; claims alone allow nothing (PROTO-079)', async () => {
    const admin = await operator();
    const phone = await approved({ platform: 'ios 18', commands: ['screen.record', 'camera.list', 'camera.snap', 'canvas.present', 'system.run'] }, admin);
    const refusal = async (command: string) =>
      codeOf(await admin.call('node.invoke', { nodeId: phone.nodeId, command, timeoutMs: 50, idempotencyKey: `policy-${command}` }));
    for (const command of ['camera.list', 'camera.snap', 'system.run']) expect(await refusal(command)).toEqual({ reason: 'command not allowlisted', command });
    for (const command of ['screen.record', 'canvas.present']) expect(await refusal(command)).toMatchObject({ nodeError: { code: 'TIMEOUT' } });
    expect(await refusal('location.get')).toEqual({ reason: 'command not declared by node', command: 'location.get' });
    const silent = await approved({ platform: 'ios' }, admin);
    const none = await admin.call('node.invoke', { nodeId: silent.nodeId, command: 'canvas.present', idempotencyKey: 'policy-none' });
    expect(codeOf(none)).toEqual({ reason: 'node did not declare commands', command: 'canvas.present' });
  });

  it('obeys a change of gateway.nodes while it runs, and what is connected stays so', async () => {
    const admin = await operator();
    const one = await approved({ commands: ['system.notify'] }, admin);
    const allow = (denyCommands: string[]) =>
      machine.writeConfig({ gateway: { mode: 'local', auth: { mode: 'token', token: TOKEN }, nodes: { allowCommands: ['screen.record'], denyCommands } } });
    let keys = 0;
    const refusal = async () =>
      codeOf(await admin.call('node.invoke', { nodeId: one.nodeId, command: 'system.notify', timeoutMs: 50, idempotencyKey: `live-${++keys}` })).reason;
    expect(await refusal()).toBeUndefined();
    await allow(['camera.list', 'system.notify']);
    await until(async () => (await refusal()) === 'command not allowlisted', 'the command is refused');
    await allow(['camera.list']);
    await until(async () => (await refusal()) === undefined, 'the command is allowed again');
  });

  it('fails when the node leaves, and does not take the answer of another node', async () => {
    const admin = await operator();
    const [one, other] = [await approved({ commands: ['system.notify'] }, admin), await node()];
    const call = admin.call('node.invoke', { nodeId: one.nodeId, command: 'system.notify', idempotencyKey: 'leave-1' });
    const { id } = (await one.event('node.invoke.request')).payload as InvokeRequest;
    expect(message(await other.call('node.invoke.result', { id, nodeId: other.nodeId, ok: true }))).toBe('nodeId mismatch');
    expect(message(await other.call('node.invoke.result', { id, nodeId: one.nodeId, ok: true }))).toBe('nodeId mismatch');
    one.raw.close();
    expect((await call).error).toMatchObject({ code: 'UNAVAILABLE', message: 'node disconnected (system.notify)' });
  });

  it('keeps for an app in the background what needs its screen, once, and over a restart (PROTO-219, PROTO-220)', async () => {
    let admin = await operator();
    const device = newDevice();
    const spec = { device, platform: 'ios', commands: ['canvas.present', 'device.info'] };
    let phone = await approved(spec, admin);
    const call = (command: string, idempotencyKey: string) => admin.call('node.invoke', { nodeId: device.id, command, params: { url: 'x' }, idempotencyKey });
    const background = { ok: false, error: { code: 'NODE_BACKGROUND_UNAVAILABLE', message: 'in the background' } };
    const [queued] = await Promise.all([call('canvas.present', 'bg-1'), answer(phone, background)]);
    expect(queued.error).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'node command queued until iOS returns to foreground',
      retryable: true,
      details: { code: 'QUEUED_UNTIL_FOREGROUND', nodeId: device.id, command: 'canvas.present' },
    });
    const [plain] = await Promise.all([call('device.info', 'bg-2'), answer(phone, background)]);
    expect(message(plain)).toBe('NODE_BACKGROUND_UNAVAILABLE: in the background');

    phone.raw.close();
    await gateway.stop('SIGKILL');
    gateway = await machine.start();
    admin = await operator();
    phone = await node(spec);
    expect(codeOf(await call('canvas.present', 'bg-1')).code).toBe('QUEUED_UNTIL_FOREGROUND');
    expect(phone.frames.some(({ event }) => event === 'node.invoke.request')).toBe(false);
    const { actions } = (await phone.call('node.pending.pull', {})).payload as { actions: Array<{ id: string }> };
    expect(actions).toEqual([{ id: expect.any(String), command: 'canvas.present', paramsJSON: '{"url":"x"}', enqueuedAtMs: expect.any(Number) }]);
    expect((await phone.call('node.pending.pull', {})).payload).toMatchObject({ actions });
    const ids = actions.map(({ id }) => id);
    expect((await phone.call('node.pending.ack', { ids })).payload).toEqual({ nodeId: device.id, ackedIds: ids, remainingCount: 0 });
    expect((await phone.call('node.pending.pull', {})).payload).toMatchObject({ actions: [] });
  });
});

describe('work for nodes', () => {
  it('is kept for one that is away, one item of a type, the urgent first, each handed out once (PROTO-221, PROTO-222)', async () => {
    const writer = await operator('write');
    const device = newDevice();
    const enqueue = (more: object) => writer.call('node.pending.enqueue', { nodeId: device.id, ...more });
    const first = (await enqueue({ type: 'status.request' })).payload as { queued: { id: string } };
    expect((await enqueue({ type: 'status.request' })).payload).toEqual(first);
    await enqueue({ type: 'location.request', priority: 'high', expiresInMs: 60_000 });
    expect(message(await enqueue({ type: 'other' }))).toMatch(/^invalid node.pending.enqueue params/);
    const back = await node({ device });
    const drain = async (params = {}) =>
      (await back.call('node.pending.drain', params)).payload as { items: Array<{ id: string; type: string }>; hasMore: boolean };
    expect(await drain({ maxItems: 1 })).toMatchObject({ items: [{ type: 'location.request', priority: 'high' }], hasMore: true });
    expect(await drain()).toMatchObject({ items: [{ id: first.queued.id }], hasMore: false });
    expect((await drain()).items).toMatchObject([{ id: 'baseline-status' }]);
  });

  it('a capability for the canvas is new each time and ends (PROTO-218)', async () => {
    const device = await node();
    const refresh = async () =>
      (await device.call('node.canvas.capability.refresh', {})).payload as {
        canvasCapability: string;
        canvasCapabilityExpiresAtMs: number;
        canvasHostUrl: string;
      };
    const [one, other] = [await refresh(), await refresh()];
    expect(one.canvasCapability).toMatch(/^[\w-]{24}$/);
    expect(other.canvasCapability).not.toBe(one.canvasCapability);
    expect(one.canvasCapabilityExpiresAtMs - Date.now()).toBeLessThanOrEqual(600_000);
    expect(one.canvasHostUrl).toBe(`http://127.0.0.1:${gateway.port}/__Durar__/cap/${one.canvasCapability}`);
  });

  it('a node hears the sessions that it follows, and no others (PROTO-217)', async () => {
    const op = await operator();
    const [follower, other] = [await node(), await node()];
    await follower.call('node.event', { event: 'chat.subscribe', payloadJSON: '{"sessionKey":"main"}' });
    await other.call('node.event', { event: 'chat.subscribe', payload: { sessionKey: 'agent:main:elsewhere' } });
    const say = async (key: string) => {
      await op.call('chat.send', { sessionKey: 'main', message: 'hello', idempotencyKey: key });
      await op.next(
        ({ event, payload }) =>
          event === 'chat' && (payload as { runId: string; state: string }).runId === key && (payload as { state: string }).state === 'final',
      );
    };
    await say('heard');
    const final = await follower.next(({ event, payload }) => event === 'chat' && (payload as { state: string }).state === 'final');
    expect(final).not.toHaveProperty('seq');
    expect(final.payload).toMatchObject({ runId: 'heard', sessionKey: 'agent:main:main' });
    await follower.call('node.event', { event: 'chat.unsubscribe', payload: { sessionKey: 'agent:main:main' } });
    await say('unheard');
    await follower.call('node.event', { event: 'no.such.event' });
    expect(follower.frames.some(({ event, payload }) => event === 'chat' && (payload as { runId: string }).runId === 'unheard')).toBe(false);
    expect(other.frames.some(({ event }) => event === 'chat' || event === 'agent')).toBe(false);
  });
});

describe('runs bound to approvals', () => {
  const plan = { argv: ['/bin/echo', 'hi'], cwd: '/tmp', commandText: '/bin/echo hi', agentId: 'main', sessionKey: 'agent:main:main' };

  async function scene(env?: Record<string, string>) {
    const [op, approver] = [await operator(), await operator('approvals')];
    const host = await approved({ commands: ['system.run', 'system.notify'] }, op);
    const asked = op.call('exec.approval.request', {
      host: 'node',
      nodeId: host.nodeId,
      systemRunPlan: plan,
      timeoutMs: 20_000,
      ...(env === undefined ? {} : { env }),
    });
    const { id } = (await approver.event('exec.approval.requested')).payload as { id: string };
    const decide = async (decision: string) => {
      expect(await approver.call('exec.approval.resolve', { id, decision })).toMatchObject({ ok: true });
      await asked;
    };
    let keys = 0;
    const run = (more: object, from: Socket = op, nodeId = host.nodeId) =>
      from.call('node.invoke', {
        nodeId,
        command: 'system.run',
        params: { command: plan.argv, runId: id, approved: true, ...more },
        timeoutMs: 2000,
        idempotencyKey: `${id}-${++keys}`,
      });
    return { op, host, id, decide, run };
  }

  it.each([
    ['PROTO-311', { command: ['/bin/rm', 'hi'] }],
    ['PROTO-312', { rawCommand: '/bin/echo ho' }],
    ['PROTO-313', { cwd: '/' }],
    ['PROTO-314', { agentId: 'other' }],
    ['PROTO-315', { sessionKey: 'agent:main:other' }],
    ['PROTO-310', { systemRunPlan: { ...plan, argv: ['/bin/rm'] } }],
  ])('%s: %j is refused and does not reach the node', async (_id, change) => {
    const { host, id, decide, run } = await scene();
    await decide('allow-once');
    expect(await run(change)).toMatchObject({ error: { code: 'INVALID_REQUEST', details: { code: 'APPROVAL_REQUEST_MISMATCH', runId: id } } });
    expect(host.frames.some(({ event }) => event === 'node.invoke.request')).toBe(false);
    // the approval is still there for what was approved
    const [ran, request] = await Promise.all([run({}), answer(host, { ok: true, payload: {} })]);
    expect(ran).toMatchObject({ ok: true });
    expect(JSON.parse(request.paramsJSON ?? '')).toMatchObject({
      command: plan.argv,
      cwd: '/tmp',
      agentId: 'main',
      sessionKey: 'agent:main:main',
      approved: true,
      approvalDecision: 'allow-once',
    });
  });

  it('is for its node, its caller and its decision (PROTO-316)', async () => {
    const { op, id, decide, run, host } = await scene();
    const undecided = await run({});
    expect(codeOf(undecided)).toEqual({ code: 'APPROVAL_REQUIRED', runId: id });
    await decide('allow-always');
    expect(codeOf(await run({}, await operator())).code).toBe('APPROVAL_DEVICE_MISMATCH');
    const other = await approved({ commands: ['system.run'] }, op);
    expect(codeOf(await run({}, op, other.nodeId)).code).toBe('APPROVAL_NODE_MISMATCH');
    expect(codeOf(await run({ runId: '' })).code).toBe('MISSING_RUN_ID');
    expect(codeOf(await run({ runId: 'zzz' })).code).toBe('UNKNOWN_APPROVAL_ID');
    await Promise.all([run({ approvalDecision: 'allow-always' }), answer(host, { ok: true, payload: {} })]);
    expect(codeOf(await run({})).code).toBe('APPROVAL_REQUIRED');
    expect(codeOf(await run({ approved: false, approvalDecision: 'allow-once' })).code).toBe('APPROVAL_REQUIRED');
  });

  it('is for its environment', async () => {
    const without = await scene();
    await without.decide('allow-once');
    expect(codeOf(await without.run({ env: { A: '1' } })).code).toBe('APPROVAL_ENV_BINDING_MISSING');
    const bound = await scene({ B: '2', A: '1' });
    await bound.decide('allow-once');
    expect(codeOf(await bound.run({})).code).toBe('APPROVAL_ENV_MISMATCH');
    expect(codeOf(await bound.run({ env: { A: '1', B: '3' } })).code).toBe('APPROVAL_ENV_MISMATCH');
    const [ran] = await Promise.all([bound.run({ env: { A: '1', B: '2' } }), answer(bound.host, { ok: true, payload: {} })]);
    expect(ran).toMatchObject({ ok: true });
  });

  it('a denied run is refused; one that claims no approval goes to the node without that claim (PROTO-306)', async () => {
    const { decide, run, host } = await scene();
    await decide('deny');
    expect(codeOf(await run({})).code).toBe('APPROVAL_REQUIRED');
    const [, request] = await Promise.all([
      run({ approved: 'yes', approvalDecision: 'maybe', extra: 1 }),
      answer(host, { ok: false, error: { code: 'SYSTEM_RUN_DENIED', message: 'approval required' } }),
    ]);
    expect(Object.keys(JSON.parse(request.paramsJSON ?? '') as object).sort()).toEqual(['command', 'runId']);
  });
});

describe('approvals', () => {
  it('of a node need a plan; without one nothing is announced (PROTO-307 to PROTO-309)', async () => {
    const [op, approver] = [await operator(), await operator('approvals')];
    const ask = (more: object) => op.call('exec.approval.request', { host: 'node', nodeId: 'n', command: 'ls', ...more });
    expect(message(await ask({}))).toBe('systemRunPlan is required for host=node');
    expect(message(await ask({ systemRunPlan: { argv: [], cwd: null, commandText: 'x', agentId: null, sessionKey: null } }))).toContain(
      'systemRunPlan is not usable',
    );
    expect(message(await ask({ systemRunPlan: { argv: 'ls' } }))).toMatch(/^invalid exec.approval.request params: at \/systemRunPlan\/argv: /);
    expect(message(await op.call('exec.approval.request', { command: 'ls', zzz: 1 }))).toContain("unexpected property 'zzz'");
    expect(approver.frames.some(({ event }) => event === 'exec.approval.requested')).toBe(false);
  });

  it('are decided once, by those who may (PROTO-058, PROTO-223 to PROTO-226, PROTO-264, PROTO-265, PROTO-305)', async () => {
    const [op, approver, reader] = [await operator(), await operator('approvals'), await operator('read')];
    const asked = op.call('exec.approval.request', { command: 'ls', turnSourceChannel: 'irc', turnSourceThreadId: 7, timeoutMs: 20_000 });
    const { id, request } = (await approver.event('exec.approval.requested')).payload as { id: string; request: object };
    expect(request).toMatchObject({ command: 'ls', turnSourceChannel: 'irc', turnSourceThreadId: 7 });
    const waiting = op.call('exec.approval.waitDecision', { id });
    expect(message(await reader.call('exec.approval.resolve', { id, decision: 'deny' }))).toBe('missing scope: operator.approvals');
    expect((await approver.call('exec.approval.resolve', { id: id.slice(0, 12), decision: 'deny' })).payload).toEqual({ ok: true });
    expect((await approver.event('exec.approval.resolved')).payload).toMatchObject({ id, decision: 'deny' });
    for (const call of [asked, waiting]) expect((await call).payload).toMatchObject({ id, decision: 'deny' });
    expect((await approver.call('exec.approval.resolve', { id, decision: 'allow-once' })).ok).toBe(false);
    expect(reader.frames.some(({ event }) => event?.includes('approval'))).toBe(false);
    const expired = await op.call('exec.approval.request', { command: 'ls', timeoutMs: 50, id: 'short' });
    expect(expired.payload).toMatchObject({ id: 'short', decision: null });
    expect((await op.call('exec.approval.waitDecision', { id: 'short' })).payload).toMatchObject({ id: 'short', decision: null });
  });

  it('of plugins go the same way (PROTO-231 to PROTO-233, PROTO-266, PROTO-267)', async () => {
    const [op, approver] = [await operator(), await operator('approvals')];
    const asked = op.call('plugin.approval.request', { title: 'T', description: 'D', twoPhase: true, timeoutMs: 20_000 }, 'plug');
    const { id } = (await asked).payload as { id: string };
    expect(id).toMatch(/^plugin:/);
    await approver.event('plugin.approval.requested');
    const waiting = approver.call('plugin.approval.waitDecision', { id });
    await approver.call('plugin.approval.resolve', { id, decision: 'allow-always' });
    expect((await waiting).payload).toMatchObject({ id, decision: 'allow-always' });
    expect((await op.next((frame) => frame.id === 'plug')).payload).toMatchObject({ decision: 'allow-always' });
  });

  it('the policy file is for administrators; what changed meanwhile is not overwritten, the token of its socket not told (PROTO-065, PROTO-227, PROTO-228)', async () => {
    const [admin, approver] = [await operator(), await operator('approvals', 'write', 'pairing')];
    expect(message(await approver.call('exec.approvals.get', {}))).toBe('missing scope: operator.admin');
    expect(message(await approver.call('exec.approvals.set', { file: {} }))).toBe('missing scope: operator.admin');
    const path = join(machine.stateDir, 'exec-approvals.json');
    expect((await admin.call('exec.approvals.get', {})).payload).toMatchObject({ path, exists: false });
    const file = { version: 1, socket: { path: '/run/x', token: 'example-socket-token' }, defaults: { ask: 'always' } };
    const written = (await admin.call('exec.approvals.set', { file })).payload as { hash: string; file: object };
    expect(written).toMatchObject({ exists: true, file: { socket: { path: '/run/x' }, defaults: { ask: 'always' } } });
    expect(JSON.stringify(written)).not.toContain('example-socket-token');
    expect(message(await admin.call('exec.approvals.set', { file }))).toBe('exec approvals base hash required; re-run exec.approvals.get and retry');
    expect(message(await admin.call('exec.approvals.set', { file, baseHash: 'ab' }))).toBe(
      'exec approvals changed since last load; re-run exec.approvals.get and retry',
    );
    const bad = await admin.call('exec.approvals.set', { file: { defaults: { ask: 'sometimes' } }, baseHash: written.hash });
    expect(bad.error).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining("'ask'") });
    expect((await admin.call('exec.approvals.set', { file: written.file, baseHash: written.hash })).ok).toBe(true);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(file);
  });
});
