import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { APP_TOKEN_ENV, BOT_TOKEN_ENV, defaultAccountId, isConfigured, listAccountIds, resolveAccount } from './account.ts';
import { setup } from './setup.ts';

const config = (slack: object) => ({ channels: { slack } });

describe('accounts', () => {
  const before = { [BOT_TOKEN_ENV]: process.env[BOT_TOKEN_ENV], [APP_TOKEN_ENV]: process.env[APP_TOKEN_ENV] };
  const set = (values: Record<string, string | undefined>) => {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
  beforeEach(() => set({ [BOT_TOKEN_ENV]: undefined, [APP_TOKEN_ENV]: undefined }));
  afterEach(() => set(before));

  it('take from the channel what they do not set, but no tokens beside one of their own', () => {
    const slack = {
      botToken: 'xoxb-0',
      appToken: 'xapp-0',
      mode: 'http',
      signingSecret: 's0',
      accounts: { default: {}, work: { botToken: 'xoxb-1', mode: 'socket' } },
    };
    expect(listAccountIds(config(slack))).toEqual(['default', 'work']);
    expect(resolveAccount(config(slack))).toMatchObject({
      mode: 'http',
      botToken: 'xoxb-0',
      signingSecret: 's0',
      webhook: { path: '/slack/events', port: 3000 },
    });
    const work = resolveAccount(config(slack), 'work');
    expect(work).toMatchObject({ mode: 'socket', botToken: 'xoxb-1' });
    expect(work).not.toHaveProperty('appToken');
    expect(isConfigured(work)).toBe(false);
    expect(defaultAccountId(config({ ...slack, defaultAccount: 'work' }))).toBe('work');
    expect(defaultAccountId(config({ accounts: { only: {} } }))).toBe('only');
  });

  it('of the name default take tokens from the environment, others do not', () => {
    set({ [BOT_TOKEN_ENV]: 'xoxb-env', [APP_TOKEN_ENV]: 'xapp-env' });
    const slack = config({ accounts: { default: {}, other: {} } });
    expect(resolveAccount(slack)).toMatchObject({ botToken: 'xoxb-env', appToken: 'xapp-env' });
    expect(isConfigured(resolveAccount(slack))).toBe(true);
    expect(isConfigured(resolveAccount(slack, 'other'))).toBe(false);
    expect(isConfigured(resolveAccount(config({ mode: 'http' })))).toBe(false);
  });

  it('are asked for by the setup', () => {
    const tokens = { botToken: 'xoxb-1', appToken: 'xapp-1' };
    expect(setup.validateInput?.(tokens)).toBeUndefined();
    expect(setup.validateInput?.({ botToken: 'xapp-1', appToken: 'xapp-1' })).toContain('xoxb-');
    expect(setup.validateInput?.({ botToken: 'xoxb-1', appToken: 'xoxb-1' })).toContain('xapp-');
    expect(setup.validateInput?.({ botToken: 'xoxb-1' })).toContain('signing secret');
    expect(setup.accountConfig({ ...tokens, allowFrom: 'U1, U2' })).toEqual({ ...tokens, allowFrom: ['U1', 'U2'] });
    expect(setup.accountConfig({ botToken: 'xoxb-1', signingSecret: 's' })).toEqual({ mode: 'http', botToken: 'xoxb-1', signingSecret: 's' });
  });
});
