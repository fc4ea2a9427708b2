import { describe, expect, it } from 'vitest';
import type { Channel } from '../../../sdk/index.ts';
import { type ChannelSettings, channelSettings } from '../channel-settings.ts';
import { type AccessParams, decideAccess } from './access.ts';
import { allowListOf } from './allow-list.ts';

const CHAT = { id: 'chat', meta: { label: 'Chat', aliases: ['ct'] } } as Channel;

function decide(settings: ChannelSettings, message: Partial<AccessParams['message']> = {}, more: Partial<AccessParams> = {}) {
  return decideAccess({
    settings,
    defaults: undefined,
    useAccessGroups: true,
    allowList: allowListOf(CHAT),
    message: { chatType: 'direct', senderId: 'ada', conversationId: 'ada', ...message },
    isPaired: () => false,
    ...more,
  });
}

const word = (decision: ReturnType<typeof decide>): string => (decision.kind === 'refused' ? decision.reason : decision.kind);

describe('who may write in private', () => {
  it.each<[string, ChannelSettings, string]>([
    ['nothing is set', {}, 'pairing'],
    ['pairing, named', { allowFrom: ['ada'] }, 'allowed'],
    ['pairing, another is named', { allowFrom: ['bob'] }, 'pairing'],
    ['pairing, everybody', { allowFrom: ['*'] }, 'allowed'],
    ['allowlist, named', { dmPolicy: 'allowlist', allowFrom: ['ada'] }, 'allowed'],
    ['allowlist, another is named', { dmPolicy: 'allowlist', allowFrom: ['bob'] }, 'sender-not-allowed'],
    ['allowlist, empty', { dmPolicy: 'allowlist', allowFrom: [] }, 'sender-not-allowed'],
    ['allowlist, absent', { dmPolicy: 'allowlist' }, 'sender-not-allowed'],
    ['open without a star', { dmPolicy: 'open' }, 'sender-not-allowed'],
    ['open with a star', { dmPolicy: 'open', allowFrom: ['*'] }, 'allowed'],
    ['disabled', { dmPolicy: 'disabled', allowFrom: ['*', 'ada'] }, 'dm-disabled'],
    ['a policy of an unknown name', { dmPolicy: 'everybody' }, 'sender-not-allowed'],
    ['a number', { allowFrom: [7] }, 'pairing'],
  ])('%s', (_name, settings, expected) => expect(word(decide(settings))).toBe(expected));

  it.each<[string, string | undefined]>([
    ['allowed', undefined],
    ['allowed', 'allowlist'],
    ['allowed', 'open'],
    ['dm-disabled', 'disabled'],
  ])('somebody who was let in by a code is %s under %s', (expected, dmPolicy) => {
    const settings = dmPolicy === undefined ? {} : { dmPolicy };
    expect(word(decide(settings, {}, { isPaired: (id) => id === 'ada' }))).toBe(expected);
  });

  it('compares ids without the name of the channel and without case, and takes other forms of the sender', () => {
    for (const entry of ['ADA', 'chat:ada', 'ct:Ada', ' ada ']) expect(word(decide({ allowFrom: [entry] }))).toBe('allowed');
    expect(word(decide({ allowFrom: ['ada!a@host'] }, { senderAliases: ['ada!a@host'] }))).toBe('allowed');
    expect(word(decide({ allowFrom: [7] }, { senderId: '7' }))).toBe('allowed');
  });

  it('a letter that only looks like another in lower case names nobody else', () => {
    const list = allowListOf(CHAT);
    expect(list.matches(['Kim'], ['kIM'])).toBe(true);
    expect(list.matches(['kim'], ['\u212Aim'])).toBe(false);
  });

  it('uses the rule of the channel for the form of an id', () => {
    const phone = { ...CHAT, security: { normalizeAllowEntry: (entry: string) => entry.replaceAll(/[^0-9]/g, '') } } as Channel;
    const allowList = allowListOf(phone);
    expect(word(decide({ allowFrom: ['+1 (555) 01'] }, { senderId: '155501' }, { allowList }))).toBe('allowed');
  });

  describe('an entry that is more than an id', () => {
    const asked: string[] = [];
    const masks = {
      ...CHAT,
      security: {
        matchesAllowEntry(entry: string, { senderId }: { senderId: string }) {
          asked.push(entry);
          return entry.startsWith('@') && senderId.endsWith(entry);
        },
      },
    } as unknown as Channel;
    const allowList = allowListOf(masks);
    const ask = (settings: ChannelSettings, message: Partial<AccessParams['message']> = {}) =>
      word(decide(settings, { senderId: 'ada@home', ...message }, { allowList }));

    it('is the channel’s to judge, in private and in groups', () => {
      expect(ask({ allowFrom: ['chat:@Home'] })).toBe('allowed');
      expect(ask({ allowFrom: ['@work'] })).toBe('pairing');
      const room = { chatType: 'group' as const, conversationId: '#ops' };
      expect(ask({ groupAllowFrom: ['@home'] }, room)).toBe('allowed');
      expect(ask({ groups: { '#ops': { allowFrom: ['@home'] } } }, room)).toBe('allowed');
      expect(ask({ groupPolicy: 'open', groups: { '#ops': { allowFrom: ['@work'] } } }, room)).toBe('group-sender-not-allowed');
      expect(decide({ groupPolicy: 'open', allowFrom: ['@home'] }, { ...room, senderId: 'ada@home' }, { allowList })).toMatchObject({ mayCommand: true });
      expect(decide({ groupPolicy: 'open', allowFrom: ['@work'] }, { ...room, senderId: 'ada@home' }, { allowList })).toMatchObject({ mayCommand: false });
    });

    it('counts by equality alone where the channel has no such rule or does not understand it', () => {
      expect(ask({ allowFrom: ['home', 'ada', ''] })).toBe('pairing');
      expect(ask({ allowFrom: ['ADA@home'] })).toBe('allowed');
      expect(word(decide({ allowFrom: ['@home'] }, { senderId: 'ada@home' }))).toBe('pairing');
      const vague = allowListOf({ ...CHAT, security: { matchesAllowEntry: () => 'perhaps' } } as unknown as Channel);
      expect(word(decide({ allowFrom: ['@home'] }, { senderId: 'ada@home' }, { allowList: vague }))).toBe('pairing');
      const eager = allowListOf({ ...CHAT, security: { matchesAllowEntry: () => true } } as unknown as Channel);
      expect(word(decide({ allowFrom: ['chat:*', ' '] }, { senderId: 'ada@home' }, { allowList: eager }))).toBe('pairing');
      expect(asked).not.toContain('*');
    });
  });

  it('never takes a sender for everybody', () => {
    expect(word(decide({ allowFrom: ['ada'] }, { senderId: '*' }))).toBe('pairing');
    expect(word(decide({ allowFrom: [''] }, { senderId: '' }))).toBe('pairing');
  });

  it('an account has its own rules over those of the channel', () => {
    const config = { channels: { chat: { allowFrom: ['ada'], accounts: { work: { allowFrom: ['bob'] }, home: {} } } } } as never;
    expect(word(decide(channelSettings(config, 'chat', 'work')))).toBe('pairing');
    expect(word(decide(channelSettings(config, 'chat', 'home')))).toBe('allowed');
    expect(word(decide(channelSettings(config, 'chat', 'constructor')))).toBe('allowed');
    expect(word(decide(channelSettings({ channels: {} } as never, 'chat', 'home')))).toBe('pairing');
  });
});

describe('who may write in a group', () => {
  const room = { chatType: 'group' as const, conversationId: '#ops' };
  it.each<[string, ChannelSettings, string]>([
    ['nothing is set', {}, 'group-sender-not-allowed'],
    ['disabled', { groupPolicy: 'disabled', groupAllowFrom: ['*'] }, 'group-disabled'],
    ['open', { groupPolicy: 'open' }, 'allowed'],
    ['open, but this group is off', { groupPolicy: 'open', groups: { '#ops': { enabled: false } } }, 'group-disabled'],
    ['open, but this group has a list', { groupPolicy: 'open', groups: { '#ops': { allowFrom: ['bob'] } } }, 'group-sender-not-allowed'],
    ['a policy of an unknown name', { groupPolicy: 'everybody' }, 'group-sender-not-allowed'],
    ['allowlist, a group sender', { groupAllowFrom: ['ada'] }, 'allowed'],
    ['allowlist, another group sender', { groupAllowFrom: ['bob'], allowFrom: ['ada'] }, 'group-sender-not-allowed'],
    ['allowlist, falls back to allowFrom', { allowFrom: ['ada'] }, 'allowed'],
    ['groups lists another', { allowFrom: ['ada'], groups: { '#dev': {} } }, 'group-not-allowed'],
    ['groups lists none', { allowFrom: ['*'], groups: {} }, 'group-not-allowed'],
    ['groups lists it', { allowFrom: ['ada'], groups: { '#OPS': {} } }, 'allowed'],
    ['groups lists all', { allowFrom: ['ada'], groups: { '*': {} } }, 'allowed'],
    ['the group has its own list', { allowFrom: ['bob'], groups: { '#ops': { allowFrom: ['ada'] } } }, 'allowed'],
    ['the group has a list without the sender', { allowFrom: ['ada'], groups: { '#ops': { allowFrom: ['bob'] } } }, 'group-sender-not-allowed'],
    ['listed, but nobody may speak', { groups: { '#ops': {} } }, 'group-sender-not-allowed'],
    ['off for all, on for it', { allowFrom: ['ada'], groups: { '*': { enabled: false }, '#ops': { enabled: true } } }, 'allowed'],
  ])('%s', (_name, settings, expected) => expect(word(decide(settings, room))).toBe(expected));

  it('the pairing store lets nobody into a group', () => expect(word(decide({}, room, { isPaired: () => true }))).toBe('group-sender-not-allowed'));

  it('falls back to the policy of all channels', () => {
    expect(word(decide({}, room, { defaults: { groupPolicy: 'open' } }))).toBe('allowed');
    expect(word(decide({ groupPolicy: 'disabled' }, room, { defaults: { groupPolicy: 'open' } }))).toBe('group-disabled');
  });

  it('finds a group by its other names and by the one above its thread', () => {
    const groups = { guild1: { requireMention: false } };
    expect(decide({ allowFrom: ['ada'], groups }, { ...room, conversationAliases: ['guild1'] })).toMatchObject({ kind: 'allowed', requireMention: false });
    expect(decide({ allowFrom: ['ada'], groups }, { ...room, parentConversationId: 'guild1' })).toMatchObject({ kind: 'allowed', requireMention: false });
  });

  it('a topic takes from its group what it does not say itself', () => {
    const groups = {
      '#ops': { systemPrompt: 'group', skills: ['a'], topics: { '7': { requireMention: false, systemPrompt: 'topic' }, '8': { enabled: false } } },
    };
    const settings = { allowFrom: ['ada'], groups };
    expect(decide(settings, { ...room, threadId: '7' })).toMatchObject({ requireMention: false, group: { systemPrompt: 'topic', skills: ['a'] } });
    expect(word(decide(settings, { ...room, threadId: '8' }))).toBe('group-disabled');
    expect(decide(settings, { ...room, threadId: 'toString' })).toMatchObject({ requireMention: true, group: { systemPrompt: 'group' } });
    expect(decide(settings, { ...room, conversationId: 'x', parentConversationId: '#OPS', threadId: '7' })).toMatchObject({ requireMention: false });
    expect(decide({ allowFrom: ['ada'], groups: { '*': { topics: groups['#ops'].topics } } }, { ...room, threadId: '7' })).toMatchObject({
      requireMention: false,
    });
  });

  it('asks for a mention unless the group, or all groups, say no', () => {
    const mention = (settings: ChannelSettings) => {
      const decision = decide({ allowFrom: ['ada'], ...settings }, room);
      return decision.kind === 'allowed' && decision.requireMention;
    };
    expect(mention({})).toBe(true);
    expect(mention({ groups: { '#ops': {} } })).toBe(true);
    expect(mention({ groups: { '*': { requireMention: false } } })).toBe(false);
    expect(mention({ groups: { '*': { requireMention: false }, '#ops': { systemPrompt: 'x' } } })).toBe(false);
    expect(mention({ groups: { '*': { requireMention: false }, '#ops': { requireMention: true } } })).toBe(true);
  });

  it('lets those command who are named, and everybody where the group is open to all', () => {
    const commands = (settings: ChannelSettings, more: Partial<AccessParams> = {}) => {
      const decision = decide({ groupPolicy: 'open', ...settings }, room, more);
      return decision.kind === 'allowed' && decision.mayCommand;
    };
    expect(commands({})).toBe(true);
    expect(commands({ allowFrom: ['*'] })).toBe(true);
    expect(commands({ allowFrom: ['ada'] })).toBe(true);
    expect(commands({ allowFrom: ['bob'] })).toBe(false);
    expect(commands({ groupAllowFrom: ['bob'], allowFrom: ['ada'] })).toBe(true);
    expect(commands({ allowFrom: ['bob'] }, { isPaired: () => true })).toBe(true);
    expect(commands({ allowFrom: ['bob'] }, { useAccessGroups: false })).toBe(true);
  });
});
