import { describe, expect, it } from 'vitest';
import type { GatewaySettings } from '../../core/gateway/options.ts';
import { createGateway } from '../../core/gateway/server.ts';
import type { Contribution } from '../../core/kernel/generation.ts';
import { connect, newDevice, shake, startGateway, TOKEN } from './harness.ts';

const ui = { id: 'Durar-control-ui', version: '1', platform: 'web', mode: 'webchat' };
const ORIGIN = { origin: 'https://ui.example' };
const proxied: Pick<GatewaySettings, 'auth' | 'trustedProxies' | 'controlUi'> = {
  auth: { mode: 'trusted-proxy', trustedProxy: { userHeader: 'X-Forwarded-User', requiredHeaders: ['X-Forwarded-Proto'], allowUsers: ['ann@example.com'] } },
  trustedProxies: ['127.0.0.0/8'],
  controlUi: { allowedOrigins: ['https://ui.example'] },
};
const vouched = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https', 'x-forwarded-user': 'ann@example.com' };

/** A route that gateway auth guards. */
const ping = {
  kind: 'httpRoute',
  key: '/ping',
  owner: 'fixture',
  value: {
    path: '/ping',
    auth: 'gateway',
    match: 'exact',
    handler(_request: unknown, response: { end(text: string): void }) {
      response.end('pong');
      return true;
    },
  },
} as unknown as Contribution;

const detailsOf = async (url: string, spec: object, headers: Record<string, string> = {}) => {
  const { answer } = await shake(url, spec, { headers });
  return answer.ok === true ? { code: 'ok' } : (answer.error as { details: { code: string; authReason?: string; recommendedNextStep?: string } }).details;
};

describe('trusted-proxy mode', () => {
  it('lets in whom a configured proxy names, and nobody else (PROTO-332, GW-034, GW-083)', async () => {
    const { url } = await startGateway({ settings: proxied });
    const device = newDevice();
    const without = (name: string) => Object.fromEntries(Object.entries(vouched).filter(([key]) => key !== name));
    const refused = async (headers: Record<string, string>) => {
      const details = await detailsOf(url, { device }, headers);
      expect(details).toMatchObject({ code: 'AUTH_UNAUTHORIZED', recommendedNextStep: 'review_auth_configuration', canRetryWithDeviceToken: false });
      return details.authReason;
    };
    expect(await refused({})).toBe('trusted_proxy_header_missing');
    expect(await refused(without('x-forwarded-proto'))).toBe('trusted_proxy_header_missing');
    expect(await refused(without('x-forwarded-user'))).toBe('trusted_proxy_user_missing');
    expect(await refused({ ...vouched, 'x-forwarded-user': 'eve@example.com' })).toBe('trusted_proxy_user_not_allowed');
    // Whom the proxy names is authenticated; its device still has to be approved.
    expect(await detailsOf(url, { device, params: { auth: {} } }, vouched)).toMatchObject({ code: 'PAIRING_REQUIRED', reason: 'not-paired' });
    const strangers = await startGateway({ settings: { ...proxied, trustedProxies: ['198.51.100.7'] } });
    expect(await detailsOf(strangers.url, {}, vouched)).toMatchObject({ authReason: 'trusted_proxy_untrusted_source' });
  });

  it('takes nobody for local whom a proxy of this machine names, forwarded headers or not', async () => {
    const { auth, ...others } = proxied;
    const { url } = await startGateway({ settings: { ...others, auth: { ...auth, trustedProxy: { userHeader: 'X-Auth-User' } } } });
    expect(await detailsOf(url, { params: { auth: {} } }, { 'x-auth-user': 'ann@example.com' })).toMatchObject({ code: 'PAIRING_REQUIRED' });
  });

  it('takes the control UI without a device, and with one without approval (PROTO-376, PROTO-378)', async () => {
    const { url } = await startGateway({ settings: proxied });
    const headers = { ...vouched, ...ORIGIN };
    const { socket, answer } = await shake(url, { device: null, params: { client: ui, auth: {} } }, { headers });
    expect(answer.ok).toBe(true);
    expect((await socket.call('health', {})).ok).toBe(true);
    expect((await socket.call('status', {})).error).toMatchObject({ message: 'missing scope: operator.read' });
    const withDevice = await shake(url, { params: { client: ui, auth: {} } }, { headers });
    expect((await withDevice.socket.call('status', {})).ok).toBe(true);
    expect(withDevice.answer.payload).not.toHaveProperty('auth');
    expect(await detailsOf(url, { device: null, params: { auth: {} } }, vouched)).toMatchObject({ code: 'DEVICE_IDENTITY_REQUIRED' });
    expect(await detailsOf(url, { device: null, params: { client: ui } }, { ...ORIGIN })).toMatchObject({ code: 'AUTH_UNAUTHORIZED' });
  });

  it('guards the HTTP routes as well, and needs a proxy to start', async () => {
    const { url, options } = await startGateway({ settings: proxied, contributions: [ping] });
    const ask = async (headers: Record<string, string>) => (await fetch(`${url.replace('ws', 'http')}/ping`, { headers })).status;
    expect([await ask(vouched), await ask({}), await ask({ authorization: `Bearer ${TOKEN}` })]).toEqual([200, 401, 401]);
    const begin = (settings: Partial<GatewaySettings>) => createGateway({ ...options, settings: { ...options.settings, ...settings } }).listen();
    await expect(begin({ trustedProxies: [] })).rejects.toMatchObject({
      code: 'DUR_GATEWAY_PROXY_AUTH',
      message: expect.stringContaining('gateway.trustedProxies'),
    });
    await expect(begin({ auth: { mode: 'trusted-proxy' } })).rejects.toMatchObject({
      message: expect.stringContaining('gateway.auth.trustedProxy.userHeader'),
    });
  });
});

describe('mode none', () => {
  it('asks for nothing, but believes nobody behind an unknown proxy (PROTO-333)', async () => {
    const { url } = await startGateway({ settings: { auth: { mode: 'none' } } });
    expect(await detailsOf(url, { params: { auth: {} } })).toEqual({ code: 'ok' });
    expect(await detailsOf(url, { params: { auth: {} } }, { 'x-forwarded-for': '203.0.113.9' })).toMatchObject({
      code: 'AUTH_UNAUTHORIZED',
      authReason: 'unauthorized',
    });
    const page = { origin: 'http://localhost:5173' };
    const { answer } = await shake(url, { params: { client: ui, auth: {} } }, { headers: page });
    expect(answer.payload).not.toHaveProperty('auth');
  });
});

describe('Tailscale identity', () => {
  const served = {
    'x-forwarded-for': '100.64.0.9',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'host.example.ts.net',
    'tailscale-user-login': 'Ann@Example.com',
  };
  const start = (whois: (ip: string) => Promise<string | undefined>) =>
    startGateway({ settings: { auth: { mode: 'token', token: TOKEN, allowTailscale: true, tailscaleWhois: whois } }, contributions: [ping] });
  const anonymous = { params: { auth: {} } };

  it('stands for the shared secret when Tailscale confirms it (PROTO-330)', async () => {
    const asked: string[] = [];
    const { url } = await start(async (ip) => {
      asked.push(ip);
      return 'ann@example.com';
    });
    expect(await detailsOf(url, anonymous, served)).toMatchObject({ code: 'PAIRING_REQUIRED' });
    expect(await detailsOf(url, anonymous, served)).toMatchObject({ code: 'PAIRING_REQUIRED' });
    expect(asked).toEqual(['100.64.0.9']);
  });

  it('counts for nothing when the headers are forged, incomplete or not confirmed (PROTO-331)', async () => {
    const answers: Array<string | undefined | Error> = ['eve@example.com', undefined, new Error('no tailscale here')];
    const { url } = await start(async () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    });
    const reasonOf = async (headers: Record<string, string>, spec: object = anonymous) => {
      const { code, authReason } = await detailsOf(url, spec, headers);
      return [code, authReason];
    };
    const { 'tailscale-user-login': login, ...unnamed } = served;
    expect(await reasonOf(served)).toEqual(['AUTH_TAILSCALE_IDENTITY_MISMATCH', 'tailscale_user_mismatch']);
    expect(await reasonOf({ ...served, 'x-forwarded-for': '100.64.0.10' })).toEqual(['AUTH_TAILSCALE_WHOIS_FAILED', 'tailscale_whois_failed']);
    expect(await reasonOf({ ...served, 'x-forwarded-for': '100.64.0.11' })).toEqual(['AUTH_TAILSCALE_WHOIS_FAILED', 'tailscale_whois_failed']);
    expect(await reasonOf(unnamed)).toEqual(['AUTH_TAILSCALE_IDENTITY_MISSING', 'tailscale_user_missing']);
    expect(await reasonOf({ 'tailscale-user-login': login })).toEqual(['AUTH_TAILSCALE_PROXY_MISSING', 'tailscale_proxy_missing']);
    expect(await reasonOf(served, { params: { auth: { token: 'wrong' } } })).toEqual(['AUTH_TOKEN_MISMATCH', 'token_mismatch']);
    expect(await reasonOf({})).toEqual(['AUTH_TOKEN_MISSING', 'token_missing']);
    expect(await detailsOf(url, {})).toEqual({ code: 'ok' });
  });

  it('is not looked at unless it is switched on, and never over HTTP', async () => {
    const { url } = await startGateway();
    expect(await detailsOf(url, anonymous, served)).toMatchObject({ code: 'AUTH_TOKEN_MISSING' });
    const on = await start(async () => 'ann@example.com');
    expect((await fetch(`${on.url.replace('ws', 'http')}/ping`, { headers: served })).status).toBe(401);
  });
});

describe('the address of a client', () => {
  const remoteIp = async (settings: Partial<GatewaySettings>, headers: Record<string, string>) => {
    const { url } = await startGateway({ settings });
    const operator = await connect(url);
    await shake(url, { params: { scopes: ['operator.read'] } }, { headers });
    return ((await operator.event('device.pair.requested')).payload as { remoteIp: string }).remoteIp;
  };

  it('is what a trusted proxy says, its own hops left out', async () => {
    const trusted = { trustedProxies: ['127.0.0.1', '10.0.0.0/8', '::1'] };
    expect(await remoteIp(trusted, { 'x-forwarded-for': '198.51.100.1, 203.0.113.9, 10.1.2.3' })).toBe('203.0.113.9');
    expect(await remoteIp(trusted, { 'x-forwarded-for': '[2001:db8::9]:443' })).toBe('2001:db8::9');
    expect(await remoteIp(trusted, { 'x-forwarded-for': 'not-an-address' })).toBe('127.0.0.1');
    expect(await remoteIp(trusted, { 'x-real-ip': '203.0.113.9' })).toBe('127.0.0.1');
    expect(await remoteIp({ ...trusted, allowRealIpFallback: true }, { 'x-real-ip': '203.0.113.9' })).toBe('203.0.113.9');
    expect(await remoteIp({ trustedProxies: ['10.0.0.0/8', 'nonsense'] }, { 'x-forwarded-for': '203.0.113.9' })).toBe('127.0.0.1');
  });
});

describe('failed credentials', () => {
  it('are counted by class, with the configured numbers (PROTO-362)', async () => {
    const { url } = await startGateway({
      settings: { auth: { mode: 'token', token: TOKEN, rateLimit: { maxAttempts: 2, exemptLoopback: false, lockoutMs: 60_000 } } },
    });
    const device = newDevice();
    const paired = (await connect(url, { device })).hello as { auth: { deviceToken: string } };
    const codeOf = async (auth: object) => (await detailsOf(url, { device, params: { auth } })).code;
    expect([await codeOf({ token: 'wrong' }), await codeOf({}), await codeOf({ token: 'wrong' })]).toEqual([
      'AUTH_TOKEN_MISMATCH',
      'AUTH_TOKEN_MISSING',
      'AUTH_TOKEN_MISMATCH',
    ]);
    expect(await codeOf({ token: TOKEN })).toBe('AUTH_RATE_LIMITED');
    // A device's own token is another class.
    expect(await codeOf({ deviceToken: paired.auth.deviceToken })).toBe('ok');
    expect([await codeOf({ deviceToken: 'x' }), await codeOf({ deviceToken: 'x' }), await codeOf({ deviceToken: paired.auth.deviceToken })]).toEqual([
      'AUTH_DEVICE_TOKEN_MISMATCH',
      'AUTH_DEVICE_TOKEN_MISMATCH',
      'AUTH_RATE_LIMITED',
    ]);
  });

  it('of a server without a secret say whose configuration is incomplete (PROTO-363)', async () => {
    const { url } = await startGateway({ settings: { auth: { mode: 'token' } } });
    expect(await detailsOf(url, {})).toMatchObject({ code: 'AUTH_TOKEN_NOT_CONFIGURED', authReason: 'token_missing_config' });
    const open = await startGateway({ settings: { auth: { mode: 'password' } } });
    expect(await detailsOf(open.url, { params: { auth: { password: 'p' } } })).toMatchObject({ code: 'AUTH_PASSWORD_NOT_CONFIGURED' });
  });
});

describe('the control UI', () => {
  it('is excused from its device only where the operator broke the glass (PROTO-377, PROTO-378)', async () => {
    const { url } = await startGateway({ settings: { controlUi: { dangerouslyDisableDeviceAuth: true, allowedOrigins: ['https://ui.example'] } } });
    const remote = { ...ORIGIN, 'x-forwarded-for': '203.0.113.9' };
    const spec = { device: null, params: { client: ui } };
    const { socket, answer } = await shake(url, spec, { headers: remote });
    expect(answer.ok).toBe(true);
    expect((await socket.call('status', {})).ok).toBe(true);
    // Whatever device it sends is not looked at either.
    expect(await detailsOf(url, { params: { client: ui }, tamper: { signature: 'A'.repeat(86) } }, remote)).toEqual({ code: 'ok' });
    expect(await detailsOf(url, { device: null, params: { client: ui, auth: { token: 'wrong' } } }, remote)).toMatchObject({ code: 'AUTH_TOKEN_MISMATCH' });
    expect(await detailsOf(url, { device: null, params: { client: { ...ui, id: 'Durar-tui' } } }, remote)).toMatchObject({
      code: 'CONTROL_UI_DEVICE_IDENTITY_REQUIRED',
    });
    expect(await detailsOf(url, { device: null })).toMatchObject({ code: 'DEVICE_IDENTITY_REQUIRED' });
  });
});

describe('new rules', () => {
  it('count for the next connection; what cannot hold changes nothing (AMB-050)', async () => {
    const { gateway, url } = await startGateway({ settings: { controlUi: { allowedOrigins: ['https://ui.example'] } } });
    const open = await connect(url);
    const fail = () => detailsOf(url, { params: { client: ui, auth: { token: 'wrong' } } }, ORIGIN);
    for (let i = 0; i < 10; i += 1) await fail();
    gateway.configure({ auth: { mode: 'token', token: TOKEN }, controlUi: { allowedOrigins: ['https://other.example'] } });
    expect(await detailsOf(url, { params: { client: ui } }, ORIGIN)).toMatchObject({ code: 'CONTROL_UI_ORIGIN_NOT_ALLOWED' });
    gateway.configure({ auth: { mode: 'token', token: TOKEN }, controlUi: { allowedOrigins: ['https://ui.example'] } });
    expect(await fail()).toMatchObject({ code: 'AUTH_RATE_LIMITED' });
    gateway.configure({ auth: { mode: 'token', token: 'another-token' }, controlUi: { allowedOrigins: ['https://ui.example'] } });
    expect(await fail()).toMatchObject({ code: 'AUTH_TOKEN_MISMATCH' });
    expect(await detailsOf(url, {})).toMatchObject({ code: 'AUTH_TOKEN_MISMATCH' });
    expect(await detailsOf(url, { params: { auth: { token: 'another-token' } } })).toEqual({ code: 'ok' });
    expect(() => gateway.configure({ auth: { mode: 'trusted-proxy' } })).toThrow(expect.objectContaining({ code: 'DUR_GATEWAY_PROXY_AUTH' }));
    expect(await detailsOf(url, { params: { auth: { token: 'another-token' } } })).toEqual({ code: 'ok' });
    expect((await open.call('status', {})).ok).toBe(true);
  });
});
