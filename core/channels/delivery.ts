import { type Channel, errorText, type InboundMessage } from '../../sdk/index.ts';
import type { Generation } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';

export interface Reply {
  channel: Channel;
  accountId: string;
  to: InboundMessage;
  text: string;
}

/** Sends one reply through the hooks and the channel, cut at the channel's limit. Resolves to what was sent; never throws. */
export async function deliver(generation: Generation, reply: Reply, log: Logger): Promise<{ sent: boolean; error?: string }> {
  const { channel, accountId, to } = reply;
  const context = { channelId: channel.id, accountId, conversationId: to.conversationId };
  const first = { to: to.conversationId, content: reply.text, channel: channel.id, accountId };
  const asked = await generation.hooks.call('message_sending', first, context);
  if (asked?.cancel === true) return { sent: false };
  const out = (await generation.hooks.call('channel.outbound', { ...first, content: asked?.content ?? reply.text }, context)) ?? first;
  if ('cancel' in out && out.cancel === true) return { sent: false };
  try {
    const send = channel.outbound?.sendText;
    if (send === undefined) throw new Error(`the channel '${channel.id}' cannot send text`);
    for (const text of cut(out.content, channel.outbound?.textChunkLimit)) {
      await send.call(channel.outbound, {
        cfg: generation.resolvedConfig,
        to: out.to,
        text,
        accountId,
        ...(to.threadId === undefined ? {} : { threadId: to.threadId }),
      });
    }
    generation.hooks.emit('message_sent', { to: out.to, content: out.content, success: true }, context);
    return { sent: true };
  } catch (error) {
    log.error(`a reply to ${channel.id} was not sent: ${errorText(error)}`, context);
    generation.hooks.emit('message_sent', { to: out.to, content: out.content, success: false, error: errorText(error) }, context);
    return { sent: false, error: errorText(error) };
  }
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
