import type { InboundMessage } from 'Durar/plugin-sdk/core';
import { mentionedUsers, readMrkdwn } from './dialect.ts';
import type { ConversationKind, Directory } from './directory.ts';
import { describeFiles, mediaOf, type SlackFile } from './media.ts';
import type { ThreadBefore } from './thread.ts';

/** What Slack sends for each thing that happens: over the socket in an envelope, by HTTP as it is. */
export interface EventBody {
  type: 'event_callback';
  event_id: string;
  team_id?: string;
  event: SlackEvent;
}

/** The fields that are read; what comes from outside may lack any of them. */
export interface SlackEvent {
  type: string;
  subtype?: string;
  channel?: string;
  channel_type?: string;
  user?: string;
  bot_id?: string;
  text?: string;
  ts?: string;
  event_ts?: string;
  thread_ts?: string;
  parent_user_id?: string;
  files?: SlackFile[];
  message?: SlackEvent & { edited?: { ts?: string } };
  previous_message?: SlackEvent;
  deleted_ts?: string;
  reaction?: string;
  item?: { type?: string; channel?: string; ts?: string };
  item_user?: string;
}

/** Who the bot is. */
export interface Me {
  userId: string;
  botId?: string;
}

export interface EventContext {
  me: Me;
  reactionNotifications: 'off' | 'own' | 'all';
  directory: Directory;
  threadBefore: ThreadBefore;
  /** Whether the bot wrote that message, or in the thread below it. */
  wasSent(channelId: string, ts: string): boolean;
}

/** What an event tells the host; its files are not fetched yet. */
export interface Incoming {
  message: Omit<InboundMessage, 'media'>;
  files: SlackFile[];
}

/** Messages of people; all other subtypes tell what Slack did or what other events say better. */
const SPOKEN = new Set([undefined, 'file_share', 'thread_broadcast', 'me_message']);

/** Reads an event; undefined when it is nothing that the host is told of. */
export async function readEvent(body: EventBody, context: EventContext): Promise<Incoming | undefined> {
  const { event } = body;
  const read = await readers[event.type]?.(event, context);
  if (read === undefined || body.team_id === undefined) return read;
  return { ...read, message: { ...read.message, teamId: body.team_id } };
}

/** What an event is about; what concerns one conversation is kept in order. */
export function placeOf({ event }: EventBody): string {
  return event.channel ?? event.item?.channel ?? 'none';
}

type Reader = (event: SlackEvent, context: EventContext) => Promise<Incoming | undefined>;

const readers: Readonly<Record<string, Reader | undefined>> = {
  async message(event, context) {
    if (event.subtype === 'message_changed') return readEdit(event, context);
    if (event.subtype === 'message_deleted') return readDeletion(event, context);
    return SPOKEN.has(event.subtype) ? readMessage(event, context) : undefined;
  },
  // comes beside `message` where the app hears the conversation, and in place of it where it does not
  app_mention: (event, context) => readMessage(event, context),
  reaction_added: (event, context) => readReaction(event, context, 'reacted with'),
  reaction_removed: (event, context) => readReaction(event, context, 'took back'),
  member_joined_channel: (event, context) => readMember(event, context, 'joined'),
  member_left_channel: (event, context) => readMember(event, context, 'left'),
};

async function readMessage(event: SlackEvent, context: EventContext): Promise<Incoming | undefined> {
  const { channel, user, ts, text: written = '', thread_ts, files = [] } = event;
  if (channel === undefined || ts === undefined || !isPerson(event, context.me)) return undefined;
  const names = await namesIn(written, context);
  const media = mediaOf(files);
  const text = [readMrkdwn(withoutAddress(written, context.me), (id) => names.get(id)).trim(), describeFiles(files)].filter((part) => part !== '').join('\n');
  if (text === '' && media.length === 0) return undefined;
  const where = await conversationOf(channel, event.channel_type, context);
  const thread = thread_ts === ts ? undefined : thread_ts;
  const isDirect = where.chatType === 'direct';
  const mentioned = isMeant(event, channel, context);
  const replyTo = thread !== undefined && (isDirect || mentioned) ? await context.threadBefore({ channel, thread, ts }) : undefined;
  return {
    message: {
      ...where,
      ...(await senderOf(user, context)),
      text,
      messageId: ts,
      timestamp: millis(ts),
      ...(isDirect ? {} : { mentioned }),
      ...(thread === undefined ? {} : { threadId: thread }),
      ...(replyTo === undefined ? {} : { replyTo }),
    },
    files: media,
  };
}

async function readEdit(event: SlackEvent, context: EventContext): Promise<Incoming | undefined> {
  const { channel, message: now, previous_message: before } = event;
  // a preview of a link changes a message as well, but not what it says
  if (channel === undefined || now?.ts === undefined || now.edited === undefined || now.text === before?.text || !isPerson(now, context.me)) return undefined;
  const names = await namesIn(now.text ?? '', context);
  const text = readMrkdwn(now.text ?? '', (id) => names.get(id));
  return happened({ channel, user: now.user, thread_ts: now.thread_ts, ts: now.ts, event }, context, (name) => `${name} edited message ${now.ts}: ${text}`);
}

async function readDeletion(event: SlackEvent, context: EventContext): Promise<Incoming | undefined> {
  const { channel, deleted_ts: ts, previous_message: before } = event;
  if (channel === undefined || ts === undefined || before === undefined || !isPerson(before, context.me)) return undefined;
  return happened({ channel, user: before.user, thread_ts: before.thread_ts, ts, event }, context, (name) => `${name} deleted message ${ts}`);
}

async function readReaction(event: SlackEvent, context: EventContext, what: string): Promise<Incoming | undefined> {
  const { user, reaction, item } = event;
  const { channel, ts } = item ?? {};
  const { reactionNotifications } = context;
  if (reactionNotifications === 'off' || item?.type !== 'message' || channel === undefined || ts === undefined || !isPerson(event, context.me))
    return undefined;
  if (reactionNotifications === 'own' && event.item_user !== context.me.userId && !context.wasSent(channel, ts)) return undefined;
  const to = what === 'took back' ? 'from' : 'to';
  return happened({ channel, user, ts, event }, context, (name) => `${name} ${what} :${reaction}: ${to} message ${ts}`);
}

async function readMember(event: SlackEvent, context: EventContext, what: string): Promise<Incoming | undefined> {
  const { channel, user } = event;
  if (channel === undefined || user === undefined) return undefined;
  return happened({ channel, user, event }, context, (name) => `${user === context.me.userId ? 'the bot' : name} ${what}`);
}

interface Happening {
  channel: string;
  user: string | undefined;
  thread_ts?: string | undefined;
  /** The message that it is about. */
  ts?: string;
  event: SlackEvent;
}

async function happened({ channel, user, thread_ts, ts, event }: Happening, context: EventContext, tell: (name: string) => string): Promise<Incoming> {
  const sender = await senderOf(user, context);
  const { event_ts } = event;
  return {
    message: {
      // `channel_type` has other words in events about members
      ...(await conversationOf(channel, event.type === 'message' ? event.channel_type : undefined, context)),
      ...sender,
      text: tell(sender.senderName ?? sender.senderId),
      kind: 'event',
      ...(event_ts === undefined ? {} : { messageId: `event:${event_ts}`, timestamp: millis(event_ts) }),
      ...(thread_ts === undefined || thread_ts === ts ? {} : { threadId: thread_ts }),
    },
    files: [],
  };
}

/** Two bots would answer each other without end. */
function isPerson({ user, bot_id }: SlackEvent, me: Me): boolean {
  return user !== undefined && bot_id === undefined && user !== me.userId && user !== 'USLACKBOT';
}

/** The bot is named, or it has a part in the thread. */
function isMeant({ type, text = '', thread_ts, parent_user_id }: SlackEvent, channel: string, { me, wasSent }: EventContext): boolean {
  if (type === 'app_mention' || mentionedUsers(text).includes(me.userId)) return true;
  return thread_ts !== undefined && (parent_user_id === me.userId || wasSent(channel, thread_ts));
}

/** `@bot /status` is a command: Slack keeps to itself what begins with a slash. */
function withoutAddress(text: string, me: Me): string {
  const [whole = '', id] = /^\s*<@([UW][A-Z0-9]+)(?:\|[^>]*)?>[\s:,]*/.exec(text) ?? [];
  return id === me.userId ? text.slice(whole.length) : text;
}

async function namesIn(text: string, { directory }: EventContext): Promise<Map<string, string>> {
  const found = await Promise.all(mentionedUsers(text).map(async (id) => [id, await directory.userName(id)] as const));
  return new Map(found.flatMap(([id, name]) => (name === undefined ? [] : [[id, name]])));
}

async function senderOf(user: string | undefined, { directory }: EventContext): Promise<Pick<InboundMessage, 'senderId' | 'senderName'>> {
  const senderId = user ?? 'unknown';
  const senderName = user === undefined ? undefined : await directory.userName(user);
  return { senderId, ...(senderName === undefined ? {} : { senderName }) };
}

type Conversation = Pick<InboundMessage, 'conversationId' | 'conversationName' | 'conversationAliases' | 'chatType'>;

async function conversationOf(channel: string, type: string | undefined, { directory }: EventContext): Promise<Conversation> {
  const isDirect = type === 'im' || (type === undefined && channel.startsWith('D'));
  if (isDirect) return { conversationId: channel, chatType: 'direct' };
  const { name, kind } = await directory.conversation(channel);
  const chatType = CHAT_TYPES[kind ?? KINDS[type ?? ''] ?? 'channel'];
  if (name === undefined) return { conversationId: channel, chatType };
  // without the mark a channel could be named like the id of another
  return { conversationId: channel, chatType, conversationName: `#${name}`, conversationAliases: [`#${name}`] };
}

const KINDS: Readonly<Record<string, ConversationKind | undefined>> = { im: 'im', mpim: 'mpim', channel: 'channel', group: 'channel' };

const CHAT_TYPES = { im: 'direct', mpim: 'group', channel: 'channel' } as const;

function millis(ts: string): number {
  return Math.floor(Number(ts) * 1000);
}
