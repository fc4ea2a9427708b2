import type { InboundMessage } from 'Durar/plugin-sdk/core';
import { plain } from './formatting.ts';
import { type Lower, mentions, withoutAddress } from './mention.ts';
import { type Sender, senderAliases, senderId } from './sender.ts';

/** A PRIVMSG or an ACTION as the library tells it. */
export interface MessageEvent {
  from_server: boolean;
  nick: string;
  ident: string;
  hostname: string;
  target: string;
  /** `@` for a message to the operators of a channel only */
  group?: string;
  message: string;
  tags: Record<string, string>;
  time?: number;
  account?: string;
  /** Messages that the server brings together. */
  batch?: { type: string };
}

export interface Self {
  nick: string;
  lower: Lower;
  isChannel(name: string): boolean;
  /** Messages that we sent. */
  isOurs(messageId: string): boolean;
  /** By our clock, epoch ms. */
  localTime(serverTime: number): number;
}

const BOT_TAGS = ['bot', 'draft/bot', 'inspircd.org/bot'];
/** What a bouncer or a server plays back. Without an id it cannot be told from what was answered already. */
const PLAYBACKS: ReadonlySet<string> = new Set(['chathistory', 'playback', 'znc.in/playback']);
/** milliseconds after which a message that comes only now must have been played back */
const OLD_MS = 600_000;

/** What the host is told of a message; undefined: nothing. */
export function inboundOf(event: MessageEvent, self: Self, { isAction }: { isAction: boolean }): InboundMessage | undefined {
  const sender = senderOf(event);
  // an answer to what only operators may read would be read by all
  if (sender === undefined || event.group !== undefined || self.lower(sender.nick) === self.lower(self.nick)) return undefined;
  // two bots would talk for ever
  if (BOT_TAGS.some((tag) => tag in event.tags)) return undefined;
  const messageId = event.tags.msgid;
  const timestamp = event.time === undefined ? Date.now() : self.localTime(event.time);
  if ((messageId ?? '') === '' && (PLAYBACKS.has(event.batch?.type ?? '') || timestamp < Date.now() - OLD_MS)) return undefined;
  const said = plain(event.message).replace(/\n/g, ' ').trim();
  if (said === '') return undefined;
  const isDirect = !self.isChannel(event.target);
  if (isDirect && self.lower(event.target) !== self.lower(self.nick)) return undefined;
  const replied = event.tags['+draft/reply'] ?? event.tags['+reply'];
  const isMentioned = mentions(said, self.nick, self.lower) || (replied !== undefined && self.isOurs(replied));
  const aliases = senderAliases(sender);
  const conversationId = self.lower(isDirect ? sender.nick : event.target);
  return {
    text: isAction ? `* ${sender.nick} ${said}` : withoutAddress(said, self.nick, self.lower),
    senderId: senderId(sender),
    senderName: sender.nick,
    ...(aliases.length === 0 ? {} : { senderAliases: aliases }),
    conversationId,
    conversationName: isDirect ? sender.nick : event.target,
    // where brackets are letters, the name as people write it
    ...(isDirect || event.target.toLowerCase() === conversationId ? {} : { conversationAliases: [event.target] }),
    chatType: isDirect ? 'direct' : 'group',
    ...(isDirect ? {} : { mentioned: isMentioned }),
    ...(messageId === undefined || messageId === '' ? {} : { messageId }),
    ...(replied === undefined || replied === '' ? {} : { replyTo: { messageId: replied } }),
    timestamp,
  };
}

/** Undefined for what a server says, or a person of whom it does not say from where. */
function senderOf({ from_server: isServer, nick, ident, hostname, account }: MessageEvent): Sender | undefined {
  if (isServer || nick === '' || ident === '' || hostname === '') return undefined;
  const isLoggedIn = account !== undefined && account !== '' && account !== '*' && account !== '0';
  return { nick, user: ident, host: hostname, ...(isLoggedIn ? { account } : {}) };
}
