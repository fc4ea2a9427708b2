import { describe, expect, it } from 'vitest';
import type { GatewayMethodContext, GatewayMethodOptions } from '../../sdk/index.ts';
import { connect, newDevice, startGateway } from '../../test/conformance/harness.ts';
import type { Contribution } from '../kernel/generation.ts';

const method = (
  key: string,
  options: GatewayMethodOptions,
  handler: (params: Record<string, unknown>, context: GatewayMethodContext) => unknown = (params) => params,
) => ({ kind: 'gatewayMethod', key, owner: 'fixture', value: { handler, options } }) as Contribution;
const asNode = () => ({
  params: { role: 'node' as const, scopes: [], client: { id: 'node-host', version: '1', platform: 'linux', mode: 'node' }, commands: ['a'], pathEnv: '/bin' },
});
const scopes = (...names: string[]) => ({ params: { scopes: names } });

const SHAPE = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: { name: { type: 'string', minLength: 1 }, count: { type: 'integer', minimum: 1 } },
};

describe('methods of extensions', () => {
  it('get only params that fit their schema; what is wrong is told as for the methods of the host', async () => {
    const { url } = await startGateway({ contributions: [method('fixture.call', { scope: 'operator.read', params: SHAPE })] });
    const socket = await connect(url);
    expect((await socket.call('fixture.call', { name: 'x', count: 2 })).payload).toEqual({ name: 'x', count: 2 });
    const told = async (params: unknown) => (await socket.call('fixture.call', params)).error;
    const invalid = (text: string) => ({ code: 'INVALID_REQUEST', message: `invalid fixture.call params: ${text}` });
    expect(await told({ name: 'x', zzz: 1 })).toEqual(invalid("at root: unexpected property 'zzz'"));
    expect(await told({})).toEqual(invalid("must have required property 'name'"));
    expect(await told({ name: '', count: 0 })).toEqual(invalid('at /name: must NOT have fewer than 1 characters; at /count: must be >= 1'));
    expect(await told([])).toEqual(invalid('must be object'));
  });

  it('whose result does not fit are at fault themselves', async () => {
    const { url } = await startGateway({ contributions: [method('fixture.call', { scope: 'operator.read', result: SHAPE }, ({ answer }) => answer)] });
    const socket = await connect(url);
    expect((await socket.call('fixture.call', { answer: { name: 'x' } })).payload).toEqual({ name: 'x' });
    expect((await socket.call('fixture.call', { answer: { count: 1 } })).error).toMatchObject({
      code: 'UNAVAILABLE',
      details: { code: 'DUR_GATEWAY_RESULT', owner: { extension: 'fixture' } },
    });
  });

  it('that change something need an idempotency key (PROTO-050)', async () => {
    const { url } = await startGateway({ contributions: [method('fixture.call', { scope: 'operator.read', sideEffecting: true })] });
    const socket = await connect(url);
    for (const params of [{}, { idempotencyKey: '' }, { idempotencyKey: 1 }]) {
      expect((await socket.call('fixture.call', params)).error).toMatchObject({
        message: "invalid fixture.call params: must have required property 'idempotencyKey'",
      });
    }
    expect(await socket.call('fixture.call', { idempotencyKey: 'k' })).toMatchObject({ ok: true });
  });

  it('are for operators or for nodes, and know who calls (PROTO-054)', async () => {
    const seen: GatewayMethodContext[] = [];
    const note = (_params: object, context: GatewayMethodContext) => {
      seen.push(context);
      return null;
    };
    const { url } = await startGateway({
      contributions: [method('fixture.node', { role: 'node' }, note), method('fixture.operator', { scope: 'operator.read' }, note)],
    });
    const device = newDevice();
    const [operator, node] = [await connect(url), await connect(url, { ...asNode(), device })];
    expect(await node.call('fixture.node', {})).toMatchObject({ ok: true });
    expect(await operator.call('fixture.operator', {})).toMatchObject({ ok: true });
    expect((await operator.call('fixture.node', {})).error).toMatchObject({ message: 'unauthorized role: operator' });
    expect((await node.call('fixture.operator', {})).error).toMatchObject({ message: 'unauthorized role: node' });
    expect(seen).toMatchObject([
      { role: 'node', deviceId: device.id, callerId: device.id, clientId: 'node-host' },
      { role: 'operator', clientId: 'cli' },
    ]);
    for (let i = 0; i < 12; i += 1) node.send({ type: 'req', id: `r${i}`, method: 'fixture.operator', params: {} });
    expect(await node.closed).toEqual({ code: 1008, reason: 'repeated unauthorized calls' });
  });

  it('are in the discovery list with their events, which obey the declared scope (PROTO-270)', async () => {
    const { url, gateway } = await startGateway({
      contributions: [
        method('fixture.call', { scope: 'operator.read', events: ['fixture.plain', { name: 'fixture.secret', scope: 'operator.admin' }] }),
        method('fixture.hidden', { scope: 'operator.read', unlisted: true }),
      ],
    });
    const admin = await connect(url);
    const reader = await connect(url, scopes('operator.read'));
    const { features } = admin.hello as { features: { methods: string[]; events: string[] } };
    expect(features.methods).toContain('fixture.call');
    expect(features.methods).not.toContain('fixture.hidden');
    expect(features.events).toEqual(expect.arrayContaining(['fixture.plain', 'fixture.secret']));
    expect(await reader.call('fixture.hidden', {})).toMatchObject({ ok: true });
    gateway.broadcast('fixture.secret', 1);
    gateway.broadcast('fixture.plain', 2);
    expect((await reader.event('fixture.plain')).payload).toBe(2);
    expect((await admin.event('fixture.secret')).payload).toBe(1);
    expect(reader.frames.some(({ event }) => event === 'fixture.secret')).toBe(false);
  });
});

describe('sockets as extensions see them', () => {
  it('are listed, heard of when they come and go, and reached by connection, device and role', async () => {
    const { url, gateway } = await startGateway();
    const heard: string[] = [];
    const removers = [
      gateway.sockets.onConnect(({ role }) => heard.push(`+${role}`)),
      gateway.sockets.onConnect(() => {
        throw new Error('a listener of somebody else');
      }),
      gateway.sockets.onDisconnect(({ role }) => heard.push(`-${role}`)),
    ];
    const device = newDevice();
    const [operator, node, twin] = [await connect(url), await connect(url, { ...asNode(), device }), await connect(url, { ...asNode(), device })];
    const listed = gateway.sockets.list({ role: 'node' });
    expect(listed).toMatchObject([
      { deviceId: device.id, role: 'node', commands: ['a'], pathEnv: '/bin', platform: 'linux', clientMode: 'node', address: url.replace('ws:', 'http:') },
      { deviceId: device.id },
    ]);
    expect(gateway.sockets.list()).toHaveLength(3);
    expect(gateway.devices({ role: 'node' })).toMatchObject([{ deviceId: device.id, roles: ['node'] }]);
    expect(JSON.stringify(gateway.devices())).not.toMatch(/token|publicKey/);

    expect(gateway.sockets.sendTo({ deviceId: device.id }, 'fixture.one', 1)).toBe(2);
    expect(gateway.sockets.sendTo({ connId: listed[0]?.connId ?? '' }, 'fixture.two', 2)).toBe(1);
    expect(gateway.sockets.sendTo({ deviceId: device.id, role: 'operator' }, 'fixture.none', 0)).toBe(0);
    expect(gateway.sockets.sendTo({}, 'fixture.none', 0)).toBe(0);
    expect(await node.event('fixture.two')).toEqual({ type: 'event', event: 'fixture.two', payload: 2 });
    expect((await twin.event('fixture.one')).payload).toBe(1);
    expect(twin.frames.some(({ event }) => event === 'fixture.two')).toBe(false);
    expect(operator.frames.some(({ event }) => event?.startsWith('fixture.'))).toBe(false);

    node.raw.close();
    await node.closed;
    for (const remove of removers) remove();
    twin.raw.close();
    await twin.closed;
    await operator.call('health', {});
    expect(heard).toEqual(['+operator', '+node', '+node', '-node']);
  });
});
