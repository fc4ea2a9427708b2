import { createHash } from 'node:crypto';
import type { InboundMessage } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import { foldCase } from '../access/fold-case.ts';

/** Characters of one id in a key. */
const MAX_PART = 160;

export interface RouteParams {
  config: Pick<Config, 'session'>;
  channel: string;
  accountId: string;
  agentId: string;
  /** Threads of this channel are topics of a group. */
  hasTopics: boolean;
  message: Pick<InboundMessage, 'chatType' | 'senderId' | 'senderAliases' | 'conversationId' | 'parentConversationId' | 'threadId'>;
}

/** The session a channel's message belongs to (`session.dmScope`; groups and rooms always have their own). Keys route, they never authorise. */
export function routeSession({ config, channel, accountId, agentId, hasTopics, message }: RouteParams): string {
  const { session } = config;
  if (session?.scope === 'global') return 'global';
  const own = `agent:${agentId}`;
  if (message.chatType !== 'direct') {
    const { threadId, conversationId, parentConversationId = conversationId } = message;
    const room = `${own}:${channel}:${message.chatType}`;
    if (threadId === undefined) return `${room}:${partOf(withoutKind(conversationId))}`.toLowerCase();
    return `${room}:${partOf(withoutKind(parentConversationId))}:${hasTopics ? 'topic' : 'thread'}:${partOf(threadId)}`.toLowerCase();
  }
  const peer = partOf(linkedName(session?.identityLinks, channel, message) ?? withoutKind(message.senderId));
  switch (session?.dmScope) {
    case 'per-peer':
      return `${own}:direct:${peer}`.toLowerCase();
    case 'per-channel-peer':
      return `${own}:${channel}:direct:${peer}`.toLowerCase();
    case 'per-account-channel-peer':
      return `${own}:${channel}:${accountId}:direct:${peer}`.toLowerCase();
    default:
      return `${own}:main`;
  }
}

/** The key says the kind itself: one that stands before an id is left out. */
const withoutKind = (id: string): string => id.replace(/^(?:channel|group|user):(?=.)/i, '');

/** An id as part of a key: services allow what a key does not. Ids that a key would hold for the same, as its case does not count, are told apart. */
function partOf(id: string): string {
  const plain =
    foldCase(id.trim())
      .replaceAll(/\p{Cc}/gu, '_')
      .replace(/:$/, '_') || '_';
  if (plain.length <= MAX_PART && plain.toLowerCase() === plain) return plain;
  return `${plain.slice(0, MAX_PART / 2)}-${createHash('sha256').update(foldCase(id)).digest('hex').slice(0, 16)}`;
}

/** `session.identityLinks`: the one name of somebody who is on several channels. */
function linkedName(links: Readonly<Record<string, readonly string[]>> | undefined, channel: string, message: RouteParams['message']): string | undefined {
  const ids = new Set([message.senderId, ...(message.senderAliases ?? [])].map((id) => foldCase(`${channel}:${id}`)));
  return Object.entries(links ?? {}).find(([, names]) => names.some((name) => ids.has(foldCase(name.trim()))))?.[0];
}

/**
 * Whether a private message moves the place where the session last talked. Where everybody shares the main session and the channel names one
 * person, that person's place stays.
 */
export function movesRoute({
  config,
  chatType,
  allowFrom = [],
  isNamed,
}: {
  config: Pick<Config, 'session'>;
  chatType: InboundMessage['chatType'];
  allowFrom: readonly unknown[] | undefined;
  /** The sender is the one that `allowFrom` names. */
  isNamed: boolean;
}): boolean {
  if (chatType !== 'direct' || (config.session?.dmScope ?? 'main') !== 'main') return true;
  const [only] = allowFrom;
  return allowFrom.length !== 1 || String(only).trim() === '*' || isNamed;
}
