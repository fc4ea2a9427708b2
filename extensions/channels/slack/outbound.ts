import type { ChannelOutboundAdapter, OutboundResult, OutboundTarget } from 'Durar/plugin-sdk/core';
import { chunkMarkdown } from 'Durar/plugin-sdk/text-chunks';
import { createHash } from 'node:crypto';
import type { SlackAccount } from './account.ts';
import type { Answer } from './api.ts';
import { openAttachment } from './attachment.ts';
import type { Bot, Bots, Steps } from './bot.ts';
import { toMrkdwn } from './dialect.ts';
import { emojiName } from './emoji.ts';
import { isRefusal, SlackError } from './failure.ts';
import { isMessageId, parseTarget } from './target.ts';

/** characters of Markdown in one message */
export const TEXT_LIMIT = 4000;
/** Slack cuts what is longer off. */
const MOST_CHARS = 40_000;
/** Marks what was sent, so that it can be found again when an answer was lost. */
const MARK = 'durar_message';
/** How far the clocks of Slack and of this machine may be apart. */
const CLOCK_MS = 5 * 60_000;
/** Messages in one page, and pages, that are looked through. */
const LOOK_BACK = 100;
const PAGES = 5;

/** One call: which bot, which conversation, where in it. */
interface Call {
  bot: Bot;
  channel: string;
  thread: { thread_ts?: string };
  signal: AbortSignal | undefined;
}

/** What is known of earlier tries. */
type Sending = Pick<OutboundTarget, 'idempotencyKey' | 'uncertain'>;

export function createOutbound(bots: Bots): ChannelOutboundAdapter {
  /** Works on one conversation; what was called before for the same one goes first. */
  async function at<Value>({ cfg, accountId, to, threadId, replyToId, signal }: OutboundTarget, work: (call: Call) => Promise<Value>): Promise<Value> {
    const bot = bots.of(cfg, accountId);
    const target = parseTarget(to);
    const threadTs = [threadId, replyToId].find(isMessageId);
    const place = 'channelId' in target ? target.channelId : target.userId;
    return bot.inOrder(`out:${place}`, async () => {
      const channel = 'channelId' in target ? target.channelId : await directOf(bot, target.userId, signal);
      return work({ bot, channel, thread: threadTs === undefined ? {} : { thread_ts: threadTs }, signal });
    });
  }

  return {
    deliveryMode: 'direct',
    textChunkLimit: TEXT_LIMIT,

    sendText: ({ text, ...to }) => at(to, (call) => post(call, text, to)),

    sendMedia: ({ text, mediaUrl, ...to }) =>
      at(to, async (call) => {
        const attachment = await openAttachment(mediaUrl, call.bot.account.mediaMaxBytes);
        if ('url' in attachment) return post(call, text === '' ? attachment.url : `${text}\n\n${attachment.url}`, to);
        return sendFile(call, { ...attachment, name: attachment.name.toWellFormed() }, text, to);
      }),

    editText: ({ messageId, text, ...to }) =>
      at(to, async (call) => {
        await request(call, 'chat.update', { ts: messageTs(messageId), text: textFor(call.bot.account, text) });
        return { messageId };
      }),

    deleteMessage: ({ messageId, ...to }) =>
      at(to, async (call) => {
        try {
          await request(call, 'chat.delete', { ts: messageTs(messageId) });
        } catch (error) {
          // a try whose answer was lost had done it
          if (!isRefusal(error, 'message_not_found')) throw error;
        }
      }),

    sendReaction: ({ messageId, emoji, ...to }) =>
      at(to, async (call) => {
        if (!call.bot.account.mayReact) {
          throw new SlackError('SLACK_REACTIONS_OFF', 'reactions are switched off', { hint: 'Set channels.slack.reactionLevel to minimal.' });
        }
        const timestamp = messageTs(messageId);
        if (emoji === '') return removeReactions(call, timestamp);
        try {
          await request(call, 'reactions.add', { timestamp, name: emojiName(emoji) });
        } catch (error) {
          if (!isRefusal(error, 'already_reacted')) throw error;
        }
      }),
  };
}

function textFor({ tables }: SlackAccount, markdown: string): string {
  const text = toMrkdwn(markdown, tables);
  if (text.length <= MOST_CHARS) return text;
  throw new SlackError('SLACK_TEXT_LENGTH', `the message has ${text.length} characters`, {
    hint: `Slack takes ${MOST_CHARS}; set channels.slack.textChunkLimit.`,
  });
}

function request({ bot, channel, signal }: Call, method: string, payload: Answer): Promise<Answer> {
  return bot.api.call(method, { channel, ...payload }, { signal });
}

/** Opens the direct conversation with a person; it is the same every time. */
async function directOf(bot: Bot, userId: string, signal: AbortSignal | undefined): Promise<string> {
  const known = bot.directs.get(userId);
  if (known !== undefined) return known;
  const { channel } = await bot.api.call('conversations.open', { users: userId }, { signal });
  const id = (channel as { id?: unknown } | undefined)?.id;
  if (typeof id !== 'string') throw new SlackError('SLACK_TARGET', `conversations.open: Slack gives no conversation with ${userId}`);
  bot.directs.set(userId, id);
  return id;
}

/**
 * Posts a message. Slack drops no repetition, so it is marked with its key: when a request failed that may have been carried out, in this
 * process or in one that was killed, the conversation is looked through for the mark before the message is sent again.
 */
async function post(call: Call, text: string, { idempotencyKey: key, uncertain }: Sending): Promise<OutboundResult> {
  const { bot, channel, thread, signal } = call;
  const { account } = bot;
  const mark = key === undefined ? undefined : digest(key);
  const startedAt = Date.now();
  const recover = mark === undefined ? undefined : (since?: number) => findMarked(call, mark, since);
  const payload = {
    channel,
    text: textFor(account, text),
    ...thread,
    ...(account.linkPreview ? {} : { unfurl_links: false, unfurl_media: false }),
    ...(mark === undefined ? {} : { metadata: { event_type: MARK, event_payload: { key: mark } } }),
  };
  const since = mark === undefined ? undefined : bot.unsure.get(mark);
  const found = since === undefined && uncertain !== true ? undefined : await recover?.(since);
  try {
    const answer =
      found ?? (await bot.api.call('chat.postMessage', payload, { signal, ...(recover === undefined ? {} : { recover: () => recover(since ?? startedAt) }) }));
    if (mark !== undefined) bot.unsure.delete(mark);
    return sentAs(call, answer);
  } catch (error) {
    if (mark !== undefined && error instanceof SlackError && error.unsure) bot.unsure.set(mark, since ?? startedAt);
    throw error;
  }
}

/** The message with that mark, if it went out; unknown where the app may not read the conversation. Without `since` it is looked for among the newest. */
async function findMarked({ bot, channel, thread, signal }: Call, mark: string, since?: number): Promise<Answer | undefined> {
  const oldest = since === undefined ? {} : { oldest: String((since - CLOCK_MS) / 1000) };
  const [method, where] = thread.thread_ts === undefined ? ['conversations.history', {}] : ['conversations.replies', { ts: thread.thread_ts }];
  try {
    let cursor: unknown = '';
    for (let page = 0; page < PAGES; page += 1) {
      const request = { channel, ...where, ...oldest, ...(cursor === '' ? {} : { cursor }), limit: LOOK_BACK, include_all_metadata: true };
      const answer: Answer = await bot.api.call(method, request, { signal, once: true });
      const messages = (Array.isArray(answer.messages) ? answer.messages : []) as Array<{ ts?: string; metadata?: { event_payload?: { key?: unknown } } }>;
      const ours = messages.find(({ metadata }) => metadata?.event_payload?.key === mark);
      if (ours?.ts !== undefined) return { ts: ours.ts };
      cursor = (answer.response_metadata as { next_cursor?: unknown } | undefined)?.next_cursor ?? '';
      if (typeof cursor !== 'string' || cursor === '') break;
    }
    return undefined;
  } catch (error) {
    if (error instanceof SlackError && !error.transient && error.code !== 'SLACK_ABORTED') return undefined;
    throw error;
  }
}

/** Gets an address, sends the content there, shows the file; a later try of the same message begins after what is done. */
async function sendFile(call: Call, { bytes, name }: { bytes: Uint8Array; name: string }, text: string, sending: Sending): Promise<OutboundResult> {
  const { bot, channel, thread, signal } = call;
  const key = sending.idempotencyKey;
  const { api, account } = bot;
  const caption = text === '' ? '' : toMrkdwn(text, account.tables);
  const fits = caption.length <= TEXT_LIMIT;
  const texts = fits ? [] : chunkMarkdown(text, { chars: TEXT_LIMIT });
  const place = key === undefined ? undefined : digest(JSON.stringify([key, channel, name, bytes.length]));
  const steps: Steps = (place === undefined ? undefined : bot.steps.get(place)) ?? { texts: 0 };
  if (place !== undefined) bot.steps.set(place, steps);

  if (steps.fileId === undefined || steps.uploadUrl === undefined) {
    const { upload_url, file_id } = await api.call('files.getUploadURLExternal', { filename: name, length: bytes.length }, { signal });
    if (typeof upload_url !== 'string' || typeof file_id !== 'string') throw new SlackError('SLACK_FILE', 'Slack gives no address for the file');
    steps.uploadUrl = upload_url;
    steps.fileId = file_id;
  }
  if (steps.uploaded !== true) await api.upload(steps.uploadUrl, bytes, { signal });
  steps.uploaded = true;
  if (steps.completed !== true) await complete(call, steps.fileId, { title: name, comment: fits ? caption : '' });
  steps.completed = true;
  for (const [index, part] of texts.entries()) {
    if (index < steps.texts) continue;
    await post(call, part, key === undefined ? {} : { ...sending, idempotencyKey: `${key}:text:${index}` });
    steps.texts = index + 1;
  }
  if (place !== undefined) bot.steps.delete(place);
  if (thread.thread_ts !== undefined) bot.sent.set(`${channel}:${thread.thread_ts}`, true);
  // Slack makes the message by and by and does not say which it will be
  return {};
}

async function complete({ bot, channel, thread, signal }: Call, fileId: string, { title, comment }: { title: string; comment: string }): Promise<void> {
  const words = comment === '' ? {} : { initial_comment: comment };
  const recover = async () => {
    const { file } = await bot.api.call('files.info', { file: fileId }, { signal, once: true });
    const { channels = [], groups = [], ims = [] } = (file ?? {}) as { channels?: string[]; groups?: string[]; ims?: string[] };
    return [...channels, ...groups, ...ims].includes(channel) ? {} : undefined;
  };
  const payload = { files: [{ id: fileId, title }], channel_id: channel, ...thread, ...words };
  await bot.api.call('files.completeUploadExternal', payload, { signal, recover });
}

async function removeReactions(call: Call, timestamp: string): Promise<void> {
  const { message } = await request(call, 'reactions.get', { timestamp, full: true });
  const me = await call.bot.userId({ signal: call.signal });
  const reactions = (message as { reactions?: Array<{ name: string; users: unknown[] }> } | undefined)?.reactions ?? [];
  for (const { name, users } of reactions) {
    if (!users.includes(me)) continue;
    try {
      await request(call, 'reactions.remove', { timestamp, name });
    } catch (error) {
      if (!isRefusal(error, 'no_reaction')) throw error;
    }
  }
}

function sentAs({ bot, channel, thread }: Call, { ts }: Answer): OutboundResult {
  if (typeof ts !== 'string') return {};
  for (const each of [ts, thread.thread_ts]) if (each !== undefined) bot.sent.set(`${channel}:${each}`, true);
  return { messageId: ts };
}

function messageTs(messageId: string): string {
  if (isMessageId(messageId)) return messageId;
  throw new SlackError('SLACK_MESSAGE_ID', `'${messageId}' is no Slack message id`, {
    hint: 'Use the id that sending the message gave, such as 1700000000.000100.',
  });
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
