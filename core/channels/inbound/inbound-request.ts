import type { Channel, InboundMessage } from '../../../sdk/index.ts';
import type { RunRequest } from '../../agent/service.ts';
import type { Config } from '../../config/schema.ts';
import { topicOf } from '../access/access.ts';
import { type AllowList, isEverybody, namesOf } from '../access/allow-list.ts';
import type { ChannelSettings, GroupSettings, ToolRules } from '../channel-settings.ts';
import { boundAgent, isAgent } from './bindings.ts';
import { movesRoute, routeSession } from './routing.ts';

export interface RequestParams {
  config: Config;
  channel: Channel;
  accountId: string;
  defaultAccountId: string;
  settings: ChannelSettings;
  allowList: AllowList;
  message: InboundMessage;
  mayCommand: boolean;
  group: GroupSettings | undefined;
  runId: string;
}

/** Who answers a message, and in which session. */
export function routeOf({
  config,
  channel,
  accountId,
  defaultAccountId,
  settings,
  message,
}: Omit<RequestParams, 'allowList' | 'mayCommand' | 'group' | 'runId'>): {
  agentId: string;
  sessionKey: string;
} {
  const { agentId: own } = topicOf(settings, message) ?? {};
  const bound = () => boundAgent({ config, channelNames: namesOf(channel), accountId, defaultAccountId, message });
  const agentId = own !== undefined && isAgent(config, own) ? own.toLowerCase() : bound();
  const hasTopics = channel.capabilities.topics === true;
  return { agentId, sessionKey: routeSession({ config, channel: channel.id, accountId, agentId, hasTopics, message }) };
}

/** The request for a message as it was written; what stands around it comes with its framing. */
export function requestOf(params: RequestParams): RunRequest {
  const { config, channel, accountId, settings, allowList, message, group, runId } = params;
  const { messageId, threadId } = message;
  const { agentId, sessionKey } = routeOf(params);
  const moves = movesRoute({
    config,
    chatType: message.chatType,
    allowFrom: settings.allowFrom,
    isNamed: allowList.names(settings.allowFrom, message),
  });
  const toolRules = group === undefined ? undefined : toolRulesOf(group, message, allowList);
  return {
    runId,
    message: message.text,
    sessionKey,
    agentId,
    channel: channel.id,
    accountId,
    to: message.conversationId,
    ...(threadId === undefined ? {} : { threadId }),
    ...(messageId === undefined ? {} : { replyToId: messageId }),
    ...keyed(channel.id, accountId, message),
    autoReply: true,
    ...(message.mentioned === undefined ? {} : { mentioned: message.mentioned }),
    senderId: message.senderId,
    senderAllowed: params.mayCommand,
    ...(isOwner(config.commands.ownerAllowFrom, channel, allowList, message) ? { senderIsOwner: true } : {}),
    ...(moves ? {} : { keepsRoute: true }),
    ...(group?.systemPrompt === undefined ? {} : { extraSystemPrompt: group.systemPrompt }),
    ...(group?.skills === undefined ? {} : { skills: group.skills }),
    ...(toolRules === undefined ? {} : { toolRules }),
    provenance: { kind: 'external_user', channel: channel.id },
  };
}

/** What tells a repetition of a message from the message. */
export function dedupeKeyOf(
  channel: string,
  accountId: string,
  { conversationId, messageId }: Pick<InboundMessage, 'conversationId' | 'messageId'>,
): string | undefined {
  return messageId === undefined ? undefined : `${channel}:${accountId}:${conversationId}:${messageId}`;
}

function keyed(channel: string, accountId: string, message: InboundMessage): Pick<RunRequest, 'dedupeKey'> {
  const dedupeKey = dedupeKeyOf(channel, accountId, message);
  return dedupeKey === undefined ? {} : { dedupeKey };
}

/** `commands.ownerAllowFrom`: ids, which may name their channel before a colon. Nobody owns by `*`. */
function isOwner(owners: readonly string[] | undefined, channel: Channel, allowList: AllowList, message: InboundMessage): boolean {
  const named = (owners ?? []).filter((entry) => !isEverybody(entry) && !namesOf(channel).some((name) => entry.trim().toLowerCase() === `${name}:*`));
  return allowList.names(named, message);
}

/** `channels.modelByChannel`: the model of a conversation. */
export function pinnedModel(config: Config, channel: Channel, message: InboundMessage): string | undefined {
  const pins = namesOf(channel).flatMap((name) =>
    Object.entries(config.channels?.modelByChannel ?? {}).flatMap(([id, map]) => (id.toLowerCase() === name ? [map] : [])),
  );
  const ids = [message.conversationId, message.parentConversationId, ...(message.conversationAliases ?? []), '*'];
  for (const id of ids) for (const pin of pins) if (id !== undefined && Object.hasOwn(pin, id)) return pin[id];
  return undefined;
}

/** The first entry of `toolsBySender` that fits, else the group's own. */
function toolRulesOf({ tools, toolsBySender }: GroupSettings, message: InboundMessage, allowList: AllowList): ToolRules | undefined {
  for (const [key, rules] of Object.entries(toolsBySender ?? {})) {
    if (isEverybody(key)) return rules;
    const [, kind = 'id', value = key] = /^(id|e164|username|name):(.+)$/i.exec(key) ?? [];
    if (kind.toLowerCase() === 'id' ? allowList.names([value], message) : allowList.matches([value], givenAs(kind.toLowerCase(), message))) return rules;
  }
  return tools;
}

/** What the sender is called under a kind that is no id. */
function givenAs(kind: string, message: InboundMessage): string[] {
  const given = { e164: message.senderE164, username: message.senderUsername, name: message.senderName } as Record<string, string | undefined>;
  const value = given[kind];
  return value === undefined ? [] : [value];
}
