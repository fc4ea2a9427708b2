import type { ChannelOutboundAdapter, OutboundResult, OutboundTarget } from 'Durar/plugin-sdk/core';
import { chunkMarkdown } from 'Durar/plugin-sdk/text-chunks';
import { createHash } from 'node:crypto';
import type { InputFile } from 'grammy';
import type { Message } from 'grammy/types';
import { fileTimeout, type Method, type Payload, type Result } from './api.ts';
import { type Attachment, type AttachmentKind, openAttachment } from './attachment.ts';
import type { Bot, Bots } from './bot.ts';
import { CAPTION_LIMIT, MESSAGE_LIMIT, toHtml, visibleLength } from './dialect.ts';
import { isParseError, TelegramError } from './failure.ts';
import { GENERAL_TOPIC, parseTarget, type Target } from './target.ts';

/** characters of Markdown in one message; markup and escapes are not counted by Telegram */
export const TEXT_LIMIT = 4000;
const POLL_OPTIONS = 12;
const POLL_SECONDS = { least: 5, most: 600 };

/** One call: which bot, which chat, how long. */
interface Call {
  bot: Bot;
  target: Target;
  signal: AbortSignal | undefined;
  onUncertain: (() => void) | undefined;
}

export function createOutbound(bots: Bots): ChannelOutboundAdapter {
  /** Works on one chat; what was called before for the same chat goes first. */
  async function at<Value>(params: OutboundTarget, work: (call: Call) => Promise<Value>): Promise<Value> {
    const { cfg, accountId, to, threadId, onUncertain, signal } = params;
    const bot = await bots.of(cfg, accountId);
    const target = parseTarget(to, threadId);
    return bot.inOrder(`out:${target.chatId}`, () => work({ bot, target, signal, onUncertain }));
  }

  return {
    deliveryMode: 'direct',
    textChunkLimit: TEXT_LIMIT,
    pollMaxOptions: POLL_OPTIONS,

    sendText: ({ text, ...to }) => at(to, async (call) => sentAs(call.bot, await sendText(call, text, replyTo(to.replyToId)))),

    sendMedia: ({ text, mediaUrl, asVoice = false, ...to }) =>
      at(to, async (call) => {
        const { account } = call.bot;
        // as HTML, and as it was written where that is not taken
        const fits = Math.max(visibleLength(toHtml(text, account.tables)), text.length) <= CAPTION_LIMIT;
        const caption = fits ? text : '';
        const reply = replyTo(to.replyToId);
        const texts = fits ? [] : chunkMarkdown(text, { chars: TEXT_LIMIT });
        // the file is read before anything is sent
        const attachment = await openAttachment(mediaUrl, { maxBytes: account.mediaMaxBytes, hasCaption: caption !== '', asVoice });
        return inSteps(call.bot, stepsKey(to, mediaUrl), [
          () => sendFile(call, attachment, caption, reply),
          ...texts.map((part) => () => sendText(call, part, {})),
        ]);
      }),

    sendPoll: ({ poll, silent, isAnonymous, ...to }) =>
      at(to, async (call) => {
        const seconds = poll.durationSeconds ?? (poll.durationHours === undefined ? undefined : poll.durationHours * 3600);
        if (seconds !== undefined && (seconds < POLL_SECONDS.least || seconds > POLL_SECONDS.most)) {
          throw new TelegramError('TELEGRAM_POLL', `a poll of ${seconds} seconds is not possible`, {
            hint: 'Telegram polls are open for 5 to 600 seconds, or without end.',
          });
        }
        const sent = await request(call, 'sendPoll', {
          question: poll.question,
          options: poll.options.map((text) => ({ text })),
          allows_multiple_answers: poll.maxSelections > 1,
          ...(isAnonymous === undefined ? {} : { is_anonymous: isAnonymous }),
          ...(seconds === undefined ? {} : { open_period: seconds }),
          ...(silent === true ? { disable_notification: true } : {}),
          ...topic(call.target),
          ...replyTo(to.replyToId),
        });
        return { ...sentAs(call.bot, sent), pollId: sent.poll.id, conversationId: String(sent.chat.id) };
      }),

    editText: ({ messageId, text, ...to }) =>
      at(to, async (call) => {
        try {
          await inHtml(call, text, MESSAGE_LIMIT, (content) =>
            request(call, 'editMessageText', { message_id: messageNumber(messageId), text: content.text, ...content.markup, ...preview(call.bot) }),
          );
        } catch (error) {
          // a try whose answer was lost had done it
          if (!isRefusal(error, /message is not modified/i)) throw error;
        }
        return { messageId };
      }),

    deleteMessage: ({ messageId, ...to }) =>
      at(to, async (call) => {
        try {
          await request(call, 'deleteMessage', { message_id: messageNumber(messageId) });
        } catch (error) {
          if (!isRefusal(error, /message to delete not found/i)) throw error;
        }
      }),

    sendReaction: ({ messageId, emoji, ...to }) =>
      at(to, async (call) => {
        if (!call.bot.account.mayReact) {
          throw new TelegramError('TELEGRAM_REACTIONS_OFF', 'reactions are switched off', { hint: 'Set channels.telegram.reactionLevel to minimal.' });
        }
        const reaction = emoji === '' ? [] : [{ type: 'emoji' as const, emoji }];
        await request(call, 'setMessageReaction', { message_id: messageNumber(messageId), reaction } as Omit<Payload<'setMessageReaction'>, 'chat_id'>);
      }),

    async sendTyping({ cfg, accountId, to, threadId, signal }) {
      const bot = await bots.of(cfg, accountId);
      const { chatId, topicId } = parseTarget(to, threadId);
      // the General topic as well, else it would show in no topic; not tried again, as the next one comes soon
      const thread = topicId === undefined ? {} : { message_thread_id: topicId };
      await bot.api.call('sendChatAction', { chat_id: chatId, action: 'typing', ...thread }, { signal, once: true });
    },
  };
}

type ChatMethod = { [Name in Method]: Payload<Name> extends { chat_id?: number | string } ? Name : never }[Method];

/** One request about the chat. A group that became a supergroup has another id; then nothing was done, and it is asked under that one. */
async function request<Name extends ChatMethod>(
  { bot, target, signal, onUncertain }: Call,
  method: Name,
  payload: Omit<Payload<Name>, 'chat_id'>,
  timeoutMs?: number,
): Promise<Result<Name>> {
  const options = { signal, onUncertain, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  const to = (chatId: number | string) => bot.api.call(method, { ...payload, chat_id: chatId } as unknown as Payload<Name>, options);
  try {
    return await to(target.chatId);
  } catch (error) {
    if (!(error instanceof TelegramError) || error.migratedTo === undefined) throw error;
    return to(error.migratedTo);
  }
}

function sendText(call: Call, text: string, reply: object): Promise<Message> {
  return inHtml(call, text, MESSAGE_LIMIT, (content) =>
    request(call, 'sendMessage', { text: content.text, ...content.markup, ...preview(call.bot), ...topic(call.target), ...reply }),
  );
}

/** Sends Markdown as HTML; when Telegram cannot read it, or it grew beyond the limit, as it was written. */
async function inHtml<Value>(
  { bot }: Call,
  text: string,
  limit: number,
  send: (content: { text: string; markup: { parse_mode?: 'HTML' } }) => Promise<Value>,
): Promise<Value> {
  const html = toHtml(text, bot.account.tables);
  const plain = () => send({ text, markup: {} });
  if (html === '' || visibleLength(html) > limit) return plain();
  try {
    return await send({ text: html, markup: { parse_mode: 'HTML' } });
  } catch (error) {
    if (!isParseError(error)) throw error;
    return plain();
  }
}

async function sendFile(call: Call, attachment: Attachment, caption: string, reply: object): Promise<Message> {
  const { api, account } = call.bot;
  const { kind, source } = attachment;
  const content: string | InputFile = typeof source === 'string' ? source : await api.file(source.bytes, source.name);
  const [method, field] = FILE_METHODS[kind];
  try {
    return await inHtml(call, caption, CAPTION_LIMIT, ({ text, markup }) => {
      const words = text === '' ? {} : { caption: text, ...markup };
      const payload = { [field]: content, ...words, ...topic(call.target), ...reply } as unknown as Omit<Payload<typeof method>, 'chat_id'>;
      return request(call, method, payload, fileTimeout(account.timeoutMs)) as Promise<Message>;
    });
  } catch (error) {
    if (kind !== 'photo' || !isRefusal(error, /PHOTO_INVALID|PHOTO_SAVE|IMAGE_PROCESS/i)) throw error;
    return sendFile(call, { kind: 'document', source }, caption, reply);
  }
}

const FILE_METHODS = {
  photo: ['sendPhoto', 'photo'],
  animation: ['sendAnimation', 'animation'],
  sticker: ['sendSticker', 'sticker'],
  voice: ['sendVoice', 'voice'],
  audio: ['sendAudio', 'audio'],
  video: ['sendVideo', 'video'],
  document: ['sendDocument', 'document'],
} as const satisfies Record<AttachmentKind, readonly [ChatMethod, string]>;

/** Does the steps in order; a later try of the same message begins after those that are done. */
async function inSteps(bot: Bot, key: string | undefined, steps: ReadonlyArray<() => Promise<Message>>): Promise<OutboundResult> {
  const done = (key === undefined ? undefined : bot.steps.get(key)) ?? [];
  for (const step of steps.slice(done.length)) {
    const message = await step();
    sentAs(bot, message);
    done.push(message.message_id);
    if (key !== undefined) bot.steps.set(key, done);
  }
  if (key !== undefined) bot.steps.delete(key);
  return { messageId: String(done[0]) };
}

function stepsKey({ idempotencyKey, to }: OutboundTarget, mediaUrl: string): string | undefined {
  return idempotencyKey === undefined
    ? undefined
    : createHash('sha256')
        .update(JSON.stringify([idempotencyKey, to, mediaUrl]))
        .digest('base64');
}

function sentAs(bot: Bot, { chat, message_id }: Message): OutboundResult {
  bot.sent.set(`${chat.id}:${message_id}`, true);
  return { messageId: String(message_id) };
}

/** Telegram refuses the id of the General topic in what is sent. */
function topic({ topicId }: Target): { message_thread_id?: number } {
  return topicId === undefined || topicId === GENERAL_TOPIC ? {} : { message_thread_id: topicId };
}

/** Ids of presses and edits are no messages that can be answered. */
function replyTo(messageId: string | undefined): { reply_parameters?: { message_id: number; allow_sending_without_reply: true } } {
  if (messageId === undefined || !/^\d+$/.test(messageId)) return {};
  return { reply_parameters: { message_id: Number(messageId), allow_sending_without_reply: true } };
}

function preview({ account }: Bot): { link_preview_options?: { is_disabled: true } } {
  return account.linkPreview ? {} : { link_preview_options: { is_disabled: true } };
}

function messageNumber(messageId: string): number {
  if (/^\d+$/.test(messageId)) return Number(messageId);
  throw new TelegramError('TELEGRAM_MESSAGE_ID', `'${messageId}' is no Telegram message id`, { hint: 'Use the number that sending the message gave.' });
}

function isRefusal(error: unknown, reason: RegExp): boolean {
  return error instanceof TelegramError && error.status === 400 && reason.test(error.description ?? '');
}
