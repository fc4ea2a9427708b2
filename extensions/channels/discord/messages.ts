import type { InboundMessage } from 'Durar/plugin-sdk/core';
import type { APIMessage, APIUser, GatewayMessageCreateDispatchData } from 'discord.js';
import type { DiscordAccount } from './account.ts';
import { describeContent, textOf } from './content.ts';
import { type PlaceRules, rulesOf } from './guild-rules.ts';
import { mediaOf } from './media.ts';
import type { Place } from './places.ts';

/** Where something happened. `guildId` absent: between the bot and one person. */
export interface Setting {
  channelId: string;
  guildId?: string | undefined;
  guildName?: string | undefined;
  place?: Place | undefined;
  parent?: Place | undefined;
  /** Where `guilds` is set: how its rules name the place. */
  names?: readonly string[];
}

export interface MessageContext {
  account: DiscordAccount;
  selfId: string;
  channelName(id: string): string | undefined;
  signal: AbortSignal;
}

/** A message as the gateway tells it; one that was asked for has no `member`. */
export type Told = APIMessage & Partial<Pick<GatewayMessageCreateDispatchData, 'member' | 'guild_id'>>;

/** Person to person, answers, and words that people typed; not pins, boosts and the like. */
const SPOKEN: ReadonlySet<number> = new Set([0, 19]);
const JOINED = 7;

/** What the host is told of a message; undefined: nothing. */
export function readMessage(message: Told, setting: Setting, context: MessageContext): InboundMessage | undefined {
  const { account, selfId } = context;
  const { author } = message;
  if (author.id === selfId) return undefined;
  const rules = guildRules(account, setting);
  const isBot = author.bot === true || message.webhook_id !== undefined;
  if (rules?.isHeard === false) return undefined;
  if (message.type === JOINED) return joined(message, setting);
  if (!SPOKEN.has(message.type)) return undefined;
  const isNamed = message.mentions.some(({ id }) => id === selfId) || message.referenced_message?.author.id === selfId;
  if (isBot && (account.allowBots === false || (account.allowBots === 'mentions' && !isNamed))) return undefined;
  if (rules?.ignoreOtherMentions === true && !isNamed && message.mentions.length > 0) return undefined;
  const names = { selfId, channel: context.channelName };
  const text = [textOf(message, names), ...describeContent(message)].filter((part) => part !== '').join('\n');
  if (text === '' && message.attachments.length === 0) return undefined;
  return {
    ...conversationOf(setting, author.id),
    ...senderOf({ ...author, bot: isBot }, message.member),
    accountId: account.accountId,
    text,
    messageId: message.id,
    timestamp: Date.parse(message.timestamp),
    ...(setting.guildId === undefined ? {} : { mentioned: isNamed }),
    ...(message.attachments.length === 0 ? {} : { media: mediaOf(message.attachments, account.mediaMaxBytes, context.signal) }),
    ...replyOf(message, context),
  };
}

/** An edit by its author; Discord also tells of previews that it added itself. */
export function readEdit(message: Told, setting: Setting, { account, selfId, channelName }: MessageContext): InboundMessage | undefined {
  const { author, edited_timestamp: at } = message;
  // what comes from outside may lack what the types promise
  if ((author as APIUser | undefined) === undefined || at === null || author.bot === true || guildRules(account, setting)?.isHeard === false) return undefined;
  const text = textOf(message, { selfId, channel: channelName });
  return text === '' ? undefined : event(setting, author, `edited message ${message.id}: ${text}`, `edit:${message.id}:${at}`, message.member);
}

/** An event in the words `<name> <what>`. */
export function event(
  setting: Setting,
  person: Person,
  what: string,
  messageId: string,
  member?: { nick?: string | null | undefined; roles?: string[] } | undefined,
): InboundMessage {
  const sender = senderOf(person, member);
  return { ...conversationOf(setting, person.id), ...sender, kind: 'event', text: `${sender.senderName} ${what}`, messageId };
}

/** What `guilds` says; undefined between two. */
export function guildRules(account: DiscordAccount, { guildId, channelId, place, parent }: Setting): PlaceRules | undefined {
  if (guildId === undefined) return undefined;
  return rulesOf(account, { guildId, place: place ?? { id: channelId, isThread: false }, parent });
}

export type Person = Pick<APIUser, 'id' | 'username'> & { global_name?: string | null; bot?: boolean };

function joined(message: Told, setting: Setting): InboundMessage {
  return event(setting, message.author, 'joined the server', `member:${message.id}`, message.member);
}

type Conversation = Pick<
  InboundMessage,
  'conversationId' | 'conversationName' | 'conversationAliases' | 'parentConversationId' | 'threadId' | 'guildId' | 'chatType'
>;

function conversationOf({ channelId, guildId, guildName, place, parent, names: ruled }: Setting, personId: string): Conversation {
  if (guildId === undefined) return { conversationId: `user:${personId}`, chatType: 'direct' };
  const parentId = place?.parentId;
  const names = [guildName, parent?.name, place?.name].filter((name) => name !== undefined);
  return {
    conversationId: `channel:${channelId}`,
    chatType: 'channel',
    guildId,
    conversationAliases: [channelId, ...(parentId === undefined ? [] : [parentId]), ...(ruled ?? [guildId])],
    ...(names.length === 0 ? {} : { conversationName: names.map((name, at) => (at === 0 && name === guildName ? name : `#${name}`)).join(' ') }),
    ...(parentId === undefined ? {} : { parentConversationId: `channel:${parentId}`, threadId: channelId }),
  };
}

type Sender = Pick<InboundMessage, 'senderId' | 'senderAliases' | 'senderUsername' | 'senderRoles'> & { senderName: string };

/** A user name is one person's; a nick or a display name is anybody's. */
function senderOf(person: Person, member?: { nick?: string | null | undefined; roles?: string[] } | undefined): Sender {
  const roles = member?.roles ?? [];
  const username = person.username.toLowerCase();
  const isUnique = person.bot !== true;
  return {
    senderId: person.id,
    senderName: member?.nick ?? person.global_name ?? person.username,
    senderAliases: [...(isUnique ? [username] : []), ...roles.map((role) => `role:${role}`)],
    ...(isUnique ? { senderUsername: username } : {}),
    ...(member === undefined ? {} : { senderRoles: roles }),
  };
}

function replyOf(
  { type, message_reference: reference, referenced_message: answered }: Told,
  { selfId, channelName }: MessageContext,
): Pick<InboundMessage, 'replyTo'> {
  if (type !== 19 || reference?.message_id === undefined) return {};
  if (answered == null) return { replyTo: { messageId: reference.message_id } };
  const text = textOf(answered, { selfId, channel: channelName });
  const { author } = answered;
  return {
    replyTo: {
      messageId: answered.id,
      ...(text === '' ? {} : { text }),
      senderId: author.id,
      senderName: author.global_name ?? author.username,
    },
  };
}
