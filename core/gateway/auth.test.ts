import { describe, expect, it } from 'vitest';
import { createAuth, isSameSecret } from './auth.ts';
import { isLoopback, type Peer } from './peer.ts';

const remote: Peer = { ip: '203.0.113.9', local: false, origin: undefined, host: undefined };
const local: Peer = { ip: '127.0.0.1', local: true, origin: undefined, host: undefined };
const page: Peer = { ...local, origin: 'http://localhost' };

describe('auth', () => {
  it('asks for the credential of its mode only', () => {
    const token = createAuth({ mode: 'token', token: 't', password: 'p' });
    expect([token.check({ token: 't' }), token.check({ token: 'x' }), token.check({ password: 'p' })]).toEqual([undefined, 'token_mismatch', 'token_missing']);
    expect(createAuth({ mode: 'token' }).check({ token: 't' })).toBe('token_missing_config');
    expect(createAuth({ mode: 'password', password: 'p' }).check({ password: '' })).toBe('password_missing');
    expect(createAuth({ mode: 'none' }).check({})).toBeUndefined();
    expect([isSameSecret('a', 'a'), isSameSecret('a', 'ab'), isSameSecret('', 'a')]).toEqual([true, false, false]);
  });

  it('locks an address after the failures of one window, and lets it go after the lock', () => {
    let now = 0;
    const auth = createAuth({ mode: 'token', token: 't', rateLimit: { maxAttempts: 3, windowMs: 100, lockoutMs: 1000 } }, () => now);
    const fail = (times: number, peer = remote) => {
      for (let i = 0; i < times; i += 1) auth.countFailure('shared-secret', peer);
    };
    fail(2);
    now = 150;
    fail(2);
    expect(auth.isLocked('shared-secret', remote)).toBe(false);
    fail(1);
    expect(auth.isLocked('shared-secret', remote)).toBe(true);
    expect(auth.isLocked('device-token', remote)).toBe(false);
    expect(auth.checkBearer('Bearer t', remote)).toBe('locked');
    now = 1151;
    expect(auth.checkBearer('Bearer t', remote)).toBe('accepted');
    fail(5, local);
    expect(auth.isLocked('shared-secret', local)).toBe(false);
    fail(5, page);
    expect(auth.isLocked('shared-secret', page)).toBe(true);
  });

  it('counts wrong bearers, not missing ones', () => {
    const auth = createAuth({ mode: 'token', token: 't', rateLimit: { maxAttempts: 2 } });
    for (const header of [undefined, undefined, 'Basic x', 'Bearer x']) expect(auth.checkBearer(header, remote)).toBe('refused');
    expect(auth.checkBearer('bearer t', remote)).toBe('accepted');
  });

  it('knows loopback in all its spellings', () => {
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', '[::1]', '::ffff:127.0.0.1', 'LOCALHOST']) expect(isLoopback(host)).toBe(true);
    for (const host of ['0.0.0.0', '::', '128.0.0.1', '127.0.0.1.example.com', 'localhost.example', '']) expect(isLoopback(host)).toBe(false);
  });
});
