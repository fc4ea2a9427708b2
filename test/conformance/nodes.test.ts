import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine } from '../e2e/gateway-process.ts';
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
    /** Sends a recorded request, with our ids in the place of theirs, and compares the answers. */
    const replay = async (number: string, id: string, socket: Socket, replaced: Record<string, unknown> = {}) => {
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
    const asked = await replay('26', 'appr-3', appr);
    await replay('26', 'appr-4', appr);
    await replay('26', 'appr-5', appr, { requestId: (asked.payload.request as { requestId: string }).requestId });

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
  });
});
