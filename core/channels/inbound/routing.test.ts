import { describe, expect, it } from 'vitest';
import { canonicalKey } from '../../sessions/keys.ts';
import { type BindingParams, boundAgent } from './bindings.ts';
import { movesRoute, type RouteParams, routeSession } from './routing.ts';

const direct = { chatType: 'direct' as const, senderId: 'Ada', conversationId: 'dm-1' };
const group = { chatType: 'group' as const, senderId: 'Ada', conversationId: '#Ops' };

const route = (session: object | undefined, message: object, more: Partial<RouteParams> = {}) =>
  routeSession({
    config: { session } as never,
    channel: 'chat',
    accountId: 'work',
    agentId: 'main',
    hasTopics: false,
    message: message as RouteParams['message'],
    ...more,
  });

describe('the session of a message', () => {
  const links = { ada: ['chat:ada', 'irc:lovelace'] };
  it.each<[string, object | undefined, object, string]>([
    ['private, nothing set', undefined, direct, 'agent:main:main'],
    ['private, main', { dmScope: 'main' }, direct, 'agent:main:main'],
    ['private, per peer', { dmScope: 'per-peer' }, direct, 'agent:main:direct:ada'],
    ['private, per channel', { dmScope: 'per-channel-peer' }, direct, 'agent:main:chat:direct:ada'],
    ['private, per account', { dmScope: 'per-account-channel-peer' }, direct, 'agent:main:chat:work:direct:ada'],
    ['one for all', { scope: 'global' }, direct, 'global'],
    ['one for all, groups too', { scope: 'global' }, group, 'global'],
    ['a group', undefined, group, 'agent:main:chat:group:#ops'],
    ['a room', undefined, { ...group, chatType: 'channel' }, 'agent:main:chat:channel:#ops'],
    ['a thread', undefined, { ...group, threadId: 'T1' }, 'agent:main:chat:group:#ops:thread:t1'],
    [
      'a thread with an id of its own',
      undefined,
      { ...group, conversationId: 't1', parentConversationId: '#ops', threadId: 't1' },
      'agent:main:chat:group:#ops:thread:t1',
    ],
    ['an address with its kind', undefined, { ...group, chatType: 'channel', conversationId: 'channel:77' }, 'agent:main:chat:channel:77'],
    ['a person with their kind', { dmScope: 'per-peer' }, { ...direct, senderId: 'user:77' }, 'agent:main:direct:77'],
    ['a kind of which nothing is left', undefined, { ...group, conversationId: 'channel:' }, 'agent:main:chat:group:channel_'],
    ['one kind and no more', undefined, { ...group, conversationId: 'channel:user:7' }, 'agent:main:chat:group:user:7'],
    [
      'a thread below one',
      undefined,
      { ...group, conversationId: 'channel:8', parentConversationId: 'channel:77', threadId: '8' },
      'agent:main:chat:group:77:thread:8',
    ],
    ['somebody on two channels', { dmScope: 'per-peer', identityLinks: { Countess: ['irc:x', 'CHAT:ada'] } }, direct, 'agent:main:direct:countess'],
    ['by another form of the id', { dmScope: 'per-peer', identityLinks: { c: ['chat:a@h'] } }, { ...direct, senderAliases: ['a@h'] }, 'agent:main:direct:c'],
    ['linked on another channel only', { dmScope: 'per-peer', identityLinks: { c: ['irc:ada'] } }, direct, 'agent:main:direct:ada'],
    ['links change no group', { identityLinks: links }, group, 'agent:main:chat:group:#ops'],
  ])('%s', (_name, session, message, key) => expect(route(session, message)).toBe(key));

  it('any id makes a key, and two long ones make two', () => {
    const keyOf = (conversationId: string) => route(undefined, { ...group, conversationId });
    for (const id of ['', ' ', 'a\u0000b', 'a:', ':', '\n', '💥'.repeat(400), 'İ', 'a'.repeat(100_000)]) expect(canonicalKey(keyOf(id))).toBe(keyOf(id));
    expect(keyOf(`${'a'.repeat(200)}1`)).not.toBe(keyOf(`${'a'.repeat(200)}2`));
  });

  it('two ids that differ in more than the case of ASCII letters make two keys', () => {
    const keyOf = (senderId: string) => route({ dmScope: 'per-peer', identityLinks: { boss: ['chat:kate'] } }, { ...direct, senderId });
    expect(keyOf('KATE')).toBe('agent:main:direct:boss');
    expect(keyOf('\u212Aate')).not.toBe(keyOf('kate'));
    const keys = ['\u212Aim', 'kim', '\u00C9va', '\u00E9va'].map(keyOf);
    expect(new Set(keys.map((key) => canonicalKey(key))).size).toBe(4);
    expect(keyOf('\u00C9VA')).toBe(keyOf('\u00C9va'));
  });

  it('a topic is part of its group, for channels that have them', () =>
    expect(route(undefined, { ...group, threadId: '7' }, { hasTopics: true })).toBe('agent:main:chat:group:#ops:topic:7'));
});

describe('where the session last talked', () => {
  it.each<[string, boolean, object | undefined, 'direct' | 'group', unknown[] | undefined, boolean]>([
    ['the one whom the channel names', true, undefined, 'direct', ['ada'], true],
    ['anybody else, in the main session', false, undefined, 'direct', ['ada'], false],
    ['several are named', true, undefined, 'direct', ['ada', 'bob'], false],
    ['everybody is named', true, undefined, 'direct', ['*'], false],
    ['nobody is named', true, undefined, 'direct', undefined, false],
    ['sessions of their own', true, { dmScope: 'per-peer' }, 'direct', ['ada'], false],
    ['groups', true, undefined, 'group', ['ada'], false],
  ])('%s', (_name, expected, session, chatType, allowFrom, isNamed) => {
    expect(movesRoute({ config: { session } as never, chatType, allowFrom, isNamed })).toBe(expected);
  });
});

describe('the agent of a message', () => {
  const list = ['main', 'peer', 'parent', 'roles', 'guild', 'team', 'account', 'any'].map((id) => ({ id }));
  const bindings = [
    { agentId: 'any', match: { channel: 'chat', accountId: '*' } },
    { agentId: 'account', match: { channel: 'chat', accountId: 'work' } },
    { agentId: 'team', match: { channel: 'chat', accountId: '*', teamId: 't1' } },
    { agentId: 'guild', match: { channel: 'chat', accountId: '*', guildId: 'g1' } },
    { agentId: 'roles', match: { channel: 'chat', accountId: '*', guildId: 'g1', roles: ['admin'] } },
    { agentId: 'parent', match: { channel: 'chat', accountId: '*', peer: { kind: 'group', id: '#forum' } } },
    { agentId: 'peer', match: { channel: 'chat', accountId: '*', peer: { kind: 'group', id: '#OPS' } } },
  ];
  const agentOf = (message: object, more: Partial<BindingParams> = {}, rules: object[] = bindings) =>
    boundAgent({
      config: { agents: { list }, bindings: rules } as never,
      channelNames: ['chat', 'ct'],
      accountId: 'work',
      defaultAccountId: 'default',
      message: message as BindingParams['message'],
      ...more,
    });

  it.each<[string, object, Partial<BindingParams>, string]>([
    ['its conversation', { ...group, guildId: 'g1', senderRoles: ['admin'] }, {}, 'peer'],
    ['the conversation above', { ...group, conversationId: '#x', parentConversationId: '#forum', guildId: 'g1' }, {}, 'parent'],
    [
      'the conversation above, among its own names',
      { ...group, conversationId: 'channel:9', conversationAliases: ['9', '#forum', 'g1'], parentConversationId: 'channel:#forum', guildId: 'g1' },
      {},
      'parent',
    ],
    ['another name of its conversation', { ...group, conversationId: 'channel:9', conversationAliases: ['9', '#ops'] }, {}, 'peer'],
    ['a role in a guild', { ...group, conversationId: '#x', guildId: 'g1', senderRoles: ['admin'], teamId: 't1' }, {}, 'roles'],
    ['a guild', { ...group, conversationId: '#x', guildId: 'g1', senderRoles: ['guest'], teamId: 't1' }, {}, 'guild'],
    ['a team', { ...group, conversationId: '#x', teamId: 't1' }, {}, 'team'],
    ['an account', { ...group, conversationId: '#x' }, {}, 'account'],
    ['any account', { ...group, conversationId: '#x' }, { accountId: 'home' }, 'any'],
    ['another channel', group, { channelNames: ['irc'] }, 'main'],
  ])('is bound to %s', (_name, message, more, expected) => expect(agentOf(message, more)).toBe(expected));

  it('a binding without an account is about the default one', () => {
    const rules = [{ agentId: 'team', match: { channel: 'chat' } }];
    expect(agentOf(group, { accountId: 'default' }, rules)).toBe('team');
    expect(agentOf(group, { accountId: 'work' }, rules)).toBe('main');
  });

  it('takes dm for direct, other names of the channel, and every field together', () => {
    const rules = [{ agentId: 'peer', match: { channel: 'CT', accountId: '*', peer: { kind: 'dm', id: 'ada' } } }];
    expect(agentOf(direct, {}, rules)).toBe('peer');
    expect(agentOf({ ...direct, senderId: 'bob' }, {}, rules)).toBe('main');
    expect(agentOf(group, {}, [{ agentId: 'peer', match: { channel: 'chat', accountId: '*', peer: { kind: 'group', id: '#ops' }, guildId: 'other' } }])).toBe(
      'main',
    );
  });

  it('leaves out bindings of agents that are not there and of other kinds; the first of equals wins', () => {
    const anywhere = { channel: 'chat', accountId: '*' };
    const rules = [
      { agentId: 'ghost', match: anywhere },
      { type: 'acp', agentId: 'guild', match: anywhere },
      { agentId: 'team', match: anywhere },
      { agentId: 'peer', match: anywhere },
    ];
    expect(agentOf(group, {}, rules)).toBe('team');
  });
});
