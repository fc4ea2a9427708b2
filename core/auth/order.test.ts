import { describe, expect, it } from 'vitest';
import { applyDefaults } from '../config/defaults.ts';
import { afterFailure, afterSuccess, blockedUntil, concernsProfile } from './cooldown.ts';
import { orderProfiles, profileState } from './order.ts';
import type { AuthProfile, ProfileStore, ProfileUsage } from './profiles.ts';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const key = (provider = 'p'): AuthProfile => ({ type: 'api_key', provider, key: 'k' });
const authOf = (auth: object = {}) => applyDefaults({ auth }).auth;
const order = (store: Partial<ProfileStore>, auth: object = {}, provider = 'p') =>
  orderProfiles({ store: { version: 1, profiles: {}, ...store }, auth: authOf(auth), provider, now: NOW });

describe('the order of profiles', () => {
  const profiles = { a: key(), b: key(), c: key(), other: key('q') };

  it('is what the configuration says (OAUTH-079)', () => {
    expect(order({ profiles }, { order: { p: ['c', 'a', 'c', 'gone', 'other'] } })).toEqual(['c', 'a']);
    expect(order({ profiles }, { order: { P: ['b'] } })).toEqual(['b']);
  });
  it("of the agent's own store goes before that", () => {
    expect(order({ profiles, order: { p: ['b'] } }, { order: { p: ['c', 'a'] } })).toEqual(['b']);
  });
  it('holds those that the configuration names, else all that are stored', () => {
    expect(order({ profiles }, { profiles: { c: { provider: 'p', mode: 'api_key' }, gone: { provider: 'p', mode: 'api_key' } } })).toEqual(['c']);
    expect(order({ profiles }, { profiles: { gone: { provider: 'p', mode: 'api_key' } } })).toEqual(['a', 'b', 'c']);
  });
  it('without one of its own is by kind, then by the longest rest (OAUTH-013)', () => {
    const mixed: Record<string, AuthProfile> = {
      key: key(),
      token: { type: 'token', provider: 'p', token: 't' },
      late: { type: 'oauth', provider: 'p', access: 'x', refresh: 'r', expires: NOW + 1 },
      early: { type: 'oauth', provider: 'p', access: 'y', refresh: 'r', expires: NOW + 1 },
    };
    const usageStats = { late: { lastUsed: 9 }, early: { lastUsed: 3 } };
    const expected = ['early', 'late', 'token', 'key'];
    for (let time = 0; time < 10; time += 1) expect(order({ profiles: mixed, usageStats })).toEqual(expected);
  });
  it('ends with those that are put away, the soonest back first (OAUTH-083)', () => {
    const usageStats = { a: { cooldownUntil: NOW + 9 }, b: { disabledUntil: NOW + 5 }, c: { cooldownUntil: NOW } };
    expect(order({ profiles, usageStats })).toEqual(['c', 'b', 'a']);
    expect(order({ profiles, usageStats }, { order: { p: ['a', 'b', 'c'] } })).toEqual(['c', 'b', 'a']);
  });
  it('leaves out what cannot be used', () => {
    const bad = { none: { type: 'api_key', provider: 'p' }, odd: { type: 'passkey', provider: 'p', key: 'k' }, ok: key() };
    expect(order({ profiles: bad as never })).toEqual(['ok']);
  });
});

describe('the state of a profile', () => {
  it.each([
    [key(), 'ok'],
    [{ type: 'api_key', provider: 'p', key: '' }, 'missing_credential'],
    [{ type: 'api_key', provider: 'p', keyRef: { source: 'env', provider: 'default', id: 'X' } }, 'unresolved_ref'],
    [{ type: 'token', provider: 'p', token: 't' }, 'ok'],
    [{ type: 'token', provider: 'p', token: 't', expires: NOW + 1 }, 'ok'],
    [{ type: 'token', provider: 'p', token: 't', expires: NOW }, 'expired'],
    [{ type: 'token', provider: 'p', token: 't', expires: 0 }, 'invalid_expires'],
    [{ type: 'token', provider: 'p', token: 't', expires: 'soon' }, 'invalid_expires'],
    [{ type: 'oauth', provider: 'p', access: 'a', expires: NOW + 1 }, 'ok'],
    [{ type: 'oauth', provider: 'p', access: 'a', expires: NOW - 1 }, 'expired'],
  ])('%j is %s (OAUTH-031, OAUTH-064, OAUTH-065)', (profile, state) => expect(profileState(profile as AuthProfile, NOW)).toBe(state));
});

describe('after a failure', () => {
  const settings = authOf().cooldowns;
  const fail = (usage: ProfileUsage | undefined, kind: 'rate_limit' | 'auth' | 'billing' | 'auth_permanent', now: number, more = {}) =>
    afterFailure(usage, { kind, provider: 'p', now, settings: { ...settings, ...more } });

  it('a profile rests 1, 5, 25 and then 60 minutes (OAUTH-083)', () => {
    let usage: ProfileUsage | undefined;
    let now = NOW;
    const pauses = [1, 5, 25, 60, 60].map(() => {
      usage = fail(usage, 'rate_limit', now);
      const until = blockedUntil(usage, now) ?? 0;
      const pause = (until - now) / 60_000;
      now = until;
      return pause;
    });
    expect(pauses).toEqual([1, 5, 25, 60, 60]);
    expect(usage).toMatchObject({ errorCount: 5, cooldownReason: 'rate_limit', failureCounts: { rate_limit: 5 } });
    expect(blockedUntil(usage, now)).toBeUndefined();
  });
  it('a bill that is not paid puts it away for hours, doubled up to a day', () => {
    let usage: ProfileUsage | undefined;
    let now = NOW;
    const hours = [5, 10, 20, 24].map(() => {
      usage = fail(usage, 'billing', now);
      const pause = ((usage.disabledUntil ?? 0) - now) / HOUR;
      now = usage.disabledUntil ?? 0;
      return pause;
    });
    expect(hours).toEqual([5, 10, 20, 24]);
    expect(usage?.disabledReason).toBe('billing');
    expect(fail(undefined, 'billing', NOW, { billingBackoffHoursByProvider: { p: 1 } }).disabledUntil).toBe(NOW + HOUR);
    expect(fail(undefined, 'auth_permanent', NOW)).toMatchObject({ disabledUntil: NOW + 5 * HOUR, disabledReason: 'auth_permanent' });
  });
  it('another one while it rests makes that no longer', () => {
    const once = fail({ lastUsed: 4 }, 'auth', NOW);
    expect(fail(once, 'auth', NOW + 30_000)).toEqual(once);
    expect(once.lastUsed).toBe(4);
  });
  it('a clean day forgets the failures, and so does a success', () => {
    const once = fail(undefined, 'auth', NOW);
    expect(fail(once, 'auth', NOW + 25 * HOUR)).toMatchObject({ errorCount: 1, cooldownUntil: NOW + 25 * HOUR + 60_000 });
    expect(afterSuccess(once, NOW + 5)).toEqual({ lastUsed: NOW + 5 });
  });
  it('only some kinds are the fault of the profile', () => {
    const kinds = [
      'auth',
      'auth_permanent',
      'billing',
      'rate_limit',
      'overloaded',
      'timeout',
      'format',
      'model_not_found',
      'context_overflow',
      'unknown',
      undefined,
    ] as const;
    expect(kinds.filter(concernsProfile)).toEqual(['auth', 'auth_permanent', 'billing', 'rate_limit', 'overloaded']);
  });
});
