import type { ChannelOutboundAdapter, OutboundPollQuestion, OutboundResult, OutboundTarget } from 'Durar/plugin-sdk/core';
import { chunkMarkdown } from 'Durar/plugin-sdk/text-chunks';
import { createHash } from 'node:crypto';
import type { APIMessage, APIReaction } from 'discord.js';
import type { CallOptions, HttpMethod, Route } from './api.ts';
import { openAttachment } from './attachment.ts';
import type { Bot, Bots } from './bot.ts';
import { MESSAGE_LIMIT, toDiscord } from './dialect.ts';
import { DiscordError, UNKNOWN_MESSAGE } from './failure.ts';
import { parseTarget, type Target } from './target.ts';

/** More lines than this are too much for one message in a busy channel. */
const TEXT_LINES = 17;
const POLL = { options: 10, question: 300, answer: 55, mostHours: 768, defaultHours: 24 };
/** No notification. */
const SILENT = 1 << 12;

/** One call: which bot, which channel. */
interface Call {
  bot: Bot;
  channelId: string;
  to: OutboundTarget;
  request<Result = APIMessage>(method: HttpMethod, route: Route, options?: CallOptions): Promise<Result>;
}

export function createOutbound(bots: Bots): ChannelOutboundAdapter {
  /** Works on one place; what was called before for the same place goes first. */
  async function at<Value>(to: OutboundTarget, work: (call: Call) => Promise<Value>): Promise<Value> {
    const bot = bots.of(to.cfg, to.accountId);
    const target = parseTarget(to.to, to.threadId);
    return bot.inOrder(`${target.kind}:${target.id}`, async () => {
      const channelId = await channelOf(bot, target, to.signal);
      return work({
        bot,
        channelId,
        to,
        request: (method, route, options) => bot.api.call(method, `/channels/${channelId}${route}`, { signal: to.signal, ...options }),
      });
    });
  }

  return {
    deliveryMode: 'direct',
    textChunkLimit: MESSAGE_LIMIT,
    textLineLimit: TEXT_LINES,
    pollMaxOptions: POLL.options,
    // Discord remembers a nonce for some minutes
    idempotent: true,

    sendText: ({ text, ...to }) => at(to, async (call) => sent(call, await post(call, { content: toDiscord(text, call.bot.account.tables), ...reply(to) }))),

    sendMedia: ({ text, mediaUrl, ...to }) =>
      at(to, async (call) => {
        // the file is read before anything is sent
        const attachment = await openAttachment(mediaUrl, call.bot.account.mediaMaxBytes);
        const files = attachment.kind === 'file' ? [attachment] : [];
        const sticker = attachment.kind === 'sticker' ? { sticker_ids: [attachment.id] } : {};
        const words = attachment.kind === 'link' ? `${text}\n${attachment.url}`.trim() : text;
        const [first = '', ...others] = chunkMarkdown(words, { chars: MESSAGE_LIMIT, lines: TEXT_LINES }).map((part) =>
          toDiscord(part, call.bot.account.tables),
        );
        return inSteps(call, stepsKey(to, mediaUrl), [
          (nonce) => post(call, { ...(first === '' ? {} : { content: first }), ...sticker, ...reply(to) }, { files, nonce }),
          ...others.map((content) => (nonce: number) => post(call, { content }, { nonce })),
        ]);
      }),

    sendPoll: ({ poll, silent, isAnonymous, ...to }) =>
      at(to, async (call) => {
        if (isAnonymous === true) throw pollError('an anonymous poll is not possible', 'Discord polls show who voted; leave anonymity out.');
        const message = await post(call, { poll: pollOf(poll), ...(silent === true ? { flags: SILENT } : {}), ...reply(to) });
        return { ...sent(call, message), pollId: message.id, channelId: message.channel_id };
      }),

    editText: ({ messageId, text, ...to }) =>
      at(to, async (call) => {
        const body = { content: toDiscord(text, call.bot.account.tables), allowed_mentions: pings(call.bot) };
        await call.request('PATCH', `/messages/${messageNumber(messageId)}`, { body });
        return { messageId };
      }),

    deleteMessage: ({ messageId, ...to }) =>
      at(to, async (call) => {
        try {
          await call.request('DELETE', `/messages/${messageNumber(messageId)}`);
        } catch (error) {
          if (!(error instanceof DiscordError) || error.reason !== UNKNOWN_MESSAGE) throw error;
        }
      }),

    sendReaction: ({ messageId, emoji, ...to }) =>
      at(to, async (call) => {
        const route: Route = `/messages/${messageNumber(messageId)}`;
        if (emoji !== '') return void (await call.request('PUT', `${route}/reactions/${emojiPath(emoji)}/@me`));
        const { reactions = [] } = await call.request('GET', route);
        for (const own of reactions.filter(({ me }) => me)) await call.request('DELETE', `${route}/reactions/${reactionPath(own)}/@me`);
      }),

    async sendTyping(to) {
      const bot = bots.of(to.cfg, to.accountId);
      const channelId = await channelOf(bot, parseTarget(to.to, to.threadId), to.signal);
      // not tried again, as the next one comes soon
      await bot.api.call('POST', `/channels/${channelId}/typing`, { signal: to.signal, once: true });
    },
  };
}

/** The channel of a target; that of a person is opened once. */
async function channelOf(bot: Bot, { kind, id }: Target, signal: AbortSignal | undefined): Promise<string> {
  if (kind === 'channel') return id;
  const known = bot.directChannels.get(id);
  if (known !== undefined) return known;
  const channel = await bot.api.call<{ id: string }>('POST', '/users/@me/channels', { body: { recipient_id: id }, signal });
  bot.directChannels.set(id, channel.id);
  return channel.id;
}

/** Makes one message. With the same key and number Discord makes it once. */
function post(call: Call, message: object, { files = [], nonce = 0 }: { files?: NonNullable<CallOptions['files']>; nonce?: number } = {}): Promise<APIMessage> {
  const body = { ...message, allowed_mentions: pings(call.bot), ...nonceOf(call.to, nonce) };
  return call.request('POST', '/messages', { body, ...(files.length === 0 ? {} : { files }) });
}

function nonceOf({ idempotencyKey, to }: OutboundTarget, step: number): { nonce?: string; enforce_nonce?: true } {
  if (idempotencyKey === undefined) return {};
  // Discord takes 25 characters
  return { nonce: digest([idempotencyKey, to, step]).slice(0, 24), enforce_nonce: true };
}

/** Does the steps in order; a later try of the same message begins after those that are done. */
async function inSteps(call: Call, key: string | undefined, steps: ReadonlyArray<(nonce: number) => Promise<APIMessage>>): Promise<OutboundResult> {
  const { steps: known } = call.bot;
  const done = (key === undefined ? undefined : known.get(key)) ?? [];
  for (const step of steps.slice(done.length)) {
    const message = await step(done.length);
    sent(call, message);
    done.push(message.id);
    if (key !== undefined) known.set(key, done);
  }
  if (key !== undefined) known.delete(key);
  return { messageId: String(done[0]) };
}

function stepsKey({ idempotencyKey, to }: OutboundTarget, mediaUrl: string): string | undefined {
  return idempotencyKey === undefined ? undefined : digest([idempotencyKey, to, mediaUrl]);
}

function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}

function sent({ bot }: Call, { id, author }: APIMessage): OutboundResult {
  bot.authors.set(id, author.id);
  return { messageId: id };
}

/** Whatever a text says, it pings nobody but whom the operator allows; never a role, @everyone or @here. */
function pings({ account }: Bot): { parse: string[]; replied_user: false } {
  return { parse: account.mayPingUsers ? ['users'] : [], replied_user: false };
}

/** Ids of events are no messages that can be answered. */
function reply({ replyToId }: Pick<OutboundTarget, 'replyToId'>): { message_reference?: { message_id: string; fail_if_not_exists: false } } {
  if (replyToId === undefined || !/^\d+$/.test(replyToId)) return {};
  return { message_reference: { message_id: replyToId, fail_if_not_exists: false } };
}

function pollOf({ question, options, maxSelections, durationHours, durationSeconds }: OutboundPollQuestion): object {
  const hours = durationHours ?? (durationSeconds === undefined ? POLL.defaultHours : Math.ceil(durationSeconds / 3600));
  if (hours < 1 || hours > POLL.mostHours) throw pollError(`a poll of ${hours} hours is not possible`, 'Discord polls are open for 1 to 768 hours.');
  if (question.length > POLL.question) throw pollError('the question is too long', `Discord takes ${POLL.question} characters.`);
  const long = options.find((option) => option.length > POLL.answer);
  if (long !== undefined) throw pollError(`the answer '${long.slice(0, 20)}…' is too long`, `Discord takes ${POLL.answer} characters in an answer.`);
  return {
    question: { text: question },
    answers: options.map((text) => ({ poll_media: { text } })),
    duration: hours,
    allow_multiselect: maxSelections > 1,
  };
}

function pollError(what: string, hint: string): DiscordError {
  return new DiscordError('DISCORD_POLL', what, { hint });
}

/** `👍`, `name:123` or `<:name:123>`. */
function emojiPath(emoji: string): string {
  const [, own] = /^<?a?:?(\w+:\d+)>?$/.exec(emoji.trim()) ?? [];
  return encodeURIComponent(own ?? emoji.trim());
}

function reactionPath({ emoji }: APIReaction): string {
  return encodeURIComponent(emoji.id == null ? String(emoji.name) : `${emoji.name}:${emoji.id}`);
}

function messageNumber(messageId: string): string {
  if (/^\d+$/.test(messageId)) return messageId;
  throw new DiscordError('DISCORD_MESSAGE_ID', `'${messageId}' is no Discord message id`, { hint: 'Use the number that sending the message gave.' });
}
