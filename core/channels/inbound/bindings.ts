import type { InboundMessage } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import { DEFAULT_AGENT_ID, defaultAgentId } from '../../sessions/service.ts';
import { foldCase } from '../access/fold-case.ts';

type Match = NonNullable<Config['bindings']>[number]['match'];

export interface BindingParams {
  config: Config;
  /** The channel's id and its other names, lower case. */
  channelNames: readonly string[];
  accountId: string;
  /** The account that a binding without one is about. */
  defaultAccountId: string;
  message: Pick<
    InboundMessage,
    'chatType' | 'senderId' | 'senderAliases' | 'conversationId' | 'conversationAliases' | 'parentConversationId' | 'guildId' | 'teamId' | 'senderRoles'
  >;
}

/** From the most to the least exact. */
type Tier = 'peer' | 'parent' | 'roles' | 'guild' | 'team' | 'account' | 'any-account';
const TIERS: readonly Tier[] = ['peer', 'parent', 'roles', 'guild', 'team', 'account', 'any-account'];

/** The agent that answers a message: of the bindings that fit, all of their fields, the most exact; among equals the first. */
export function boundAgent(params: BindingParams): string {
  const { config } = params;
  const found = new Map<Tier, string>();
  for (const { type = 'route', agentId, match } of config.bindings ?? []) {
    if (type !== 'route' || !isAgent(config, agentId)) continue;
    const tier = tierOf(match, params);
    if (tier !== undefined && !found.has(tier)) found.set(tier, agentId.toLowerCase());
  }
  const tier = TIERS.find((each) => found.has(each));
  return (tier === undefined ? undefined : found.get(tier)) ?? defaultAgentId(config);
}

/** Whether an id is one that the configuration has; without a list there is the default one alone. */
export function isAgent({ agents }: Pick<Config, 'agents'>, agentId: string): boolean {
  const id = agentId.toLowerCase();
  const list = agents.list ?? [];
  return list.length === 0 ? id === DEFAULT_AGENT_ID : list.some((agent) => agent.id.toLowerCase() === id);
}

function tierOf(match: Match, params: BindingParams): Tier | undefined {
  const { message } = params;
  if (!params.channelNames.includes(match.channel.toLowerCase()) || !fitsAccount(match.accountId, params)) return undefined;
  const peer = match.peer === undefined ? 'none' : fitsPeer(match.peer, message);
  if (peer === undefined) return undefined;
  if (match.guildId !== undefined && match.guildId !== message.guildId) return undefined;
  if (match.teamId !== undefined && match.teamId !== message.teamId) return undefined;
  const { roles } = match;
  if (roles !== undefined && !roles.some((role) => message.senderRoles?.includes(role) === true)) return undefined;
  if (peer !== 'none') return peer;
  if (match.guildId !== undefined) return roles === undefined ? 'guild' : 'roles';
  if (match.teamId !== undefined) return 'team';
  return match.accountId === '*' ? 'any-account' : 'account';
}

function fitsAccount(wanted: string | undefined, { accountId, defaultAccountId }: BindingParams): boolean {
  return wanted === '*' || (wanted ?? defaultAccountId).toLowerCase() === accountId.toLowerCase();
}

function fitsPeer(peer: NonNullable<Match['peer']>, message: BindingParams['message']): 'peer' | 'parent' | undefined {
  const kind = peer.kind === 'dm' ? 'direct' : peer.kind;
  if (kind !== message.chatType) return undefined;
  const id = foldCase(peer.id);
  const isId = (name: string | undefined): boolean => name !== undefined && foldCase(name) === id;
  if (kind === 'direct') return [message.senderId, ...(message.senderAliases ?? []), message.conversationId].some(isId) ? 'peer' : undefined;
  const { conversationId, conversationAliases = [], parentConversationId: parent, guildId } = message;
  if (isId(conversationId)) return 'peer';
  // a thread's aliases may name what it hangs below as well, with and without the kind before it
  if (isId(parent) || (parent !== undefined && foldCase(parent).endsWith(`:${id}`))) return 'parent';
  return !isId(guildId) && conversationAliases.some(isId) ? 'peer' : undefined;
}
