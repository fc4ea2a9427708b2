import { describe, expect, it } from 'vitest';
import { createDevices } from '../../core/gateway/devices.ts';
import { openState } from '../../core/state/state.ts';
import { connect, newDevice, type Socket, shake, startGateway, type TestDevice } from './harness.ts';

const REMOTE = { headers: { 'x-forwarded-for': '203.0.113.9' } };
const phone = { id: 'Durar-ios', version: '1.2.3', platform: 'iOS 18.1', mode: 'ui', displayName: 'Example Phone', deviceFamily: 'iPhone' };
const LIMITED = ['operator.read', 'operator.pairing'];

interface Listed {
  pending: Array<{ requestId: string; deviceId: string; roles: string[]; scopes: string[]; isRepair: boolean; remoteIp?: string }>;
  paired: Array<{ deviceId: string; roles: string[]; scopes: string[]; tokens: Array<Record<string, unknown>> }>;
}
const list = async (socket: Socket) => (await socket.call('device.pair.list', {})).payload as Listed;
const tokenOf = (socket: { hello: Record<string, unknown> }) => (socket.hello as { auth: { deviceToken: string } }).auth.deviceToken;

/** Asks from elsewhere and returns the request that this leaves. */
async function ask(url: string, device: TestDevice, params: object = {}): Promise<{ requestId: string; reason: string }> {
  const { answer } = await shake(url, { device, params: { client: phone, scopes: ['operator.read'], ...params } }, REMOTE);
  return (answer.error as { details: { requestId: string; reason: string } }).details;
}

describe('pairing requests', () => {
  it('are kept while the question is the same, and replaced by their union when it is another (PROTO-201)', async () => {
    const { url } = await startGateway();
    const operator = await connect(url);
    const device = newDevice();
    const first = await ask(url, device);
    expect((await ask(url, device)).requestId).toBe(first.requestId);
    const wider = await ask(url, device, { scopes: ['operator.write'] });
    expect(wider.requestId).not.toBe(first.requestId);
    expect((await ask(url, device, { scopes: ['operator.read'] })).requestId).toBe(wider.requestId);
    const both = await ask(url, device, { role: 'node', scopes: [] });
    const { pending } = await list(operator);
    expect(pending).toMatchObject([
      { requestId: both.requestId, roles: ['operator', 'node'], scopes: ['operator.read', 'operator.write'], isRepair: false, remoteIp: '127.0.0.1' },
    ]);
    const announced = operator.frames.filter(({ event }) => event === 'device.pair.requested');
    expect(announced).toHaveLength(3);
    expect((await operator.call('device.pair.approve', { requestId: first.requestId })).error).toMatchObject({ message: 'unknown requestId' });
    await operator.call('device.pair.approve', { requestId: both.requestId });
    expect((await list(operator)).paired.find(({ deviceId }) => deviceId === device.id)).toMatchObject({
      roles: ['operator', 'node'],
      tokens: [
        { role: 'node', scopes: [] },
        { role: 'operator', scopes: ['operator.read', 'operator.write'] },
      ],
    });
  });

  it('live for 300 s, survive a restart, and are bounded', async () => {
    const { stateDir, options } = await startGateway();
    let now = 1_000_000;
    const devices = createDevices(options.state, () => now);
    const claim = (id: string) => ({ deviceId: id, publicKey: 'k', clientId: 'c', clientMode: 'ui', role: 'operator' as const, scopes: [] });
    const { request } = devices.request(claim('a'));
    now += 299_000;
    const reopened = openState({ dir: `${stateDir}/state` });
    expect(createDevices(reopened, () => now).findRequest(request.requestId)).toEqual(request);
    reopened.close();
    expect(devices.request(claim('a'))).toMatchObject({ created: false, request: { requestId: request.requestId } });
    now += 300_001;
    expect(devices.findRequest(request.requestId)).toBeUndefined();
    expect(devices.hasPending('a')).toBe(false);
    for (let i = 0; i < 230; i += 1) {
      now += 1;
      devices.request(claim(`device-${i}`));
    }
    expect(devices.pending()).toHaveLength(200);
    expect(devices.pending()[0]?.deviceId).toBe('device-229');
  });

  it('of a paired device are repairs; roles of a device that somebody is asked about are not granted in silence', async () => {
    const { url } = await startGateway();
    const operator = await connect(url);
    const device = newDevice();
    await connect(url, { device, params: { client: phone, scopes: ['operator.read'] } });
    const { requestId, reason } = await ask(url, device, { scopes: ['operator.write'] });
    expect(reason).toBe('scope-upgrade');
    expect((await list(operator)).pending).toMatchObject([{ requestId, isRepair: true }]);
    const { answer } = await shake(url, { device, params: { client: phone, role: 'node', scopes: [] } });
    expect(answer.error).toMatchObject({ details: { code: 'PAIRING_REQUIRED', reason: 'role-upgrade' } });
  });

  it('are approved only by whoever holds what they ask for (PROTO-059, PROTO-202)', async () => {
    const { url } = await startGateway();
    const reader = await connect(url, { params: { scopes: ['operator.read', 'operator.write'] } });
    const limited = await connect(url, { params: { scopes: LIMITED } });
    const { requestId } = await ask(url, newDevice(), { scopes: ['operator.read', 'operator.write'] });
    expect((await reader.call('device.pair.approve', { requestId })).error).toMatchObject({ message: 'missing scope: operator.pairing' });
    expect((await limited.call('device.pair.approve', { requestId })).error).toMatchObject({ message: 'missing scope: operator.write' });
    expect(reader.frames.some(({ event }) => event?.startsWith('device.pair.'))).toBe(false);
    const admin = await connect(url);
    expect((await admin.call('device.pair.approve', { requestId })).ok).toBe(true);
  });

  it('are rejected for good, until the device asks again (PROTO-203)', async () => {
    const { url } = await startGateway();
    const operator = await connect(url);
    const device = newDevice();
    const { requestId } = await ask(url, device);
    expect((await operator.call('device.pair.reject', { requestId })).payload).toEqual({ requestId, deviceId: device.id });
    const event = await operator.next((frame) => frame.event === 'device.pair.resolved' && (frame.payload as { deviceId: string }).deviceId === device.id);
    expect(event.payload).toMatchObject({ requestId, decision: 'rejected', ts: expect.any(Number) });
    expect((await operator.call('device.pair.reject', { requestId })).error).toMatchObject({ code: 'INVALID_REQUEST', message: 'unknown requestId' });
    expect((await ask(url, device)).requestId).not.toBe(requestId);
  });
});

describe('device tokens', () => {
  it('end with their device, whose sockets close (PROTO-204)', async () => {
    const { url } = await startGateway();
    const operator = await connect(url);
    const device = newDevice();
    const held = await connect(url, { device, params: { scopes: ['operator.read'] } });
    const token = tokenOf(held);
    expect((await operator.call('device.pair.remove', { deviceId: device.id })).payload).toEqual({ deviceId: device.id });
    expect(await held.closed).toEqual({ code: 4001, reason: 'device removed' });
    const again = await shake(url, { device, params: { scopes: ['operator.read'], auth: { deviceToken: token } } });
    expect(again.answer.error).toMatchObject({ details: { code: 'AUTH_DEVICE_TOKEN_MISMATCH' } });
  });

  it('are rotated within what was approved; the old one ends at once (PROTO-205, PROTO-350, PROTO-355)', async () => {
    const { url } = await startGateway();
    const operator = await connect(url);
    const device = newDevice();
    const held = await connect(url, { device, params: { scopes: ['operator.read', 'operator.write'] } });
    const old = tokenOf(held);
    const rotate = (socket: Socket, params: object) => socket.call('device.token.rotate', { deviceId: device.id, role: 'operator', ...params });
    const denied = { code: 'INVALID_REQUEST', message: 'device token rotation denied' };
    for (const params of [{ scopes: ['operator.admin'] }, { role: 'node' }, { role: 'root' }, { deviceId: 'zz' }, { scopes: ['node.x'] }]) {
      expect((await rotate(operator, params)).error).toEqual(denied);
    }
    const limited = await connect(url, { params: { scopes: LIMITED } });
    expect((await rotate(limited, { scopes: ['operator.write'] })).error).toEqual(denied);
    expect((await rotate(limited, {})).error).toEqual(denied);
    const { payload } = await rotate(limited, { scopes: ['operator.read'] });
    const { token, ...told } = payload as { token: string };
    expect(told).toEqual({ deviceId: device.id, role: 'operator', scopes: ['operator.read'], rotatedAtMs: expect.any(Number) });
    expect(await held.closed).toEqual({ code: 4001, reason: 'device removed' });
    const enter = async (deviceToken: string, scopes: string[]) => (await shake(url, { device, params: { scopes, auth: { deviceToken } } })).answer.ok;
    expect([await enter(old, ['operator.read']), await enter(token, ['operator.read']), await enter(token, ['operator.write'])]).toEqual([false, true, false]);
  });

  it('are revoked per role, and come back only by approval or on this machine (PROTO-206, PROTO-368)', async () => {
    const { url } = await startGateway();
    const operator = await connect(url);
    const device = newDevice();
    const asOperator = await connect(url, { device, params: { scopes: ['operator.read'] } });
    const asNode = await connect(url, { device, params: { role: 'node', scopes: [] } });
    const { payload } = await operator.call('device.token.revoke', { deviceId: device.id, role: 'node' });
    expect(payload).toEqual({ deviceId: device.id, role: 'node', revokedAtMs: expect.any(Number) });
    expect(await asNode.closed).toEqual({ code: 4001, reason: 'device removed' });
    expect((await asOperator.call('health', {})).ok).toBe(true);
    const { answer } = await shake(url, { device, params: { role: 'node', scopes: [], auth: { deviceToken: tokenOf(asNode) } } });
    expect(answer.error).toMatchObject({ details: { code: 'AUTH_DEVICE_TOKEN_MISMATCH' } });
    expect((await operator.call('device.token.rotate', { deviceId: device.id, role: 'node' })).error).toMatchObject({
      message: 'device token rotation denied',
    });
    expect((await ask(url, device, { client: { id: 'cli', version: '1.2.3', platform: 'linux', mode: 'cli' }, role: 'node', scopes: [] })).reason).toBe(
      'role-upgrade',
    );
    for (const params of [
      { deviceId: 'zz', role: 'node' },
      { deviceId: device.id, role: 'root' },
    ]) {
      expect((await operator.call('device.token.revoke', params)).error).toMatchObject({ message: 'unknown deviceId/role' });
    }
  });

  it('open sessions that manage their own device only (PROTO-348, PROTO-349, PROTO-351 to PROTO-354)', async () => {
    const { url } = await startGateway();
    const device = newDevice();
    const other = newDevice();
    await connect(url, { device: other, params: { scopes: ['operator.read'] } });
    const paired = await connect(url, { device, params: { scopes: LIMITED } });
    const own = { device, params: { scopes: LIMITED, auth: { deviceToken: tokenOf(paired) } } };
    const session = await connect(url, own);
    const attempts: Array<[string, object, string]> = [
      ['device.pair.remove', {}, 'device pairing removal denied'],
      ['device.token.rotate', { role: 'operator' }, 'device token rotation denied'],
      ['device.token.revoke', { role: 'operator' }, 'device token revocation denied'],
    ];
    for (const [method, params, message] of attempts) {
      expect((await session.call(method, { deviceId: other.id, ...params })).error).toEqual({ code: 'INVALID_REQUEST', message });
    }
    const reader = await connect(url, { params: { scopes: ['operator.read', 'operator.write'] } });
    for (const [method, params] of attempts) {
      expect((await reader.call(method, { deviceId: other.id, ...params })).error).toMatchObject({ message: 'missing scope: operator.pairing' });
    }
    const rotated = (await session.call('device.token.rotate', { deviceId: device.id, role: 'operator' })).payload as { token: string };
    expect(await session.closed).toEqual({ code: 4001, reason: 'device removed' });
    const next = await connect(url, { ...own, params: { ...own.params, auth: { deviceToken: rotated.token } } });
    expect((await next.call('device.pair.remove', { deviceId: device.id })).payload).toEqual({ deviceId: device.id });

    const admin = newDevice();
    const first = await connect(url, { device: admin });
    const everything = await connect(url, { device: admin, params: { auth: { deviceToken: tokenOf(first) } } });
    expect((await everything.call('device.pair.remove', { deviceId: other.id })).ok).toBe(true);
  });

  it('are listed without their values, with the time of their last use, which survives a stop', async () => {
    const first = await startGateway();
    const device = newDevice();
    const paired = await connect(first.url, { device });
    const entry = async (socket: Socket) => (await list(socket)).paired.find(({ deviceId }) => deviceId === device.id)?.tokens[0];
    expect(await entry(paired)).not.toHaveProperty('lastUsedAtMs');
    const session = await connect(first.url, { device, params: { auth: { deviceToken: tokenOf(paired) } } });
    const used = await entry(session);
    expect(used).toMatchObject({ role: 'operator', lastUsedAtMs: expect.any(Number) });
    expect(JSON.stringify(await list(session))).not.toContain(tokenOf(paired));
    await first.gateway.close();
    const second = await startGateway({ stateDir: first.stateDir });
    const back = await connect(second.url, { device, params: { scopes: LIMITED, auth: { deviceToken: tokenOf(paired) } } });
    expect((await entry(back))?.createdAtMs).toBe(used?.createdAtMs);
    expect((await entry(back))?.lastUsedAtMs).toBeGreaterThanOrEqual(used?.lastUsedAtMs as number);
  });

  it('are asked for by name: unknown keys and empty ids are refused', async () => {
    const { url } = await startGateway();
    const operator = await connect(url);
    expect((await operator.call('device.pair.remove', { deviceId: '' })).error).toMatchObject({
      message: expect.stringContaining('invalid device.pair.remove params'),
    });
    expect((await operator.call('device.pair.list', { all: true })).error).toMatchObject({
      message: "invalid device.pair.list params: at root: unexpected property 'all'",
    });
    expect((await operator.call('device.pair.remove', { deviceId: 'zz' })).error).toEqual({ code: 'INVALID_REQUEST', message: 'unknown deviceId' });
  });
});

describe('the metadata of a device', () => {
  it('is pinned: another platform needs approval, and the paired one counts until then (PROTO-394, AMB-076)', async () => {
    const { url } = await startGateway();
    const operator = await connect(url);
    const device = newDevice();
    await connect(url, { device, params: { client: phone, scopes: ['operator.read'] } });
    const spelled = await connect(url, { device, params: { client: { ...phone, platform: ' IOS 18.1 ' }, scopes: ['operator.read'] } });
    const rows = (spelled.hello as { snapshot: { presence: Array<{ deviceId?: string; platform: string }> } }).snapshot.presence;
    expect(rows.find(({ deviceId }) => deviceId === device.id)?.platform).toBe('iOS 18.1');
    const changed = { client: { ...phone, platform: 'iOS 19' } };
    const { requestId, reason } = await ask(url, device, changed);
    expect(reason).toBe('metadata-upgrade');
    await operator.call('device.pair.approve', { requestId });
    expect((await shake(url, { device, params: { ...changed, scopes: ['operator.read'] } }, REMOTE)).answer.ok).toBe(true);
    expect((await ask(url, device)).reason).toBe('metadata-upgrade');
  });
});
