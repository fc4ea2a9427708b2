import { describe, expect, it } from 'vitest';
import { decideAccess } from '../../core/channels/access/access.ts';
import { allowListOf } from '../../core/channels/access/allow-list.ts';
import { settingsOf } from '../../core/channels/channel-settings.ts';
import { createDiscord } from '../../extensions/channels/discord/channel.ts';
import { createSlack } from '../../extensions/channels/slack/channel.ts';
import type { Channel, InboundMessage } from '../../sdk/index.ts';

type Heard = Pick<InboundMessage, 'conversationId' | 'conversationAliases' | 'senderId' | 'senderAliases'>;

function ask(channel: Channel, block: object, message: Heard): string {
  const config = { channels: { [channel.id]: block } };
  const decision = decideAccess({
    settings: settingsOf(channel, config as never, 'default', config),
    defaults: undefined,
    useAccessGroups: true,
    allowList: allowListOf(channel),
    message: { chatType: 'channel', ...message },
    isPaired: () => false,
  });
  if (decision.kind !== 'allowed') return decision.kind === 'refused' ? decision.reason : decision.kind;
  const { enabled: _, allowFrom: __, requireMention: ___, ...told } = decision.group ?? {};
  return [decision.requireMention ? 'named' : 'unnamed', ...(Object.keys(told).length === 0 ? [] : [JSON.stringify(told)])].join(' ');
}

describe('channels.slack.channels', () => {
  const slack = createSlack();
  const general = { conversationId: 'C0GENERAL1', conversationAliases: ['#general'], senderId: 'U0ANN00001' };
  it.each<[string, object, string]>([
    ['by id', { C0GENERAL1: { users: ['U0ANN00001'] } }, 'named'],
    ['by name', { general: { users: ['<@U0ANN00001>'], requireMention: false } }, 'unnamed'],
    ['by name with its mark', { '#General': { users: ['*'], requireMention: false } }, 'unnamed'],
    ['everywhere', { '*': { users: ['u0ann00001'] } }, 'named'],
    ['elsewhere', { random: { users: ['*'] } }, 'group-not-allowed'],
    ['not here', { '*': { users: ['*'] }, C0GENERAL1: { allow: false } }, 'group-disabled'],
    ['others', { general: { users: ['U0BEN00001'] } }, 'group-sender-not-allowed'],
    ['nobody is named', { general: {} }, 'group-sender-not-allowed'],
    ['more for the model', { '*': { users: ['*'], skills: ['a'] }, general: { systemPrompt: 'Be kind.' } }, 'named {"skills":["a"],"systemPrompt":"Be kind."}'],
  ])('%s', (_name, channels, expected) => expect(ask(slack, { channels }, general)).toBe(expected));

  it('goes over `groups`, which says the rest', () => {
    const groups = { C0GENERAL1: { requireMention: false, allowFrom: ['*'], systemPrompt: 'Hi.' } };
    expect(ask(slack, { groups, channels: { C0GENERAL1: { requireMention: true } } }, general)).toBe('named {"systemPrompt":"Hi."}');
    expect(ask(slack, { groups, channels: { C0GENERAL1: { allow: false } } }, general)).toBe('group-disabled');
  });

  it('an account’s own stand in for those of the channel, also under an open policy', () => {
    const accounts = { default: { channels: { general: { users: ['U0BEN00001'] } } } };
    expect(ask(slack, { channels: { general: { users: ['*'] } }, accounts }, general)).toBe('group-sender-not-allowed');
    expect(ask(slack, { groupPolicy: 'open', channels: { general: { users: ['U0BEN00001'] } } }, general)).toBe('group-sender-not-allowed');
    expect(ask(slack, { groupPolicy: 'open', channels: { random: {} } }, general)).toBe('named');
    expect(ask(slack, { groupPolicy: 'disabled', channels: { general: { users: ['*'] } } }, general)).toBe('group-disabled');
  });
});

describe('channels.discord.guilds', () => {
  const discord = createDiscord(() => {
    throw new Error('no storage');
  });
  const names = ['81', '80/81', '80/general', '80', '*/81', '*/general'];
  const general = { conversationId: 'channel:81', conversationAliases: names, senderId: '1', senderAliases: ['ann', 'role:77'] };
  it.each<[string, object, string]>([
    ['a server with people', { '80': { users: ['<@1>'] } }, 'named'],
    ['by user name', { '80': { users: ['Ann'], requireMention: false } }, 'unnamed'],
    ['by role', { '80': { roles: [77] } }, 'named'],
    ['by role as it is mentioned', { '80': { roles: ['<@&77>'] } }, 'named'],
    ['any role', { '80': { roles: ['*'] } }, 'named'],
    ['a role is no person', { '80': { roles: [1], users: [77] } }, 'group-sender-not-allowed'],
    ['other people and roles', { '80': { users: ['bob'], roles: ['78'] } }, 'group-sender-not-allowed'],
    ['another server', { '90': { users: ['*'] } }, 'group-not-allowed'],
    ['every server', { '*': { users: ['*'] } }, 'named'],
    ['every server but this', { '*': { users: ['*'] }, '80': { allow: false } }, 'group-disabled'],
    ['a channel, with what its server says', { '80': { users: ['1'], requireMention: false, channels: { general: {} } } }, 'unnamed'],
    ['a channel with its own', { '80': { users: ['2'], channels: { '#General': { users: ['1'], requireMention: false } } } }, 'unnamed'],
    ['a channel by id', { '80': { users: ['1'], channels: { '81': {} } } }, 'named'],
    [
      'its namesake on another server',
      { '80': { users: ['1'], channels: { other: {} } }, '90': { users: ['*'], channels: { general: {} } } },
      'group-disabled',
    ],
    ['all channels', { '80': { users: ['1'], channels: { '*': {} } } }, 'named'],
    ['all channels but this', { '80': { users: ['1'], channels: { '*': {}, general: { allow: false } } } }, 'group-disabled'],
    ['other channels', { '80': { users: ['1'], channels: { other: {} } } }, 'group-disabled'],
    ['a channel of every server', { '*': { users: ['1'], channels: { general: {} } } }, 'named'],
    [
      'more for the model',
      { '80': { users: ['1'], channels: { general: { systemPrompt: 'Be kind.', skills: ['a'] } } } },
      'named {"systemPrompt":"Be kind.","skills":["a"]}',
    ],
  ])('%s', (_name, guilds, expected) => expect(ask(discord, { guilds }, general)).toBe(expected));

  it('narrows an open policy, and falls back to the lists of the account', () => {
    expect(ask(discord, { groupPolicy: 'open', guilds: { '80': { users: ['bob'] } } }, general)).toBe('group-sender-not-allowed');
    expect(ask(discord, { groupPolicy: 'open', guilds: { '80': {} } }, general)).toBe('named');
    expect(ask(discord, { guilds: { '80': {} } }, general)).toBe('group-sender-not-allowed');
    expect(ask(discord, { groupAllowFrom: ['ann'], guilds: { '80': {} } }, general)).toBe('named');
  });
});
