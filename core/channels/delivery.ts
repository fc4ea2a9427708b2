import { type Channel, durarError, errorText, type InboundMessage } from '../../sdk/index.ts';
import type { Generation } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import { channelConfig } from './channel-config.ts';

export interface Reply {
  channel: Channel;
  accountId: string;
  to: InboundMessage;
  text: string;
}

/** Sends one reply through the hooks and the channel, cut at the channel's limit. Resolves to what was sent; never throws. */
export async function deliver(generation: Generation, reply: Reply, log: Logger): Promise<{ sent: boolean; error?: string }> {
  const { channel, accountId, to, text } = reply;
  const message = { channel, accountId, to: to.conversationId, text, ...(to.threadId === undefined ? {} : { threadId: to.threadId }) };
  try {
    return { sent: (await sendMessage(generation, message)) !== undefined };
  } catch (error) {
    log.error(`a reply to ${channel.id} was not sent: ${errorText(error)}`, { channelId: channel.id, accountId, conversationId: to.conversationId });
    return { sent: false, error: errorText(error) };
  }
}

/** A message to somebody outside. */
export interface OutboundMessage {
  channel: Channel;
  accountId: string;
  to: string;
  text: string;
  threadId?: string;
  /** Each goes out as a message of its own; the first one has the text. */
  media?: readonly string[];
}

/** Sends it through the hooks and the channel; undefined when a hook cancelled it. The id is that of the last part. Throws what the channel throws. */
export async function sendMessage(generation: Generation, message: OutboundMessage): Promise<{ messageId?: string } | undefined> {
  const { channel, accountId } = message;
  const context = { channelId: channel.id, accountId, conversationId: message.to };
  const first = { to: message.to, content: message.text, channel: channel.id, accountId };
  const asked = await generation.hooks.call('message_sending', first, context);
  if (asked?.cancel === true) return undefined;
  const out = (await generation.hooks.call('channel.outbound', { ...first, content: asked?.content ?? message.text }, context)) ?? first;
  if ('cancel' in out && out.cancel === true) return undefined;
  try {
    const result = await transmit(generation, { ...message, to: out.to, text: out.content });
    generation.hooks.emit('message_sent', { to: out.to, content: out.content, success: true }, context);
    return result;
  } catch (error) {
    generation.hooks.emit('message_sent', { to: out.to, content: out.content, success: false, error: errorText(error) }, context);
    throw error;
  }
}

/** How a channel takes a file; one of the open members of its outbound adapter. */
type SendMedia = (params: Record<string, unknown>) => Promise<{ messageId?: string }>;

async function transmit(generation: Generation, { channel, accountId, to, text, threadId, media = [] }: OutboundMessage): Promise<{ messageId?: string }> {
  const { outbound } = channel;
  const base = { cfg: channelConfig(generation, channel.id), to, accountId, ...(threadId === undefined ? {} : { threadId }) };
  let last: { messageId?: string } = {};
  if (media.length > 0) {
    const sendMedia = outbound?.sendMedia as SendMedia | undefined;
    if (typeof sendMedia !== 'function') throw durarError('DUR_CHANNEL_NO_MEDIA', { channel: channel.id });
    for (const [index, mediaUrl] of media.entries()) last = await sendMedia.call(outbound, { ...base, text: index === 0 ? text : '', mediaUrl });
    return last ?? {};
  }
  if (outbound?.sendText === undefined) throw durarError('DUR_CHANNEL_NO_TEXT', { channel: channel.id });
  for (const part of cut(text, outbound.textChunkLimit)) last = await outbound.sendText({ ...base, text: part });
  return last ?? {};
}

/** A question with answers to choose from. */
export interface OutboundPoll {
  channel: Channel;
  accountId: string;
  to: string;
  question: string;
  options: readonly string[];
  maxSelections?: number;
  durationSeconds?: number;
  durationHours?: number;
  silent?: boolean;
  isAnonymous?: boolean;
  threadId?: string;
}

/** What a channel tells of a poll that it sent. */
export interface SentPoll {
  messageId?: string;
  pollId?: string;
  toJid?: string;
  channelId?: string;
  conversationId?: string;
}

/** Throws `DUR_CHANNEL_NO_POLL` for a channel without polls, and what the channel throws. */
export async function sendPoll(generation: Generation, poll: OutboundPoll): Promise<SentPoll> {
  const { channel, accountId, to, threadId, silent, isAnonymous, ...question } = poll;
  const { outbound } = channel;
  const send = outbound?.sendPoll as ((params: Record<string, unknown>) => Promise<SentPoll>) | undefined;
  if (typeof send !== 'function') throw durarError('DUR_CHANNEL_NO_POLL', { channel: channel.id });
  const most = typeof outbound?.pollMaxOptions === 'number' ? outbound.pollMaxOptions : Number.POSITIVE_INFINITY;
  if (question.options.length > most) throw durarError('DUR_CHANNEL_POLL_OPTIONS', { channel: channel.id, most });
  const extras = Object.entries({ threadId, silent, isAnonymous }).filter(([, value]) => value !== undefined);
  const { maxSelections = 1 } = question;
  const params = { cfg: channelConfig(generation, channel.id), to, accountId, poll: { ...question, maxSelections }, ...Object.fromEntries(extras) };
  return (await send.call(outbound, params)) ?? {};
}

/** Cuts at the last line break or blank before the limit, else at the limit. */
export function cut(text: string, limit = Number.POSITIVE_INFINITY): string[] {
  const parts: string[] = [];
  let rest = text;
  while (rest.length > limit) {
    const head = rest.slice(0, limit);
    const at = Math.max(head.lastIndexOf('\n'), head.lastIndexOf(' '));
    const end = at > limit / 2 ? at : limit;
    parts.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  if (rest.length > 0) parts.push(rest);
  return parts;
}
