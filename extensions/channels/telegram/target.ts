import { TelegramError } from './failure.ts';

/** The topic that every forum has; messages in it carry no topic id, and those to it must not. */
export const GENERAL_TOPIC = 1;

/** A chat, and a topic in it. */
export interface Target {
  chatId: number | string;
  topicId?: number;
}

const TARGET = /^(-?\d+|@?[a-z][a-z0-9_]{3,31})(?::topic:(\d+))?$/i;

/** Reads `123`, `-100123:topic:5`, `@name`, each with or without `tg:` in front, and `https://t.me/name`. `threadId` goes before the topic that `to` names. */
export function parseTarget(to: string, threadId?: string): Target {
  const bare = to.trim().replace(/^https:\/\/t\.me\//i, '');
  const [, chat, topic] = TARGET.exec(stripPrefix(bare)) ?? [];
  if (chat === undefined) {
    throw new TelegramError('TELEGRAM_TARGET', `'${to}' names no Telegram chat`, {
      hint: 'Use the numeric id of the chat, `<chat>:topic:<n>` for a topic, or `@name` of a public chat.',
    });
  }
  const chatId = /^-?\d+$/.test(chat) ? Number(chat) : `@${chat.replace(/^@/, '')}`;
  const topicId = Number(threadId ?? topic);
  return Number.isInteger(topicId) && topicId > 0 ? { chatId, topicId } : { chatId };
}

/** How the host names a conversation. */
export function conversationId(chatId: number, topicId?: number): string {
  return topicId === undefined ? String(chatId) : `${chatId}:topic:${topicId}`;
}

/** The form in which people are compared: a numeric id, or a user name in lower case without `@`. */
export function normalizeSender(entry: string): string {
  return stripPrefix(entry.trim().toLowerCase()).replace(/^@/, '');
}

function stripPrefix(entry: string): string {
  return entry.replace(/^(?:telegram|tg):/i, '').replace(/^(?:user|group):/i, '');
}
