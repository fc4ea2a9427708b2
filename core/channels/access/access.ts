import type { InboundMessage } from '../../../sdk/index.ts';
import type { ChannelSettings, GroupSettings, TopicSettings } from '../channel-settings.ts';
import type { AllowList } from './allow-list.ts';
import { isEverybody } from './allow-list.ts';
import { foldCase } from './fold-case.ts';

export type AccessDecision =
  | {
      kind: 'allowed';
      /** The sender's commands are carried out. */
      mayCommand: boolean;
      /** Only a message that is meant for the agent is answered. */
      requireMention: boolean;
      group?: GroupSettings;
    }
  /** A stranger who may ask to be let in. */
  | { kind: 'pairing' }
  | { kind: 'refused'; reason: RefusalReason };

export type RefusalReason = 'dm-disabled' | 'sender-not-allowed' | 'group-disabled' | 'group-not-allowed' | 'group-sender-not-allowed';

export interface AccessParams {
  settings: ChannelSettings;
  /** `channels.defaults` */
  defaults: { groupPolicy?: string } | undefined;
  /** `commands.useAccessGroups` */
  useAccessGroups: boolean;
  allowList: AllowList;
  message: Pick<InboundMessage, 'chatType' | 'senderId' | 'senderAliases' | 'conversationId' | 'conversationAliases' | 'parentConversationId' | 'threadId'>;
  /** Whether the pairing store lets the sender in. */
  isPaired(senderId: string): boolean;
}

/** Decides who may talk to the agent. A policy that is not set, or has an unknown name, is the strict one: strangers are refused. */
export function decideAccess(params: AccessParams): AccessDecision {
  return params.message.chatType === 'direct' ? decideDirect(params) : decideGroup(params);
}

function decideDirect({ settings, allowList, message, isPaired }: AccessParams): AccessDecision {
  const { dmPolicy = 'pairing', allowFrom = [] } = settings;
  if (dmPolicy === 'disabled') return { kind: 'refused', reason: 'dm-disabled' };
  if (allowList.names(allowFrom, message) || isPaired(message.senderId)) return { kind: 'allowed', mayCommand: true, requireMention: false };
  return dmPolicy === 'pairing' ? { kind: 'pairing' } : { kind: 'refused', reason: 'sender-not-allowed' };
}

function decideGroup({ settings, defaults, useAccessGroups, allowList, message, isPaired }: AccessParams): AccessDecision {
  const policy = settings.groupPolicy ?? defaults?.groupPolicy ?? 'allowlist';
  if (policy === 'disabled') return { kind: 'refused', reason: 'group-disabled' };
  const { group, isListed } = groupOf(settings, message);
  if (group?.enabled === false) return { kind: 'refused', reason: 'group-disabled' };
  const senders = group?.allowFrom ?? settings.groupAllowFrom ?? settings.allowFrom;
  if (policy !== 'open') {
    if (settings.groups !== undefined && !isListed) return { kind: 'refused', reason: 'group-not-allowed' };
    if (!allowList.names(senders, message)) return { kind: 'refused', reason: 'group-sender-not-allowed' };
  } else if (group?.allowFrom !== undefined && !allowList.names(group.allowFrom, message)) return { kind: 'refused', reason: 'group-sender-not-allowed' };
  const isOpen = senders === undefined || senders.length === 0 || senders.some(isEverybody);
  const mayCommand = !useAccessGroups || isOpen || allowList.names([...senders, ...(settings.allowFrom ?? [])], message) || isPaired(message.senderId);
  return { kind: 'allowed', mayCommand, requireMention: group?.requireMention ?? true, ...(group === undefined ? {} : { group }) };
}

/** The entry of `groups` for a conversation: its own, by whatever name, over that of `*`. */
function groupOf({ groups }: ChannelSettings, message: AccessParams['message']): { group: GroupSettings | undefined; isListed: boolean } {
  if (groups === undefined) return { group: undefined, isListed: false };
  const names = [
    message.conversationId,
    ...(message.parentConversationId === undefined ? [] : [message.parentConversationId]),
    ...(message.conversationAliases ?? []),
  ];
  const entries = Object.entries(groups);
  const everywhere = entries.find(([id]) => isEverybody(id))?.[1];
  const topic = topicOf({ groups }, message);
  for (const name of names) {
    const own = entries.find(([id]) => !isEverybody(id) && foldCase(id.trim()) === foldCase(name))?.[1];
    if (own !== undefined) return { group: { ...everywhere, ...own, ...topic }, isListed: true };
  }
  return { group: everywhere === undefined ? undefined : { ...everywhere, ...topic }, isListed: everywhere !== undefined };
}

/** What the group's entry says of the thread. */
export function topicOf({ groups = {} }: ChannelSettings, message: Pick<AccessParams['message'], GroupNames | 'threadId'>): TopicSettings | undefined {
  const { threadId } = message;
  if (threadId === undefined) return undefined;
  const names = [...namesOfGroup(message), '*'].map(foldCase);
  const found = names.flatMap((name) => Object.entries(groups).filter(([id]) => foldCase(id.trim()) === name));
  const topics = found.find(([, group]) => group.topics !== undefined && Object.hasOwn(group.topics, threadId))?.[1].topics;
  return topics?.[threadId];
}

type GroupNames = 'conversationId' | 'parentConversationId' | 'conversationAliases';

function namesOfGroup({ conversationId, parentConversationId, conversationAliases = [] }: Pick<InboundMessage, GroupNames>): string[] {
  return [conversationId, ...(parentConversationId === undefined ? [] : [parentConversationId]), ...conversationAliases];
}
