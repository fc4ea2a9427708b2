import { randomUUID } from 'node:crypto';
import type { Channel, DeliveryReceipt, InboundMessage, SessionRecord } from '../../../sdk/index.ts';
import { createSerial } from '../../../sdk/serial.ts';
import type { AgentService, RunRequest } from '../../agent/service.ts';
import type { Generation, GenerationSource } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { State } from '../../state/state.ts';
import { type AccessDecision, decideAccess } from '../access/access.ts';
import { type AllowList, allowListOf } from '../access/allow-list.ts';
import { createMentions } from '../access/mentions.ts';
import { type Pairing, pairingText } from '../access/pairing.ts';
import { isSendable } from '../access/send-policy.ts';
import { channelConfig } from '../channel-config.ts';
import { type ChannelSettings, channelBlock, settingsOf } from '../channel-settings.ts';
import { createEnvelopes, nameOf, quotation } from './envelope.ts';
import { createInboundDebounce } from './inbound-debounce.ts';
import { loadMedia } from './inbound-media.ts';
import { dedupeKeyOf, pinnedModel, requestOf, routeOf } from './inbound-request.ts';
import { createPendingContext } from './pending-context.ts';

/** Where a message came in. */
export interface InboundOrigin {
  channel: Channel;
  accountId: string;
}

/** The way of a message from a channel to the agent. */
export interface Inbound {
  /** Resolves when the message is on disk, or nothing will come of it; rejects when it could not be kept. Messages of a conversation keep their order. */
  receive(origin: InboundOrigin, message: InboundMessage): Promise<DeliveryReceipt>;
  /** Hands on what an earlier process had accepted and not handed on. Never rejects. */
  resume(): Promise<void>;
  stop(): void;
}

export interface InboundOptions {
  source: GenerationSource;
  agent: Pick<AgentService, 'accept' | 'isCommand' | 'session'>;
  sessions: Pick<SessionService, 'get'>;
  state: Pick<State, 'inbox' | 'held'>;
  pairing: Pairing;
  /** Things to tell a session with its next turn. */
  events: { add(sessionKey: string, text: string): void };
  /** For what comes with messages. */
  mediaDir: string;
  /** Writes to a person outside any run. */
  say(origin: InboundOrigin, to: { conversationId: string; threadId?: string }, text: string): Promise<void>;
  /** Told of every run that is to be answered. */
  accepted?(run: { runId: string; request: RunRequest }): void;
  log: Logger;
  now?: () => number;
}

interface Arrival extends InboundOrigin {
  generation: Generation;
  message: InboundMessage;
  settings: ChannelSettings;
  allowList: AllowList;
  agentId: string;
  sessionKey: string;
  defaultAccountId: string;
  /** The conversation among all. */
  place: string;
}

type Allowed = Extract<AccessDecision, { kind: 'allowed' }>;

const DEFAULT_MEDIA_MB = 20;
/** Messages without a run that are recognised when they come again. */
const MAX_RECENT = 10_000;
const DUPLICATE: DeliveryReceipt = { accepted: true, reason: 'duplicate' };

export function createInbound(options: InboundOptions): Inbound {
  const { source, agent, sessions, state, pairing, events, log } = options;
  const now = options.now ?? Date.now;
  const closing = new AbortController();
  /** Messages of one conversation, in their order. */
  const lines = createSerial();
  const recent = new Set<string>();
  /** Kinds of refusals that the log has. */
  const refused = new Set<string>();
  const pending = createPendingContext();
  const envelopes = createEnvelopes();
  const mentions = createMentions((pattern, reason) => log.warn(`the mention pattern '${pattern}' is not used: ${reason}`));
  const debounce = createInboundDebounce({
    held: state.held,
    log,
    now,
    async accept(request) {
      await hand(request);
    },
  });

  async function hand(request: RunRequest): Promise<DeliveryReceipt> {
    const { runId, repeated } = await agent.accept(request);
    if (repeated === true) return DUPLICATE;
    options.accepted?.({ runId, request });
    return { accepted: true, runId };
  }

  function remember(key: string | undefined): void {
    if (key === undefined) return;
    recent.add(key);
    const oldest = recent.size > MAX_RECENT ? recent.keys().next().value : undefined;
    if (oldest !== undefined) recent.delete(oldest);
  }

  async function handle(origin: InboundOrigin, message: InboundMessage, place: string): Promise<DeliveryReceipt> {
    const key = message.kind === 'event' ? undefined : dedupeKeyOf(origin.channel.id, origin.accountId, message);
    if (key !== undefined && (recent.has(key) || state.inbox.knows(key) || debounce.knows(key))) return DUPLICATE;
    const generation = source.current();
    const heard = message.kind === 'event' ? { message } : await throughHooks(generation, origin, message);
    const receipt = 'reason' in heard ? heard : await decide(arrivalOf(generation, origin, heard.message, place));
    remember(key);
    return receipt;
  }

  function arrivalOf(generation: Generation, { channel, accountId }: InboundOrigin, message: InboundMessage, place: string): Arrival {
    const { config } = generation;
    const shown = channelConfig(generation, channel.id);
    const { defaultAccount } = channelBlock(config, channel.id) ?? {};
    const named = typeof defaultAccount === 'string' ? defaultAccount : channel.config.defaultAccountId?.(shown);
    const defaultAccountId = named ?? channel.config.listAccountIds(shown)[0] ?? accountId;
    const settings = settingsOf(channel, config, accountId, shown);
    const route = routeOf({ config, channel, accountId, defaultAccountId, settings, message });
    return { generation, channel, accountId, message, settings, allowList: allowListOf(channel), defaultAccountId, place, ...route };
  }

  async function decide(arrival: Arrival): Promise<DeliveryReceipt> {
    const { generation, channel, accountId, message, settings, allowList } = arrival;
    const { channels, commands } = generation.config;
    const access = decideAccess({
      settings,
      defaults: channels?.defaults,
      useAccessGroups: commands.useAccessGroups,
      allowList,
      message,
      isPaired: (senderId) => senderId.trim() !== '' && pairing.isPaired(channel.id, accountId, allowList.normalize(senderId)),
    });
    if (access.kind === 'allowed') return message.kind === 'event' ? tell(arrival) : await admit(arrival, access);
    const reason = access.kind === 'refused' ? access.reason : 'pairing';
    noteRefusal(arrival, reason);
    if (access.kind === 'pairing' && message.kind !== 'event' && message.senderId.trim() !== '') await askToPair(arrival);
    return { accepted: false, reason };
  }

  /** The first of a kind is told to everybody, the others to whoever looks closer. */
  function noteRefusal({ channel, accountId, message }: Arrival, reason: string): void {
    const kind = `${channel.id}:${accountId}:${reason}`;
    const level = refused.has(kind) ? 'debug' : 'info';
    refused.add(kind);
    const { senderId, conversationId, chatType } = message;
    log[level](`${channel.id}: a message is not let in (${reason})`, { channel: channel.id, accountId, senderId, conversationId, chatType });
  }

  function tell({ channel, message, sessionKey }: Arrival): DeliveryReceipt {
    events.add(sessionKey, `[${channel.meta.label}] ${message.text}`);
    return { accepted: true, reason: 'event' };
  }

  async function askToPair({ channel, accountId, message, allowList }: Arrival): Promise<void> {
    const { conversationId, senderName, threadId } = message;
    const senderId = allowList.normalize(message.senderId);
    const request = pairing.ask({ channel: channel.id, accountId, senderId, conversationId, ...(senderName === undefined ? {} : { senderName }) });
    if (request === undefined || request.told === true) return;
    const text = pairingText(request, channel.pairing?.idLabel ?? `${channel.meta.label} id`);
    await options.say({ channel, accountId }, { conversationId, ...(threadId === undefined ? {} : { threadId }) }, text);
    pairing.markTold(request);
  }

  /** For a sender who is let in: the mention rule, what comes with the message, the run. */
  async function admit(arrival: Arrival, access: Allowed): Promise<DeliveryReceipt> {
    const { generation, channel, message, agentId, sessionKey, place, settings } = arrival;
    const { config } = generation;
    const plain = requestOf({ ...arrival, config, mayCommand: access.mayCommand, group: access.group, runId: randomUUID() });
    const isCommand = agent.isCommand(plain);
    const session = await sessions.get(sessionKey);
    const isDirect = message.chatType === 'direct';
    const isNamed = message.mentioned === true || (!isDirect && mentions.isNamed(config, agentId, message.text));
    if (!isDirect && !isNamed && !(isCommand && access.mayCommand) && isGated(arrival, access, session)) {
      const limit = settings.historyLimit ?? config.messages.groupChat.historyLimit;
      pending.add(placeOf(arrival), { sender: nameOf(message), text: message.text, messageId: message.messageId }, limit);
      return { accepted: true, reason: 'mention' };
    }
    const chat = { chatType: message.chatType, channel: channel.id };
    if (!isSendable({ ...chat, ...session }, sessionKey, config.session?.sendPolicy)) return { accepted: false, reason: 'send-policy' };
    const group = `${place}\n${message.senderId}`;
    if (isCommand) {
      await debounce.flush(group);
      return await hand(plain);
    }
    const media = await loadMedia(message.media ?? [], settings.mediaMaxMb ?? DEFAULT_MEDIA_MB, { dir: options.mediaDir, log, signal: closing.signal });
    const create = { ...chat, ...(message.conversationName === undefined || isDirect ? {} : { displayName: message.conversationName }) };
    if (session === undefined) await agent.session({ sessionKey, agentId, create });
    const before = isDirect ? undefined : pending.take(placeOf(arrival));
    try {
      const request = { ...plain, ...(isNamed ? { mentioned: true } : {}), ...extrasOf(arrival, session, media, before?.before) };
      const quietMs = media.images.length + media.notes.length > 0 ? 0 : debounceOf(arrival);
      if (quietMs > 0) return debounce.hold(group, request, quietMs) ? { accepted: true, reason: 'debounce' } : DUPLICATE;
      await debounce.flush(group);
      return await hand(request);
    } catch (error) {
      before?.restore();
      throw error;
    }
  }

  /** Whether a group's message that names nobody is not for the agent. Where nothing can tell, it is. */
  function isGated({ generation, channel, message, agentId }: Arrival, { requireMention }: Allowed, session: SessionRecord | undefined): boolean {
    const own = session?.extra?.groupActivation;
    if (own === 'always' || (own !== 'mention' && !requireMention)) return false;
    const { config } = generation;
    return message.mentioned === false || channel.capabilities.mentions === true || mentions.has(config, agentId);
  }

  function extrasOf(arrival: Arrival, session: SessionRecord | undefined, media: Awaited<ReturnType<typeof loadMedia>>, context = ''): Partial<RunRequest> {
    const { generation, channel, message } = arrival;
    const { config } = generation;
    const envelope = envelopes.before({ label: channel.meta.label, message, now: now(), lastAt: session?.updatedAt, config });
    const model = session?.modelOverride === undefined ? pinnedModel(config, channel, message) : undefined;
    const after = [quotation(message.replyTo), ...media.notes.map((note) => `\n\n${note}`)].join('');
    return {
      framing: { before: `${context}${envelope}`, after },
      ...(media.images.length === 0 ? {} : { images: media.images }),
      ...(model === undefined ? {} : { model }),
    };
  }

  return {
    async receive(origin, message) {
      const place = `${origin.channel.id}\n${origin.accountId}\n${message.conversationId}`;
      return lines.run(place, () => handle(origin, message, place));
    },
    resume: () => debounce.resume(),
    stop() {
      closing.abort();
      debounce.stop();
    },
  };
}

/** What extensions make of a message; a reason when one of them took it. */
async function throughHooks(
  { hooks }: Generation,
  { channel, accountId }: InboundOrigin,
  message: InboundMessage,
): Promise<{ message: InboundMessage } | { accepted: true; reason: string }> {
  const { conversationId, senderId } = message;
  const context = { channelId: channel.id, accountId, conversationId };
  const event = { content: message.text, channel: channel.id, accountId, conversationId, senderId, isGroup: message.chatType !== 'direct' };
  hooks.emit('message_received', { from: senderId, content: message.text }, context);
  const claimed = await hooks.call('inbound_claim', event, context);
  if (claimed?.handled === true) return { accepted: true, reason: 'claimed' };
  const inbound = (await hooks.call('channel.inbound', event, context)) ?? event;
  if ('handled' in inbound && inbound.handled === true) return { accepted: true, reason: 'handled' };
  return { message: inbound.content === message.text ? message : { ...message, text: inbound.content } };
}

/** The room or its thread. */
function placeOf({ place, message }: Arrival): string {
  return message.threadId === undefined ? place : `${place}\n${message.threadId}`;
}

/** `messages.inbound`; 0: nothing waits. */
function debounceOf({ generation, channel }: Arrival): number {
  const { inbound } = generation.config.messages;
  return inbound?.byChannel?.[channel.id] ?? inbound?.debounceMs ?? 0;
}
