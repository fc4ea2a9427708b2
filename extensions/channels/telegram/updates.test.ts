import type { Update, UserFromGetMe } from 'grammy/types';
import { describe, expect, it } from 'vitest';
import { ANN, ANN_CHAT, BOT } from '../../../test/fixtures/telegram-server.ts';
import { type Incoming, readUpdate, type UpdateContext } from './updates.ts';

const me = BOT as unknown as UserFromGetMe;
const GROUP = { id: -100123, type: 'supergroup', title: 'Friends', username: 'Friends_Chat' };
const FORUM = { ...GROUP, is_forum: true };
const CONTEXT: UpdateContext = { me, mediaMaxBytes: 1000, reactionNotifications: 'own', wasSent: () => true };

const read = (update: object, context: Partial<UpdateContext> = {}): Incoming | undefined =>
  readUpdate({ update_id: 1, ...update } as Update, { ...CONTEXT, ...context });
const message = (fields: object) => read({ message: { message_id: 10, date: 100, from: ANN, chat: GROUP, text: 'hello', ...fields } })?.message;
/** An entity over a part of a text. */
const over = (text: string, part: string, type: string, more: object = {}) => ({
  text,
  entities: [{ type, offset: text.indexOf(part), length: part.length, ...more }],
});

describe('where a message was written', () => {
  it('a group, named by id and by its public name', () => {
    expect(message({})).toMatchObject({ conversationId: '-100123', conversationName: 'Friends', conversationAliases: ['@friends_chat'], chatType: 'group' });
    expect(message({})).not.toHaveProperty('threadId');
  });

  it('a topic is a conversation of its own below its group', () => {
    const made = { message_id: 5, date: 1, from: BOT, chat: FORUM, forum_topic_created: { name: 'Tea', icon_color: 1 } };
    const topic = { chat: FORUM, is_topic_message: true, message_thread_id: 5, reply_to_message: made };
    expect(message(topic)).toMatchObject({
      conversationId: '-100123:topic:5',
      parentConversationId: '-100123',
      threadId: '5',
      conversationName: 'Friends / Tea',
      // that the bot made the topic does not make everything in it an answer to the bot
      mentioned: false,
    });
    expect(message(topic)).not.toHaveProperty('replyTo');
  });

  it('the General topic of a forum carries no id and is topic 1', () => {
    expect(message({ chat: FORUM })).toMatchObject({ conversationId: '-100123:topic:1', threadId: '1' });
  });

  it('a chain of replies in a plain group is no topic', () => {
    expect(message({ message_thread_id: 77 })).toMatchObject({ conversationId: '-100123' });
  });

  it('a topic of a private chat only says where answers go', () => {
    expect(message({ chat: ANN_CHAT, is_topic_message: true, message_thread_id: 4 })).toMatchObject({
      conversationId: '7001',
      chatType: 'direct',
      threadId: '4',
    });
    expect(message({ chat: ANN_CHAT })).not.toHaveProperty('mentioned');
  });

  it('a channel', () => {
    const chat = { id: -100999, type: 'channel', title: 'News' };
    expect(read({ channel_post: { message_id: 1, date: 1, chat, sender_chat: chat, text: 'hi' } })?.message).toMatchObject({
      chatType: 'channel',
      conversationId: '-100999',
      senderId: '-100999',
    });
  });
});

describe('who wrote it', () => {
  it('a person by number, with the user name beside it', () => {
    expect(message({})).toMatchObject({ senderId: '7001', senderName: 'Ann Smith', senderAliases: ['annsmith'], senderUsername: 'annsmith' });
    expect(message({ from: { id: 5, is_bot: false, first_name: 'Bo' } })).not.toHaveProperty('senderAliases');
  });

  it('an anonymous admin by the group, not by the account that all of them share', () => {
    const shared = { id: 1087968824, is_bot: true, first_name: 'Group', username: 'GroupAnonymousBot' };
    expect(message({ from: shared, sender_chat: GROUP })).toMatchObject({ senderId: '-100123', senderName: 'Friends' });
  });

  it('bots are not heard, and neither is the bot itself', () => {
    expect(message({ from: BOT })).toBeUndefined();
    expect(message({ from: { ...ANN, is_bot: true } })).toBeUndefined();
  });
});

describe('whether the bot is meant', () => {
  it('by its name, by a link to it, by an answer to it, by a command for it', () => {
    expect(message({ text: 'hello durar_test_bot' })?.mentioned).toBe(false);
    expect(message(over('hello @Durar_Test_Bot', '@Durar_Test_Bot', 'mention'))?.mentioned).toBe(true);
    expect(message(over('hello @durar_test_bot2', '@durar_test_bot2', 'mention'))?.mentioned).toBe(false);
    expect(message(over('hello you', 'you', 'text_mention', { user: BOT }))?.mentioned).toBe(true);
    expect(message(over('hello you', 'you', 'text_mention', { user: ANN }))?.mentioned).toBe(false);
    expect(message({ reply_to_message: { message_id: 3, date: 1, from: BOT, chat: GROUP, text: 'mine' } })?.mentioned).toBe(true);
    expect(message({ reply_to_message: { message_id: 3, date: 1, from: ANN, chat: GROUP, text: 'hers' } })?.mentioned).toBe(false);
    expect(message(over('/status@durar_test_bot now', '/status@durar_test_bot', 'bot_command'))).toMatchObject({ mentioned: true, text: '/status now' });
  });

  it('a command for another bot is not for us', () => {
    expect(message(over('/status@other_bot', '/status@other_bot', 'bot_command'))).toBeUndefined();
  });

  it('counts as Telegram does where characters take two places', () => {
    const text = '😀😀 @durar_test_bot';
    expect(message({ text, entities: [{ type: 'mention', offset: 5, length: 15 }] })?.mentioned).toBe(true);
  });
});

describe('what it says', () => {
  it('the address of a link, what it answers, whom it was forwarded from', () => {
    expect(message(over('see this page', 'this', 'text_link', { url: 'https://example.org' }))?.text).toBe('see this (https://example.org) page');
    const answered = { message_id: 3, date: 1, from: ANN, chat: GROUP, text: 'a long text' };
    expect(message({ reply_to_message: answered })?.replyTo).toEqual({ messageId: '3', senderId: '7001', senderName: 'Ann Smith', text: 'a long text' });
    expect(message({ reply_to_message: answered, quote: { text: 'long', position: 2 } })?.replyTo?.text).toBe('long');
    expect(message({ forward_origin: { type: 'user', date: 1, sender_user: ANN } })?.text).toBe('[forwarded from Ann Smith]\nhello');
  });

  it('what has no text in words', () => {
    expect(message({ text: undefined, location: { latitude: 52.5, longitude: 13.4 } })?.text).toBe('[location: 52.5, 13.4]');
    expect(message({ text: undefined, contact: { first_name: 'Bo', phone_number: '+491' } })?.text).toBe('[contact: Bo, +491]');
    expect(message({ text: undefined, dice: { emoji: '🎲', value: 6 } })?.text).toBe('[🎲 6]');
    expect(message({ text: undefined, poll: { question: 'Tea?', options: [{ text: 'yes' }, { text: 'no' }] } })?.text).toBe('[poll: Tea? (yes) (no)]');
    expect(message({ text: undefined, pinned_message: {} })).toBeUndefined();
  });

  it('edits, arrivals and reactions are events', () => {
    const edited = read({ edited_message: { message_id: 10, date: 1, edit_date: 7, from: ANN, chat: GROUP, text: 'hello again' } })?.message;
    expect(edited).toMatchObject({ kind: 'event', text: 'Ann Smith edited message 10: hello again', messageId: 'edit:10:7', timestamp: 7000 });
    expect(message({ text: undefined, new_chat_members: [{ ...ANN, first_name: 'Bo', last_name: undefined }] })).toMatchObject({
      kind: 'event',
      text: 'Bo joined',
    });
    expect(message({ text: undefined, left_chat_member: BOT })).toMatchObject({ kind: 'event', text: 'the bot left' });
    const away = { chat: GROUP, message_id: 4, user: ANN, date: 1, old_reaction: [{ type: 'emoji', emoji: '👍' }], new_reaction: [] };
    expect(read({ message_reaction: away })?.message).toMatchObject({ kind: 'event', text: 'Ann Smith took 👍 away from message 4' });
    expect(read({ message_reaction: away }, { reactionNotifications: 'off' })).toBeUndefined();
    expect(read({ message_reaction: away }, { wasSent: () => false })).toBeUndefined();
    expect(read({ message_reaction: away }, { reactionNotifications: 'all', wasSent: () => false })).toBeDefined();
  });
});

describe('which files it has', () => {
  const media = (fields: object) => read({ message: { message_id: 10, date: 1, from: ANN, chat: ANN_CHAT, ...fields } })?.media;
  const file = (file_id: string, more: object = {}) => ({ file_id, file_unique_id: file_id, ...more });

  it('of a photo the largest size within the limit', () => {
    const sizes = [1, 30, 20].map((width) => file(`p${width}`, { width, height: 1, file_size: width * 40 }));
    expect(media({ photo: sizes })).toEqual([{ kind: 'image', fileId: 'p20', mimeType: 'image/jpeg', size: 800 }]);
  });

  it('each other kind', () => {
    const kinds = (fields: object) => media(fields)?.map(({ kind, mimeType }) => `${kind} ${mimeType}`);
    expect(kinds({ voice: file('a') })).toEqual(['audio audio/ogg']);
    expect(kinds({ audio: file('a', { mime_type: 'audio/mp4' }) })).toEqual(['audio audio/mp4']);
    expect(kinds({ video: file('a') })).toEqual(['video video/mp4']);
    expect(kinds({ animation: file('a'), document: file('a') })).toEqual(['video video/mp4']);
    expect(kinds({ document: file('a', { mime_type: 'image/png' }) })).toEqual(['image image/png']);
    expect(kinds({ sticker: file('a', { emoji: '👍' }) })).toEqual(['image image/webp']);
    expect(kinds({ sticker: file('a', { is_video: true }) })).toEqual(['video video/webm']);
  });

  it('a file name leads into no folder', () => {
    expect(media({ document: file('a', { file_name: '../../etc/passwd' }) })?.[0]?.fileName).toBe('passwd');
  });
});
