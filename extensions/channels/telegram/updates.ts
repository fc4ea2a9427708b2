import type { InboundMessage } from 'Durar/plugin-sdk/core';
import type { CallbackQuery, Chat, Message, MessageEntity, MessageReactionUpdated, Update, User, UserFromGetMe } from 'grammy/types';
import { describeContent, type FoundMedia, mediaOf } from './media.ts';
import { conversationId, GENERAL_TOPIC, normalizeSender } from './target.ts';

/** The kinds of update that Telegram is asked for. */
export const UPDATE_KINDS = ['message', 'edited_message', 'channel_post', 'edited_channel_post', 'callback_query', 'message_reaction'] as const;

export interface UpdateContext {
  me: UserFromGetMe;
  reactionNotifications: 'off' | 'own' | 'all';
  /** Largest file that is taken, in bytes; of the sizes of a photo the largest within it. */
  mediaMaxBytes: number;
  /** Whether the bot sent that message. */
  wasSent(chatId: number, messageId: number): boolean;
}

/** What an update tells the host; its files are not fetched yet. */
export interface Incoming {
  message: Omit<InboundMessage, 'media'>;
  media: FoundMedia[];
  /** The press of a button that waits to be confirmed. */
  callbackId?: string;
}

/** Reads an update; undefined when it is nothing that the host is told of. */
export function readUpdate(update: Update, context: UpdateContext): Incoming | undefined {
  const message = update.message ?? update.channel_post;
  if (message !== undefined) return readMessage(message, context);
  const edited = update.edited_message ?? update.edited_channel_post;
  if (edited !== undefined) return readEdit(edited, context);
  if (update.callback_query !== undefined) return readCallback(update.callback_query, context);
  if (update.message_reaction !== undefined) return readReaction(update.message_reaction, context);
  return undefined;
}

/** The chat that an update is about; what concerns one chat is kept in order. */
export function chatOf(update: Update): string {
  const message = update.message ?? update.channel_post ?? update.edited_message ?? update.edited_channel_post ?? update.callback_query?.message;
  // what comes from outside may lack what the types promise
  const { chat } = (message ?? update.message_reaction ?? {}) as { chat?: Partial<Chat> };
  return String(chat?.id ?? 'none');
}

function readMessage(message: Message, context: UpdateContext): Incoming | undefined {
  const sender = senderOf(message);
  // its own messages and those of other bots: two bots would answer each other without end
  if (sender === undefined || sender.isBot) return undefined;
  const joined = membershipText(message, context.me);
  if (joined !== undefined) return event(message, sender, joined, `member:${message.message_id}`);
  const text = textOf(message, context.me);
  if (text === undefined) return undefined;
  const media = mediaOf(message, context.mediaMaxBytes);
  const content = [forwardText(message), text === '' ? describeContent(message) : text].filter((part) => part !== undefined && part !== '');
  if (content.length === 0 && media.length === 0) return undefined;
  const replyTo = replyOf(message);
  return {
    message: {
      ...conversationOf(message.chat, topicOf(message), topicName(message)),
      ...senderFields(sender),
      text: content.join('\n'),
      messageId: String(message.message_id),
      timestamp: message.date * 1000,
      ...(message.chat.type === 'private' ? {} : { mentioned: isMentioned(message, context.me) }),
      ...(replyTo === undefined ? {} : { replyTo }),
    },
    media,
  };
}

function readEdit(message: Message, context: UpdateContext): Incoming | undefined {
  const sender = senderOf(message);
  const text = textOf(message, context.me);
  // a live location is edited every few seconds
  if (sender === undefined || sender.isBot || text === undefined || text === '' || message.edit_date === undefined) return undefined;
  return event(message, sender, `${sender.name} edited message ${message.message_id}: ${text}`, `edit:${message.message_id}:${message.edit_date}`);
}

function readCallback(query: CallbackQuery, { me }: UpdateContext): Incoming | undefined {
  const { message, data } = query;
  if (message === undefined || data === undefined || query.from.is_bot) return undefined;
  const full = 'from' in message ? (message as Message) : undefined;
  return {
    message: {
      ...conversationOf(message.chat, full === undefined ? undefined : topicOf(full)),
      ...senderFields(userSender(query.from)),
      text: `callback_data: ${data}`,
      messageId: `callback:${query.id}`,
      ...(message.chat.type === 'private' ? {} : { mentioned: true }),
      replyTo: { messageId: String(message.message_id), senderId: String(me.id), ...(full?.text === undefined ? {} : { text: full.text }) },
    },
    media: [],
    callbackId: query.id,
  };
}

function readReaction(reaction: MessageReactionUpdated, context: UpdateContext): Incoming | undefined {
  const { chat, message_id: messageId, user, actor_chat: actor, date } = reaction;
  if (context.reactionNotifications === 'off' || user?.is_bot === true) return undefined;
  if (context.reactionNotifications === 'own' && !context.wasSent(chat.id, messageId)) return undefined;
  const sender = user !== undefined ? userSender(user) : actor !== undefined ? chatSender(actor) : undefined;
  if (sender === undefined) return undefined;
  const [before, after] = [reaction.old_reaction, reaction.new_reaction].map((list) => list.map((each) => (each.type === 'emoji' ? each.emoji : each.type)));
  const added = (after ?? []).filter((each) => !before?.includes(each as never));
  const removed = (before ?? []).filter((each) => !after?.includes(each as never));
  const what = added.length > 0 ? `reacted with ${added.join(' ')} to` : `took ${removed.join(' ')} away from`;
  const id = `reaction:${messageId}:${sender.id}:${date}:${(after ?? []).join('')}`;
  return {
    message: {
      ...conversationOf(chat),
      ...senderFields(sender),
      text: `${sender.name} ${what} message ${messageId}`,
      kind: 'event',
      messageId: id,
      timestamp: date * 1000,
    },
    media: [],
  };
}

function event(message: Message, sender: Sender, text: string, messageId: string): Incoming {
  return {
    message: {
      ...conversationOf(message.chat, topicOf(message), topicName(message)),
      ...senderFields(sender),
      text,
      kind: 'event',
      messageId,
      timestamp: (message.edit_date ?? message.date) * 1000,
    },
    media: [],
  };
}

interface Sender {
  id: string;
  name: string;
  username?: string;
  isBot: boolean;
}

/** An anonymous admin or a channel writes in the name of a chat; the user that Telegram puts there is the same for all of them. */
function senderOf(message: Message): Sender | undefined {
  if (message.sender_chat !== undefined) return chatSender(message.sender_chat);
  return message.from === undefined ? undefined : userSender(message.from);
}

function userSender({ id, first_name, last_name, username, is_bot }: User): Sender {
  const name = [first_name, last_name].filter(Boolean).join(' ');
  return { id: String(id), name, isBot: is_bot, ...(username === undefined ? {} : { username }) };
}

function chatSender(chat: Chat): Sender {
  return { id: String(chat.id), name: chatName(chat), isBot: false, ...(chat.username === undefined ? {} : { username: chat.username }) };
}

function senderFields({ id, name, username }: Sender): Pick<InboundMessage, 'senderId' | 'senderName' | 'senderAliases' | 'senderUsername'> {
  if (username === undefined) return { senderId: id, senderName: name };
  const senderUsername = normalizeSender(username);
  return { senderId: id, senderName: name, senderAliases: [senderUsername], senderUsername };
}

type Conversation = Pick<InboundMessage, 'conversationId' | 'conversationName' | 'conversationAliases' | 'parentConversationId' | 'threadId' | 'chatType'>;

/** A topic of a group is a conversation of its own; one of a private chat only says where answers go. */
function conversationOf(chat: Chat, topicId?: number, topic?: string): Conversation {
  const isPrivate = chat.type === 'private';
  const isForum = topicId !== undefined && !isPrivate;
  return {
    conversationId: isForum ? conversationId(chat.id, topicId) : String(chat.id),
    conversationName: topic === undefined ? chatName(chat) : `${chatName(chat)} / ${topic}`,
    chatType: isPrivate ? 'direct' : chat.type === 'channel' ? 'channel' : 'group',
    ...(isForum ? { parentConversationId: String(chat.id) } : {}),
    ...(topicId === undefined ? {} : { threadId: String(topicId) }),
    ...(isPrivate || chat.username === undefined ? {} : { conversationAliases: [`@${chat.username.toLowerCase()}`] }),
  };
}

function chatName(chat: Chat): string {
  return chat.title ?? ([chat.first_name, chat.last_name].filter(Boolean).join(' ') || String(chat.id));
}

/** Elsewhere than in a forum the thread id only groups replies. */
function topicOf({ chat, is_topic_message, message_thread_id }: Message): number | undefined {
  if (is_topic_message === true) return message_thread_id;
  return chat.type === 'supergroup' && chat.is_forum === true ? GENERAL_TOPIC : undefined;
}

/** Messages of a topic answer the one that made it, unless they answer another. */
function topicName(message: Message): string | undefined {
  return message.reply_to_message?.forum_topic_created?.name;
}

function replyOf(message: Message): InboundMessage['replyTo'] {
  const answered = message.reply_to_message;
  if (answered === undefined || answered.forum_topic_created !== undefined) return undefined;
  const sender = senderOf(answered);
  const text = message.quote?.text ?? answered.text ?? answered.caption ?? describeContent(answered);
  return {
    messageId: String(answered.message_id),
    ...(text === undefined ? {} : { text }),
    ...(sender === undefined ? {} : { senderId: sender.id, senderName: sender.name }),
  };
}

function isMentioned(message: Message, me: UserFromGetMe): boolean {
  const answered = message.reply_to_message;
  if (answered?.from?.id === me.id && answered.forum_topic_created === undefined) return true;
  const text = message.text ?? message.caption ?? '';
  const name = `@${me.username.toLowerCase()}`;
  return entitiesOf(message).some((entity) => {
    const named = text.slice(entity.offset, entity.offset + entity.length).toLowerCase();
    if (entity.type === 'text_mention') return entity.user.id === me.id;
    if (entity.type === 'mention') return named === name;
    return entity.type === 'bot_command' && named.endsWith(name);
  });
}

/**
 * The text of a message: addresses of links written out, the bot's name taken from a command (`/status@my_bot`). Undefined: a command for
 * another bot.
 */
function textOf(message: Message, me: UserFromGetMe): string | undefined {
  let text = message.text ?? message.caption ?? '';
  for (const entity of entitiesOf(message).toReversed()) {
    const end = entity.offset + entity.length;
    if (entity.type === 'text_link') text = `${text.slice(0, end)} (${entity.url})${text.slice(end)}`;
    if (entity.type !== 'bot_command' || entity.offset !== 0) continue;
    const [command = '', bot] = text.slice(0, end).split('@');
    if (bot === undefined) continue;
    if (bot.toLowerCase() !== me.username.toLowerCase()) return undefined;
    text = command + text.slice(end);
  }
  return text;
}

function entitiesOf(message: Message): MessageEntity[] {
  return message.entities ?? message.caption_entities ?? [];
}

function membershipText(message: Message, me: UserFromGetMe): string | undefined {
  const name = (user: User) => (user.id === me.id ? 'the bot' : userSender(user).name);
  if (message.new_chat_members !== undefined) return `${message.new_chat_members.map(name).join(', ')} joined`;
  if (message.left_chat_member !== undefined) return `${name(message.left_chat_member)} left`;
  return undefined;
}

function forwardText({ forward_origin: origin }: Message): string | undefined {
  if (origin === undefined) return undefined;
  if (origin.type === 'user') return `[forwarded from ${userSender(origin.sender_user).name}]`;
  if (origin.type === 'hidden_user') return `[forwarded from ${origin.sender_user_name}]`;
  return `[forwarded from ${chatName(origin.type === 'chat' ? origin.sender_chat : origin.chat)}]`;
}
