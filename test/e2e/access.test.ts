import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { connectParamsFor, dial, newDevice, type TestDevice } from '../conformance/harness.ts';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

const TOKEN = 'a-token-of-this-test';
const REMOTE = { headers: { 'x-forwarded-for': '203.0.113.9' } };
const phone = { id: 'Durar-ios', version: '1.2.3', platform: 'iOS 18.1', mode: 'ui', displayName: 'Example \u001b[31mPhone' };
const local = (gateway: object = {}) => ({ gateway: { mode: 'local', auth: { token: TOKEN }, ...gateway } });

let machine: Machine;
afterEach(() => machine.remove());

/** Connects from elsewhere, as far as the gateway can tell. */
async function enter(gateway: GatewayProcess, device: TestDevice, params: object) {
  const socket = await dial(gateway.url, REMOTE);
  const { nonce } = (await socket.event('connect.challenge')).payload as { nonce: string };
  const answer = await socket.call(
    'connect',
    connectParamsFor(nonce, { device, params: { client: phone, scopes: ['operator.read'], auth: { token: TOKEN }, ...params } }),
  );
  return { socket, answer };
}

describe('durar devices', () => {
  it('lists, approves, rotates, revokes and removes; and does so without a gateway (PROTO-201 to PROTO-206)', async () => {
    machine = await createMachine(local());
    const gateway = await machine.start();
    const device = newDevice();
    await enter(gateway, device, {});

    const unclear = await machine.cli(['devices', 'approve']);
    expect(unclear).toMatchObject({ code: 2, stderr: expect.stringContaining('add --latest') });
    const text = (await machine.cli(['devices', 'list'])).stdout;
    expect(text).toContain(device.id.slice(0, 16));
    expect(text).not.toContain('\u001b[31m');
    const { pending } = (await machine.cli(['devices', 'list', '--json'])).json<{ pending: Array<{ deviceId: string }> }>();
    expect(pending).toMatchObject([{ deviceId: device.id, scopes: ['operator.read'] }]);
    expect((await machine.cli(['devices', 'approve', '--latest', '--json'])).json()).toMatchObject({ device: { deviceId: device.id } });

    const { socket, answer } = await enter(gateway, device, {});
    expect(answer.ok).toBe(true);
    const short = device.id.slice(0, 12);
    const rotated = await machine.cli(['devices', 'rotate', '--device', short, '--role', 'operator', '--scope', 'operator.read']);
    const deviceToken = rotated.stdout.trim();
    expect(deviceToken).toMatch(/^[\w-]{43}$/);
    expect(await socket.closed).toEqual({ code: 4001, reason: 'device removed' });
    expect((await enter(gateway, device, { auth: { deviceToken } })).answer.ok).toBe(true);
    expect((await machine.cli(['devices', 'revoke', '--device', short, '--role', 'operator'])).code).toBe(0);
    expect((await enter(gateway, device, { auth: { deviceToken } })).answer.ok).toBe(false);

    await enter(gateway, device, {});
    await gateway.stop();
    // The question that was open is open still, and the owner of the state may answer it.
    expect((await machine.cli(['devices', 'approve', '--latest'])).stdout).toContain('Approved');
    expect((await machine.cli(['devices', 'remove', short])).code).toBe(0);
    expect((await machine.cli(['devices', 'remove', short])).stderr).toContain(`no paired device has the id '${short}'`);
    expect((await machine.cli(['devices', 'clear'])).code).toBe(2);
    expect((await machine.cli(['devices', 'clear', '--yes', '--pending', '--json'])).json()).toMatchObject({ removed: [expect.any(String)], rejected: [] });
    expect((await machine.cli(['devices', 'list'])).stdout).toContain('No device is paired');
  });

  it('prints a setup code, by which one node pairs itself over a restart (PROTO-033)', async () => {
    machine = await createMachine(local());
    expect(await machine.cli(['pairing', 'bootstrap'])).toMatchObject({ code: 1, stderr: expect.stringContaining('DUR_GATEWAY_UNREACHABLE') });
    await (await machine.start()).stop();
    const { stdout } = await machine.cli(['pairing', 'bootstrap', '--public-url', 'https://gateway.example:8443']);
    const { url, bootstrapToken } = JSON.parse(Buffer.from(stdout.trim(), 'base64url').toString()) as { url: string; bootstrapToken: string };
    expect(stdout.trim()).toMatch(/^[\w-]+$/);
    expect(url).toBe('wss://gateway.example:8443');
    const gateway = await machine.start();
    const { answer } = await enter(gateway, newDevice(), { client: { ...phone, mode: 'node' }, role: 'node', scopes: [], auth: { bootstrapToken } });
    expect(answer.payload).toMatchObject({ auth: { role: 'node', scopes: [], deviceTokens: [{ role: 'operator' }] } });
  });
});

describe('durar gateway run', () => {
  const refusals: Array<[string, object, string[], string]> = [
    ['an open address without auth (GW-159)', local(), ['--bind', 'lan', '--auth', 'none'], 'refusing to bind gateway to 0.0.0.0:'],
    ['two secrets and no mode', local({ auth: { token: 'a', password: 'b' } }), [], 'gateway.auth has a token and a password but no mode'],
    [
      'a proxy mode without a proxy',
      local({ auth: { mode: 'trusted-proxy', trustedProxy: { userHeader: 'x-user' } } }),
      [],
      'gateway.trustedProxies is not set',
    ],
    ['TLS without its files', local({ tls: { enabled: true, autoGenerate: false } }), [], 'gateway-cert.pem'],
    ['the configuration of a client (GW-161)', { gateway: { mode: 'remote' } }, [], 'Gateway start blocked: set gateway.mode=local'],
  ];
  it.each(refusals)('refuses %s', async (_name, config, args, message) => {
    machine = await createMachine(config);
    const { code, stderr } = await machine.cli(['gateway', 'run', '--port', '0', ...args]);
    expect(stderr).toContain(message);
    expect(code).toBe(1);
  });

  it('serves TLS with a certificate of its own, which its commands know and others pin (PROTO-395 to PROTO-398)', async () => {
    machine = await createMachine(local({ tls: { enabled: true } }));
    const gateway = await machine.start();
    const { url, tlsFingerprint = '' } = gateway.report;
    expect(url).toMatch(/^wss:/);
    expect(tlsFingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect((await machine.cli(['health'])).code).toBe(0);
    const there = ['health', '--url', url, '--token', TOKEN];
    expect((await machine.cli([...there, '--tls-fingerprint', tlsFingerprint])).code).toBe(0);
    expect((await machine.cli([...there, '--tls-fingerprint', 'ab'.repeat(32)])).stderr).toContain('DUR_GATEWAY_TLS_PIN');
    expect((await machine.cli(there)).stderr).toContain('self-signed');

    const client = await createMachine({ gateway: { mode: 'remote', remote: { url, token: TOKEN, tlsFingerprint } } });
    try {
      expect((await client.cli(['health', '--json'])).json()).toMatchObject({ ok: true });
      await client.writeConfig({ gateway: { mode: 'remote', remote: { url, token: TOKEN, tlsFingerprint: 'ab'.repeat(32) } } });
      expect((await client.cli(['health'])).stderr).toContain('DUR_GATEWAY_TLS_PIN');
    } finally {
      await client.remove();
    }
  });

  it('takes limits from its environment, and tells what is open', async () => {
    machine = await createMachine(local({ auth: { mode: 'none' }, controlUi: { dangerouslyDisableDeviceAuth: true } }));
    const gateway = await machine.start({ env: { Durar_HANDSHAKE_TIMEOUT_MS: '150', Durar_MAX_PREAUTH_CONNECTIONS_PER_IP: '1' } });
    const first = await dial(gateway.url);
    await expect(dial(gateway.url)).rejects.toThrow('503');
    expect(await first.closed).toEqual({ code: 1000, reason: '' });
    expect(gateway.output()).toContain('gateway.auth.mode is none');
    const { stdout } = await machine.cli(['doctor']);
    expect(stdout).toContain('gateway.controlUi.dangerouslyDisableDeviceAuth is on');
  });
});

describe('a running gateway', () => {
  it('asks for a new token as soon as it is set', async () => {
    machine = await createMachine(local());
    const gateway = await machine.start();
    expect((await machine.cli(['config', 'set', 'gateway.auth.token', 'the-next-token'])).code).toBe(0);
    const status = async (token: string) => (await enter(gateway, newDevice(), { auth: { token } })).answer.error as { details: { code: string } };
    await until(async () => (await status(TOKEN)).details.code === 'AUTH_TOKEN_MISMATCH', 'the refusal of the old token');
    expect((await status('the-next-token')).details.code).toBe('PAIRING_REQUIRED');
    expect((await machine.cli(['health'])).code).toBe(0);
  });
});

describe('commands', () => {
  it('enter beside a proxy by the token of their device', async () => {
    machine = await createMachine(local());
    const first = await machine.start();
    expect((await machine.cli(['health'])).code).toBe(0);
    await first.stop();
    await machine.writeConfig(local({ trustedProxies: ['192.0.2.1'], auth: { mode: 'trusted-proxy', trustedProxy: { userHeader: 'x-user' } } }));
    await machine.start();
    expect((await machine.cli(['devices', 'list', '--json'])).json<{ paired: unknown[] }>().paired).toHaveLength(1);
  });

  it('say how a device is approved that may not enter yet', async () => {
    machine = await createMachine(local());
    const gateway = await machine.start();
    const proxy = createServer((incoming) => {
      const outgoing = connectTcp(gateway.port, '127.0.0.1');
      incoming.once('data', (head) => outgoing.write(String(head).replace('\r\n', '\r\nX-Forwarded-For: 203.0.113.9\r\n')));
      incoming.once('data', () => incoming.pipe(outgoing));
      outgoing.pipe(incoming);
      for (const socket of [incoming, outgoing]) socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void proxy.close());
    const url = `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const client = await createMachine();
    onTestFinished(() => client.remove());
    const health = () => client.cli(['health', '--url', url, '--token', TOKEN]);
    const refused = await health();
    expect(refused.code).toBe(1);
    const command = /durar (devices approve [\w-]{36})/.exec(refused.stderr)?.[1] ?? '';
    expect((await machine.cli(command.split(' '))).stdout).toContain('Approved');
    expect((await health()).code).toBe(0);
  });

  it('send no credential in plain text to another machine unless told so', async () => {
    machine = await createMachine(local());
    const args = ['health', '--url', 'ws://192.0.2.1:9', '--token', TOKEN, '--timeout', '300'];
    expect((await machine.cli(args)).stderr).toContain('DUR_GATEWAY_PLAINTEXT');
    const allowed = await machine.cli(args, { env: { Durar_ALLOW_INSECURE_PRIVATE_WS: '1' } });
    expect(allowed.stderr).toMatch(/DUR_GATEWAY_(TIMEOUT|UNREACHABLE)/);
  });
});
