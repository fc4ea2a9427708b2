import { describe, expect, it } from 'vitest';
import { type ExecSender, elevated, execSettings } from './policy.ts';

describe('exec settings', () => {
  const config = { tools: { exec: { security: 'allowlist', ask: 'on-miss' } }, agents: { list: [{ id: 'ops', tools: { exec: { security: 'full' } } }] } };

  it('the agent stands above the common settings, the session above both', () => {
    expect(execSettings(config, 'main')).toMatchObject({ security: 'allowlist', ask: 'on-miss', host: 'auto' });
    expect(execSettings(config, 'ops')).toMatchObject({ security: 'full' });
    expect(execSettings(config, 'ops', { execSecurity: 'deny', execAsk: 'always', execHost: 'node' })).toMatchObject({
      security: 'deny',
      ask: 'always',
      host: 'node',
    });
  });

  it('a word that is not known counts as the strictest', () => {
    expect(execSettings(config, 'main', { execSecurity: 'open', execAsk: 'never' })).toMatchObject({ security: 'deny', ask: 'always' });
  });
});

describe('/elevated full', () => {
  const gate = { enabled: true, allowFrom: { irc: ['ann'] } };
  const asked = (config: object, sender: Partial<ExecSender> = {}, level: unknown = 'full') => {
    const whole = config as Record<string, unknown>;
    const run = { agentId: 'main', sessionSettings: { elevatedLevel: level }, ...sender };
    const { security, ask } = elevated(execSettings(whole, 'main'), whole, run);
    return `${security} ${ask}`;
  };

  it.each([
    ['a client of the gateway', { tools: {} }, {}, 'full off'],
    ['a sender on the list', { tools: { elevated: gate } }, { messageChannel: 'irc', requesterSenderId: 'ann' }, 'full off'],
    ['everybody', { tools: { elevated: { allowFrom: { irc: ['*'] } } } }, { messageChannel: 'irc', requesterSenderId: 'bob' }, 'full off'],
    ['another sender', { tools: { elevated: gate } }, { messageChannel: 'irc', requesterSenderId: 'bob' }, 'allowlist on-miss'],
    ['another channel', { tools: { elevated: gate } }, { messageChannel: 'telegram', requesterSenderId: 'ann' }, 'allowlist on-miss'],
    ['a channel without a list', { tools: {} }, { messageChannel: 'irc', requesterSenderId: 'ann' }, 'allowlist on-miss'],
    ['switched off', { tools: { elevated: { enabled: false } } }, {}, 'allowlist on-miss'],
    ['switched off for the agent', { tools: {}, agents: { list: [{ id: 'main', tools: { elevated: { enabled: false } } }] } }, {}, 'allowlist on-miss'],
    [
      'not on the list of the agent',
      { tools: { elevated: gate }, agents: { list: [{ id: 'main', tools: { elevated: { allowFrom: { irc: ['eve'] } } } }] } },
      { messageChannel: 'irc', requesterSenderId: 'ann' },
      'allowlist on-miss',
    ],
    ['where no command may run', { tools: { exec: { security: 'deny' } } }, {}, 'deny on-miss'],
  ])('%s: %#', (_who, config, sender, expected) => expect(asked(config, sender)).toBe(expected));

  it('is what the session says, else the default of agents', () => {
    const config = { agents: { defaults: { elevatedDefault: 'full' } } };
    expect([asked(config, {}, undefined), asked(config, {}, 'on'), asked({}, {}, 'ask')]).toEqual(['full off', 'allowlist on-miss', 'allowlist on-miss']);
  });
});
