import { type DeliveryReceipt, errorText, type InboundMedia, type InboundMessage } from 'Durar/plugin-sdk/core';
import type { Update, UserFromGetMe } from 'grammy/types';
import type { Bot } from './bot.ts';
import { type Incoming, readUpdate } from './updates.ts';

export interface ReceiverOptions {
  bot: Bot;
  me: UserFromGetMe;
  deliver(message: InboundMessage): Promise<DeliveryReceipt>;
  log: { debug(text: string): void; warn(text: string): void };
  signal: AbortSignal;
}

/** Hands one update to the host. Resolves when it may be confirmed to Telegram; rejects when it could not be kept and must come again. */
export type Receive = (update: Update) => Promise<void>;

export function createReceiver({ bot, me, deliver, log, signal }: ReceiverOptions): Receive {
  const { account, api } = bot;
  const context = {
    me,
    mediaMaxBytes: account.mediaMaxBytes,
    reactionNotifications: account.reactionNotifications,
    wasSent: (chatId: number, messageId: number) => bot.sent.get(`${chatId}:${messageId}`) === true,
  };

  function read(update: Update): Incoming | undefined {
    try {
      return readUpdate(update, context);
    } catch (error) {
      // it would be the same the next time, and stand before all later ones
      log.warn(`the update ${update.update_id} is left out, as it cannot be read: ${errorText(error)}`);
      return undefined;
    }
  }

  function withFiles({ message, media }: Incoming): InboundMessage {
    const files = media.map(({ fileId, ...facts }): InboundMedia => {
      const load: InboundMedia['load'] = (limit, { maxBytes } = { maxBytes: account.mediaMaxBytes }) =>
        api.download(fileId, { maxBytes, signal: AbortSignal.any([limit, signal]) });
      return { ...facts, load };
    });
    return { ...message, accountId: account.accountId, ...(files.length === 0 ? {} : { media: files }) };
  }

  return async (update) => {
    const incoming = read(update);
    if (update.message?.migrate_to_chat_id !== undefined) {
      log.warn(`the group ${update.message.chat.id} has the id ${update.message.migrate_to_chat_id} now; use it in channels.telegram.groups`);
    }
    if (incoming === undefined) return;
    await deliver(withFiles(incoming));
    if (incoming.callbackId === undefined) return;
    try {
      await api.call('answerCallbackQuery', { callback_query_id: incoming.callbackId }, { signal });
    } catch (error) {
      // the button stops turning by itself
      log.debug(`a button was not confirmed: ${errorText(error)}`);
    }
  };
}
