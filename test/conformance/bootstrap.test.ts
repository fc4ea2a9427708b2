import { describe, expect, it } from 'vitest';
import { createBootstrap } from '../../core/gateway/bootstrap.ts';
import { connect, newDevice, shake, startGateway, type TestGateway } from './harness.ts';

const REMOTE = { headers: { 'x-forwarded-for': '203.0.113.9' } };
const HANDED = ['operator.approvals', 'operator.read', 'operator.talk.secrets', 'operator.write'];
const node = {
  client: { id: 'Durar-ios', version: '1.2.3', platform: 'iOS 18.1', mode: 'node', deviceFamily: 'iPhone' },
  role: 'node' as const,
  scopes: [] as string[],
};

async function issue({ url }: TestGateway): Promise<string> {
  const operator = await connect(url);
  return ((await operator.call('device.bootstrap.issue', {})).payload as { bootstrapToken: string }).bootstrapToken;
}

describe('bootstrap tokens', () => {
  it('pair one node from elsewhere, with a bounded operator token beside it, once (PROTO-033 to PROTO-035, PROTO-343)', async () => {
    const gateway = await startGateway();
    const bootstrapToken = await issue(gateway);
    expect(bootstrapToken).toMatch(/^[\w-]{43}$/);
    const device = newDevice();
    const spec = { device, params: { ...node, auth: { bootstrapToken } } };
    const { answer } = await shake(gateway.url, spec, REMOTE);
    const { auth } = answer.payload as {
      auth: { role: string; scopes: string[]; deviceToken: string; deviceTokens: Array<{ deviceToken: string; role: string; scopes: string[] }> };
    };
    expect(auth).toMatchObject({ role: 'node', scopes: [], deviceTokens: [{ role: 'operator', scopes: HANDED, issuedAtMs: expect.any(Number) }] });
    expect((await shake(gateway.url, spec, REMOTE)).answer.error).toMatchObject({ details: { code: 'AUTH_BOOTSTRAP_TOKEN_INVALID' } });

    const ui = { ...node.client, mode: 'ui' };
    const operatorToken = auth.deviceTokens[0]?.deviceToken ?? '';
    const handed = await shake(gateway.url, { device, params: { client: ui, scopes: HANDED, auth: { deviceToken: operatorToken } } }, REMOTE);
    expect(handed.answer).toMatchObject({ ok: true });
    expect((handed.answer.payload as { auth: object }).auth).not.toHaveProperty('deviceTokens');
    const beyond = await shake(gateway.url, { device, params: { client: ui, scopes: ['operator.admin'], auth: { deviceToken: operatorToken } } }, REMOTE);
    expect(beyond.answer.error).toMatchObject({ details: { code: 'AUTH_DEVICE_TOKEN_MISMATCH' } });
  });

  it('carry scopes of the role that asks, and no others (PROTO-036, PROTO-037)', async () => {
    const gateway = await startGateway();
    const bootstrapToken = await issue(gateway);
    const codeOf = async (params: object) => {
      const { answer } = await shake(gateway.url, { params: { ...node, ...params, auth: { bootstrapToken } } }, REMOTE);
      return (answer.error as { details: { code: string } } | undefined)?.details.code;
    };
    expect(await codeOf({ scopes: ['operator.read'] })).toBe('AUTH_BOOTSTRAP_TOKEN_INVALID');
    expect(await codeOf({ scopes: ['node.x'] })).toBe('AUTH_BOOTSTRAP_TOKEN_INVALID');
    expect(await codeOf({ role: 'operator', scopes: ['operator.admin'] })).toBe('AUTH_BOOTSTRAP_TOKEN_INVALID');
    // An operator is asked about like any other device from elsewhere.
    expect(await codeOf({ role: 'operator', scopes: ['operator.read'] })).toBe('PAIRING_REQUIRED');
  });

  it('belong to the device that used them first, for ten minutes, over a restart; only a hash is kept', async () => {
    const { options } = await startGateway();
    let now = 1_000_000;
    const claim = { deviceId: 'a', publicKey: 'k', role: 'node' as const, scopes: [] };
    const { bootstrapToken, expiresAtMs } = createBootstrap(options.state, () => now).issue();
    expect(expiresAtMs).toBe(now + 600_000);
    const bootstrap = createBootstrap(options.state, () => now);
    expect(bootstrap.check(bootstrapToken, claim)).toBe(true);
    expect(bootstrap.check(bootstrapToken, { ...claim, deviceId: 'b' })).toBe(false);
    expect(bootstrap.check(bootstrapToken, { ...claim, publicKey: 'other' })).toBe(false);
    expect(bootstrap.check(bootstrapToken, claim)).toBe(true);
    now += 600_000;
    expect(bootstrap.check(bootstrapToken, claim)).toBe(false);
    expect(JSON.stringify(options.state.db.all('SELECT * FROM bootstrap_tokens'))).not.toContain(bootstrapToken);
  });

  it('are handed out only by whoever holds what they bring', async () => {
    const { url } = await startGateway();
    const limited = await connect(url, { params: { scopes: ['operator.pairing', 'operator.write', 'operator.approvals'] } });
    expect((await limited.call('device.bootstrap.issue', {})).error).toMatchObject({ message: 'missing scope: operator.talk.secrets' });
    const reader = await connect(url, { params: { scopes: ['operator.read'] } });
    expect((await reader.call('device.bootstrap.issue', {})).error).toMatchObject({ message: 'missing scope: operator.pairing' });
  });

  it('are guessed at a limited number of times', async () => {
    const { url } = await startGateway({ settings: { auth: { mode: 'token', token: 't', rateLimit: { maxAttempts: 3 } } } });
    const guess = async () => {
      const { answer } = await shake(url, { params: { ...node, auth: { bootstrapToken: 'guess' } } }, REMOTE);
      return (answer.error as { details: { code: string } }).details.code;
    };
    expect([await guess(), await guess(), await guess(), await guess()]).toEqual([...Array(3).fill('AUTH_BOOTSTRAP_TOKEN_INVALID'), 'AUTH_RATE_LIMITED']);
  });
});
