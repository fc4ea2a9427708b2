import type { DeliveryReceipt, InboundMessage } from 'Durar/plugin-sdk/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningAccount, runAccount, until } from '../../../test/fixtures/channel-account.ts';
import { newDiscord, settings, toAnn } from '../../../test/fixtures/discord-account.ts';
import { ANN, ANN_DM, BOT, createDiscordServer, type DiscordServer, GENERAL, GUILD, NAMED, QUIET, THREAD } from '../../../test/fixtures/discord-server.ts';

let server: DiscordServer;
let account: RunningAccount | undefined;
let stored: Map<string, unknown>;

beforeEach(async () => {
  server = await createDiscordServer();
  stored = new Map();
});
afterEach(async () => {
  await account?.stop();
  account = undefined;
  await server.close();
});

async function start(
  more: object = {},
  deliver?: (message: InboundMessage) => Promise<DeliveryReceipt>,
  channel = newDiscord(stored),
): Promise<RunningAccount> {
  const running = runAccount(channel, settings(server.url, more as Record<string, unknown>), deliver === undefined ? {} : { deliver });
  account = running;
  await until(() => running.status.connected === true, 'the connection');
  return running;
}
const delivered = (count: number) => until(() => (account?.delivered.length ?? 0) >= count && account?.delivered, `message ${count}`);
/** What was delivered when everything is dealt with. */
async function settled(): Promise<InboundMessage[]> {
  const position = () => ([...stored.values()] as Array<{ shards: Array<{ sequence: number }> }>)[0]?.shards[0]?.sequence;
  await until(() => position() === server.position(), 'the last event');
  return account?.delivered ?? [];
}
const inGeneral = { channel_id: GENERAL.id };

describe('what comes in', () => {
  it('tells of a direct message (SYS-033)', async () => {
    await start();
    const id = server.say('hello <@900000000000000001>');
    const [message] = await delivered(1);
    expect(message).toEqual({
      conversationId: `user:${ANN.id}`,
      chatType: 'direct',
      senderId: ANN.id,
      senderName: 'Ann',
      senderAliases: ['annsmith'],
      senderUsername: 'annsmith',
      accountId: 'default',
      text: 'hello <@900000000000000001>',
      messageId: id,
      timestamp: expect.any(Number),
    });
  });

  it('answers a direct message without opening its channel', async () => {
    const channel = newDiscord();
    await start({}, undefined, channel);
    server.say('hello');
    await delivered(1);
    await channel.outbound?.sendText?.({ ...toAnn(settings(server.url)), text: 'hi' });
    expect(server.messages.at(-1)).toMatchObject({ channel_id: ANN_DM, content: 'hi' });
    expect(server.of('POST channels')).toEqual([]);
  });

  it('tells of a message on a server: where, who, whether the bot is named', async () => {
    await start();
    server.say('<@!900000000000000001>, /status for <@700000000000000002> in <#810000000000000001> <:my_emoji:5>', {
      ...inGeneral,
      mentions: [BOT, { id: '700000000000000002', username: 'bob' }],
      member: { roles: ['77'], nick: 'Annie' },
    });
    server.say('not for the bot', inGeneral);
    const [named, other] = await delivered(2);
    expect(named).toMatchObject({
      conversationId: `channel:${GENERAL.id}`,
      conversationAliases: [GENERAL.id, GUILD],
      conversationName: 'Friends #general',
      chatType: 'channel',
      guildId: GUILD,
      senderName: 'Annie',
      senderAliases: ['annsmith', 'role:77'],
      senderRoles: ['77'],
      mentioned: true,
      text: '/status for @bob in #general :my_emoji:',
    });
    expect(other).toMatchObject({ mentioned: false, text: 'not for the bot' });
  });

  it('tells of a thread with the channel that it hangs below, also one that it must ask for', async () => {
    await start();
    server.say('in the thread', { channel_id: THREAD.id, guild_id: GUILD });
    server.dispatch('THREAD_DELETE', { id: THREAD.id, guild_id: GUILD });
    server.say('again', { channel_id: THREAD.id, guild_id: GUILD });
    for (const message of await delivered(2)) {
      expect(message).toMatchObject({
        conversationId: `channel:${THREAD.id}`,
        parentConversationId: `channel:${GENERAL.id}`,
        threadId: THREAD.id,
        conversationAliases: [THREAD.id, GENERAL.id, GUILD],
        conversationName: 'Friends #general #a thread',
      });
    }
    expect(server.of('GET channel')).toHaveLength(1);
  });

  it('takes an answer to the bot for one that names it', async () => {
    await start();
    const answered = { id: '5', content: 'I said', author: BOT, mentions: [] };
    server.say('yes', { ...inGeneral, type: 19, message_reference: { message_id: '5' }, referenced_message: answered });
    const [message] = await delivered(1);
    expect(message).toMatchObject({ mentioned: true, replyTo: { messageId: '5', text: 'I said', senderId: BOT.id } });
  });

  it('leaves out what nobody said to it: its own words, other bots, webhooks, pins', async () => {
    await start();
    server.say('own', { author: BOT });
    server.say('bot', { author: { ...ANN, bot: true } });
    server.say('hook', { ...inGeneral, webhook_id: '4' });
    server.say('pinned', { type: 6 });
    server.say('');
    expect(await settled()).toEqual([]);
  });

  it.each([
    [true, ['plain', 'named']],
    ['mentions', ['named']],
  ])('hears other bots as allowBots %j says', async (allowBots, heard) => {
    await start({ allowBots });
    const robot = { id: '42', username: 'Robot', bot: true };
    server.say('plain', { ...inGeneral, author: robot });
    server.say('named', { ...inGeneral, ...NAMED, author: robot });
    server.say('own', { author: BOT });
    const found = await settled();
    expect(found.map(({ text }) => text)).toEqual(heard);
    // a bot may have the user name that a person has
    expect(found[0]).toMatchObject({ senderId: '42', senderAliases: [] });
  });

  it('says in words what is no text', async () => {
    await start();
    server.say('', { sticker_items: [{ id: '1', name: 'Wave' }] });
    server.say('', { poll: { question: { text: 'Tea?' }, answers: [{ poll_media: { text: 'yes' } }] } });
    server.say('', { message_snapshots: [{ message: { content: 'from afar', attachments: [{ filename: 'a.png' }] } }] });
    expect((await delivered(3)).map(({ text }) => text)).toEqual(['[sticker: Wave]', '[poll: Tea? (yes)]', '[forwarded] from afar [file: a.png]']);
  });

  it('fetches files when it is asked, within the limit', async () => {
    await start({ mediaMaxMb: 0.0001 });
    const url = server.addFile('a.txt', Buffer.from('content'));
    const large = server.addFile('b.bin', Buffer.alloc(200));
    server.say('look', {
      attachments: [
        { id: '1', url, filename: '../a.txt', content_type: 'text/plain; charset=utf-8', size: 7 },
        { id: '2', url: large, filename: 'b.bin', size: 50 },
        { id: '3', url, filename: 'c.png', content_type: 'image/png', size: 5000 },
        { id: '4', url: `${url}x`, filename: 'd.txt', size: 1 },
      ],
    });
    const [message] = await delivered(1);
    const [text, lying, image, gone] = message?.media ?? [];
    const { signal } = new AbortController();
    expect(text).toMatchObject({ kind: 'file', mimeType: 'text/plain', fileName: 'a.txt', size: 7 });
    expect(Buffer.from((await text?.load(signal)) ?? []).toString()).toBe('content');
    expect(image?.kind).toBe('image');
    await expect(lying?.load(signal)).rejects.toMatchObject({ code: 'DISCORD_FILE_SIZE' });
    await expect(image?.load(signal)).rejects.toMatchObject({ code: 'DISCORD_FILE_SIZE' });
    await expect(gone?.load(signal)).rejects.toMatchObject({ code: 'DISCORD_FILE' });
  });

  it('tells of edits, deletions, reactions and people who join as events', async () => {
    await start();
    const id = server.say('first', inGeneral);
    const edited = { ...server.messages.at(-1), content: 'second', edited_timestamp: '2026-01-01T00:00:00.000Z' };
    server.dispatch('MESSAGE_UPDATE', edited);
    server.dispatch('MESSAGE_UPDATE', { ...edited, edited_timestamp: null });
    server.dispatch('MESSAGE_UPDATE', { id, channel_id: GENERAL.id, guild_id: GUILD, embeds: [] });
    server.dispatch('MESSAGE_DELETE', { id, channel_id: GENERAL.id, guild_id: GUILD });
    server.dispatch('MESSAGE_DELETE', { id: '99', channel_id: GENERAL.id, guild_id: GUILD });
    const reaction = {
      user_id: ANN.id,
      channel_id: GENERAL.id,
      guild_id: GUILD,
      message_id: '5',
      emoji: { id: null, name: '👍' },
      member: { user: ANN, roles: [] },
    };
    server.dispatch('MESSAGE_REACTION_ADD', { ...reaction, message_author_id: BOT.id });
    server.dispatch('MESSAGE_REACTION_ADD', { ...reaction, message_author_id: '1' });
    server.dispatch('MESSAGE_REACTION_ADD', { ...reaction, message_author_id: BOT.id, user_id: BOT.id });
    server.say('', { ...inGeneral, type: 7 });
    const [, ...events] = await settled();
    expect(events.map(({ kind, text, senderId, conversationId }) => [kind, text, senderId, conversationId])).toEqual(
      [`Ann edited message ${id}: second`, `Ann had message ${id} deleted`, 'Ann reacted with 👍 to message 5', 'Ann joined the server'].map((text) => [
        'event',
        text,
        ANN.id,
        `channel:${GENERAL.id}`,
      ]),
    );
  });

  it.each([
    ['off', 0],
    ['own', 1],
    ['all', 2],
  ])('tells of reactions as reactionNotifications %s says', async (reactionNotifications, count) => {
    await start({ reactionNotifications });
    const reaction = { user_id: ANN.id, channel_id: ANN_DM, message_id: '5', emoji: { id: '3', name: 'wave' } };
    server.dispatch('MESSAGE_REACTION_ADD', { ...reaction, message_author_id: BOT.id });
    server.dispatch('MESSAGE_REACTION_REMOVE', reaction);
    expect(await settled()).toHaveLength(count);
  });

  it('takes no name that anybody may choose for the name of a person', async () => {
    await start({ allowBots: true, reactionNotifications: 'all' });
    const eve = { id: '3', username: 'eve', global_name: 'bob' };
    server.say('as a friend', { author: eve });
    const id = server.messages.at(-1)?.id;
    server.dispatch('MESSAGE_DELETE', { id, channel_id: ANN_DM });
    server.dispatch('MESSAGE_REACTION_ADD', { user_id: '3', channel_id: ANN_DM, message_id: id, emoji: { id: null, name: '👍' } });
    server.say('as a bot', { ...inGeneral, author: { id: '4', username: 'bob', bot: true } });
    server.say('as a webhook', { ...inGeneral, author: { id: '5', username: 'bob' }, webhook_id: '5' });
    const found = await settled();
    expect(found).toHaveLength(5);
    for (const { text, senderAliases, senderUsername } of found) {
      const names = text.startsWith('as a bot') || text.startsWith('as a webhook') ? { senderAliases: [] } : { senderAliases: ['eve'], senderUsername: 'eve' };
      expect({ senderAliases, ...(senderUsername === undefined ? {} : { senderUsername }) }, text).toEqual(names);
    }
  });

  it('is not brought down by an event that makes no sense', async () => {
    await start();
    server.dispatch('MESSAGE_CREATE', { id: 'x', channel_id: ANN_DM });
    server.dispatch('MESSAGE_CREATE', {});
    server.dispatch('SOMETHING_NEW', { channel_id: 5 });
    expect(await settled()).toEqual([]);
    expect(account?.log.some((line) => line.includes('left out'))).toBe(true);
  });
});

describe('guilds', () => {
  const say = (text: string, fields: object = {}) => server.say(text, { ...inGeneral, ...fields });
  const texts = async () => (await settled()).map(({ text }) => text).toSorted();

  it('hears only the servers that are named', async () => {
    await start({ guilds: { '1': {} } });
    say('elsewhere');
    expect(await texts()).toEqual([]);
  });

  it('hears only the channels that are named, and their threads; the name of a thread counts for nothing', async () => {
    await start({ guilds: { [GUILD]: { channels: { '#General': {}, 'a thread': {} } } } });
    say('here');
    say('in its thread', { channel_id: THREAD.id });
    say('there', { channel_id: QUIET.id });
    expect(await texts()).toEqual(['here', 'in its thread']);
    const running = account;
    await running?.stop();
    running?.delivered.splice(0);
    await start({ guilds: { '*': { channels: { 'quiet-room': { allow: true }, [GENERAL.id]: { allow: false }, 'a thread': {} } } } });
    say('here');
    say('in its thread', { channel_id: THREAD.id });
    say('there', { channel_id: QUIET.id });
    expect(await texts()).toEqual(['there']);
  });

  it('names every place for the rules, its server after it; the name of a thread counts for nothing', async () => {
    await start({ guilds: { [GUILD]: {} } });
    say('here');
    say('in its thread', { channel_id: THREAD.id });
    const own = [`${GUILD}/${GENERAL.id}`, `${GUILD}/general`, GUILD, `*/${GENERAL.id}`, '*/general'];
    const names = new Map((await settled()).map(({ text, conversationAliases }) => [text, conversationAliases]));
    expect(names.get('here')).toEqual([GENERAL.id, ...own]);
    const [first = '', second = '', ...rest] = own;
    const below = [`${GUILD}/${THREAD.id}`, first, second, GUILD, `*/${THREAD.id}`, ...rest.slice(1)];
    expect(names.get('in its thread')).toEqual([THREAD.id, GENERAL.id, ...below]);
  });

  it('does not hear what names others, where that is said', async () => {
    await start({
      guilds: { [GUILD]: { ignoreOtherMentions: true, channels: { general: {}, 'quiet-room': { ignoreOtherMentions: false } } } },
    });
    say('to all');
    say('to Bob', { mentions: [{ id: '2', username: 'bob' }] });
    say('to both', { mentions: [{ id: '2', username: 'bob' }, BOT] });
    say('quiet', { channel_id: QUIET.id, mentions: [{ id: '2', username: 'bob' }] });
    expect((await settled()).map(({ text, mentioned }) => `${text}: ${mentioned}`).toSorted()).toEqual(['quiet: false', 'to all: false', 'to both: true']);
  });
});
