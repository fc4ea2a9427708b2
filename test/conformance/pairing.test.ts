import { describe, expect, it } from 'vitest';
import { createDevices } from '../../core/gateway/devices.ts';
import { connect, newDevice, shake, startGateway } from './harness.ts';

const REMOTE = { headers: { 'x-forwarded-for': '203.0.113.9' } };
const phone = { id: 'Durar-ios', version: '1.2.3', platform: 'iOS 18.1', mode: 'ui', displayName: 'Example Phone', deviceFamily: 'iPhone' };

describe('devices', () => {
  it('asks for approval when the client is not direct (PROTO-369, PROTO-371, PROTO-373)', async () => {
    const { url } = await startGateway();
    const operator = await connect(url);
    const spec = { device: newDevice(), params: { client: phone, scopes: ['operator.read'] } };
    const { socket, answer } = await shake(url, spec, REMOTE);
    expect(answer.error).toMatchObject({ code: 'NOT_PAIRED', message: 'pairing required', details: { code: 'PAIRING_REQUIRED', reason: 'not-paired' } });
    expect(await socket.closed).toEqual({ code: 1008, reason: 'pairing required' });
    const requested = await operator.event('device.pair.requested');
    expect(requested.payload).toMatchObject({
      deviceId: spec.device.id,
      displayName: 'Example Phone',
      clientId: 'Durar-ios',
      role: 'operator',
      roles: ['operator'],
      scopes: ['operator.read'],
      silent: false,
      isRepair: false,
    });
    const { requestId } = requested.payload as { requestId: string };
    const again = await shake(url, spec, REMOTE);
    expect((again.answer.error as { details: unknown }).details).toMatchObject({ requestId });
    const wider = await shake(url, { ...spec, params: { ...spec.params, scopes: ['operator.write'] } }, REMOTE);
    expect((wider.answer.error as { details: { requestId: string } }).details.requestId).not.toBe(requestId);
    expect((await operator.event('device.pair.requested')).payload).toMatchObject({ scopes: ['operator.read', 'operator.write'] });
  });

  it('pairs a direct local device at once, and remembers it over a restart (PROTO-334, PROTO-370)', async () => {
    const first = await startGateway();
    const operator = await connect(first.url);
    const device = newDevice();
    const { auth } = (await connect(first.url, { device, params: { scopes: ['operator.read'] } })).hello as { auth: { deviceToken: string } };
    expect((await operator.event('device.pair.resolved')).payload).toMatchObject({ deviceId: device.id, decision: 'approved' });
    await first.gateway.close();
    const second = await startGateway({ stateDir: first.stateDir });
    const token = { deviceToken: auth.deviceToken, token: auth.deviceToken };
    await connect(second.url, { device, params: { scopes: ['operator.read'], auth: token } });
    const beyond = await shake(second.url, { device, params: { scopes: ['operator.write'], auth: token } });
    expect(beyond.answer.error).toMatchObject({ details: { code: 'AUTH_DEVICE_TOKEN_MISMATCH', authReason: 'device_token_mismatch' } });
    const other = await shake(second.url, { params: { scopes: ['operator.read'], auth: token } });
    expect(other.answer.error).toMatchObject({ details: { code: 'AUTH_DEVICE_TOKEN_MISMATCH' } });
  });

  it('never widens scopes or changes metadata in silence (PROTO-394)', async () => {
    const { url } = await startGateway();
    const device = newDevice();
    await connect(url, { device, params: { client: phone, scopes: ['operator.read'] } });
    const reasonOf = async (params: object) => {
      const { answer } = await shake(url, { device, params: { client: phone, scopes: ['operator.read'], ...params } });
      return (answer.error as { details: { reason: string } }).details.reason;
    };
    expect(await reasonOf({ scopes: ['operator.write'] })).toBe('scope-upgrade');
    expect(await reasonOf({ client: { ...phone, platform: 'iOS 19' } })).toBe('metadata-upgrade');
    await connect(url, { device, params: { client: { ...phone, platform: ' ios 18.1 ' }, scopes: ['operator.read'] } });
  });

  it('issues one token per device and role (PROTO-368)', async () => {
    const { url } = await startGateway();
    const device = newDevice();
    const operator = (await connect(url, { device })).hello as { auth: { deviceToken: string } };
    const node = (await connect(url, { device, params: { role: 'node', scopes: [] } })).hello as { auth: { deviceToken: string; scopes: string[] } };
    expect(node.auth.deviceToken).not.toBe(operator.auth.deviceToken);
    expect(node.auth.scopes).toEqual([]);
    const swapped = await shake(url, { device, params: { role: 'node', scopes: [], auth: { deviceToken: operator.auth.deviceToken } } });
    expect(swapped.answer.ok).toBe(false);
  });

  it('checks the origin of pages, and asks the control UI for a device (PROTO-375, PROTO-377, PROTO-378)', async () => {
    const ui = { id: 'Durar-control-ui', version: '1', platform: 'web', mode: 'webchat' };
    const local = { headers: { origin: 'http://localhost:5173' } };
    const evil = { headers: { origin: 'https://evil.example' } };
    const strict = await startGateway();
    const codeOf = async (url: string, spec: object, options?: object) => {
      const { answer } = await shake(url, spec, options);
      return answer.ok === true ? 'ok' : (answer.error as { details: { code: string } }).details.code;
    };
    expect(await codeOf(strict.url, { params: { client: ui } })).toBe('CONTROL_UI_ORIGIN_NOT_ALLOWED');
    expect(await codeOf(strict.url, {}, evil)).toBe('CONTROL_UI_ORIGIN_NOT_ALLOWED');
    expect(await codeOf(strict.url, { params: { client: ui } }, local)).toBe('ok');
    expect(await codeOf(strict.url, { device: null, params: { client: ui } }, local)).toBe('CONTROL_UI_DEVICE_IDENTITY_REQUIRED');
    const lax = await startGateway({ settings: { controlUi: { allowInsecureAuth: true, allowedOrigins: ['https://ui.example'] } } });
    expect(await codeOf(lax.url, { device: null, params: { client: ui } }, local)).toBe('ok');
    expect(await codeOf(lax.url, { device: null }, local)).toBe('DEVICE_IDENTITY_REQUIRED');
    const remote = { headers: { origin: 'https://ui.example', 'x-forwarded-for': '203.0.113.9' } };
    expect(await codeOf(lax.url, { device: null, params: { client: ui } }, remote)).toBe('CONTROL_UI_DEVICE_IDENTITY_REQUIRED');
  });

  it('locks an address after ten wrong secrets, for the right one too (PROTO-362)', async () => {
    const { url } = await startGateway();
    const page = { headers: { origin: 'http://localhost:5173' } };
    for (let i = 0; i < 10; i += 1) await shake(url, { params: { auth: { token: 'wrong' } } }, page);
    const { answer } = await shake(url, {}, page);
    expect(answer.error).toMatchObject({ details: { code: 'AUTH_RATE_LIMITED', recommendedNextStep: 'wait_then_retry' } });
    await connect(url);
  });

  it('serves the password mode and the open mode (PROTO-329, PROTO-333, PROTO-361)', async () => {
    const { url } = await startGateway({ settings: { auth: { mode: 'password', password: 'p' } } });
    await connect(url, { params: { auth: { password: 'p' } } });
    const wrong = await shake(url, { params: { auth: { password: 'q' } } });
    expect(wrong.answer.error).toMatchObject({ details: { code: 'AUTH_PASSWORD_MISMATCH', recommendedNextStep: 'update_auth_credentials' } });
    expect((await shake(url, { params: { auth: { token: 'p' } } })).answer.error).toMatchObject({ details: { code: 'AUTH_PASSWORD_MISSING' } });
    const open = await startGateway({ settings: { auth: { mode: 'none' } } });
    await connect(open.url, { params: { auth: {} } });
  });
});

describe('a helper on this machine', () => {
  const helper = { client: { id: 'gateway-client', version: '1', platform: 'linux', mode: 'backend' }, scopes: ['operator.read'] };

  it('calls with the shared secret without being paired, so that its device may ask for more later (PROTO-372, AMB-067)', async () => {
    const { url, options } = await startGateway();
    const device = newDevice();
    const probe = await connect(url, { device, params: { ...helper, client: { ...helper.client, id: 'cli', mode: 'probe' } } });
    expect(probe.hello).not.toHaveProperty('auth');
    const socket = await connect(url, { device, params: helper });
    expect(socket.hello).not.toHaveProperty('auth');
    expect((await socket.call('status')).ok).toBe(true);
    expect((await socket.call('chat.send', {})).error).toMatchObject({ message: 'missing scope: operator.write' });
    expect(createDevices(options.state).get(device.id)).toBeUndefined();
    const rows = (await socket.call('system-presence')).payload as Array<{ deviceId?: string }>;
    expect(rows.filter(({ deviceId }) => deviceId === device.id)).toHaveLength(1);
    expect((await connect(url, { device })).hello.auth).toMatchObject({ scopes: expect.arrayContaining(['operator.admin']) });
  });

  it('gets no more for its device than was approved', async () => {
    const { url, options } = await startGateway();
    const device = newDevice();
    const first = await connect(url, { device, params: { scopes: ['operator.read'] } });
    const greedy = await connect(url, { device, params: { ...helper, scopes: ['operator.admin'] } });
    expect(greedy.hello).not.toHaveProperty('auth');
    expect(createDevices(options.state).get(device.id)?.scopes).toEqual(['operator.read']);
    const token = (first.hello.auth as { deviceToken: string }).deviceToken;
    const back = await shake(url, { device, params: { auth: { deviceToken: token }, scopes: ['operator.admin'] } });
    expect(back.answer.ok).toBe(false);
  });

  it('is a device like any other behind a proxy, from a page, or without the secret', async () => {
    const { url } = await startGateway();
    const proxied = await shake(url, { params: helper }, { headers: { 'x-forwarded-for': '203.0.113.9' } });
    expect(proxied.answer.error).toMatchObject({ code: 'NOT_PAIRED' });
    const page = await shake(url, { params: helper }, { headers: { origin: 'http://localhost:5173' } });
    expect(page.answer.error).toMatchObject({ code: 'NOT_PAIRED' });
    const wrong = await shake(url, { params: { ...helper, auth: { token: 'wrong' } } });
    expect(wrong.answer.error).toMatchObject({ details: { code: 'AUTH_TOKEN_MISMATCH' } });
  });
});
