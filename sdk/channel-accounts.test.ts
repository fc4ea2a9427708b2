import { describe, expect, it } from 'vitest';
import { createChannelAccounts } from './channel-accounts.ts';

const accounts = createChannelAccounts('desk');
const config = (desk: unknown) => ({ channels: { desk } });

describe('accounts of a channel', () => {
  it.each<[unknown, string[], string]>([
    [undefined, ['default'], 'default'],
    [[], ['default'], 'default'],
    [{ accounts: {} }, ['default'], 'default'],
    [{ accounts: { work: {}, home: {} } }, ['work', 'home'], 'work'],
    [{ accounts: { work: {}, default: {} } }, ['work', 'default'], 'default'],
    [{ accounts: { work: {}, home: {} }, defaultAccount: 'home' }, ['work', 'home'], 'home'],
    [{ accounts: { work: {} }, defaultAccount: 'gone' }, ['work'], 'work'],
    [{ accounts: { work: {} }, defaultAccount: 7 }, ['work'], 'work'],
  ])('%j', (desk, list, usual) => {
    expect(accounts.list(config(desk))).toEqual(list);
    expect(accounts.usual(config(desk))).toBe(usual);
  });

  it('have their own block, and nothing of what every object has', () => {
    const given = config({ token: 'a', accounts: { work: { token: 'b' } } });
    expect(accounts.block(given).token).toBe('a');
    expect(accounts.own(given, 'work')).toEqual({ token: 'b' });
    expect(accounts.own(given, '__proto__')).toEqual({});
    expect(accounts.own(given, 'default')).toEqual({});
  });
});
