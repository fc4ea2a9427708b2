import type { Channel } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';

/** What a group of `groups` says of itself. */
export interface GroupSettings {
  enabled?: boolean;
  requireMention?: boolean;
  allowFrom?: readonly (string | number)[];
  systemPrompt?: string;
  skills?: readonly string[];
  tools?: ToolRules;
  toolsBySender?: Readonly<Record<string, ToolRules>>;
  /** By thread; each takes from its group what it does not say itself. */
  topics?: Readonly<Record<string, TopicSettings>>;
}

export interface TopicSettings extends Omit<GroupSettings, 'topics'> {
  /** Answers here, whatever the bindings say. */
  agentId?: string;
}

export interface ToolRules {
  profile?: 'minimal' | 'coding' | 'messaging' | 'full';
  allow?: string[];
  deny?: string[];
}

/** The host's part of a channel's block as one account has it. */
export interface ChannelSettings {
  dmPolicy?: string;
  allowFrom?: readonly (string | number)[];
  groupPolicy?: string;
  groupAllowFrom?: readonly (string | number)[];
  groups?: Readonly<Record<string, GroupSettings>>;
  historyLimit?: number;
  mediaMaxMb?: number;
  healthMonitor?: { enabled?: boolean };
}

/** Keys of `channels` that configure all of them. */
const SHARED_KEYS = new Set(['defaults', 'modelByChannel']);

/** The block of one channel; undefined when it has none. */
export function channelBlock(config: Pick<Config, 'channels'>, channel: string): Record<string, unknown> | undefined {
  const { channels } = config;
  const block = channels !== undefined && Object.hasOwn(channels, channel) ? channels[channel] : undefined;
  return isObject(block) ? block : undefined;
}

/** Channels with a block that does not switch them off. */
export function configuredChannels(config: Pick<Config, 'channels'>): string[] {
  return Object.entries(config.channels ?? {}).flatMap(([id, block]) =>
    SHARED_KEYS.has(id) || (block as { enabled?: unknown } | undefined)?.enabled === false ? [] : [id],
  );
}

/** An account's own keys stand in for those of its channel. */
export function accountBlock(config: Pick<Config, 'channels'>, channel: string, accountId: string): Record<string, unknown> {
  const { accounts, ...block } = channelBlock(config, channel) ?? {};
  const own = isObject(accounts) && Object.hasOwn(accounts, accountId) ? accounts[accountId] : undefined;
  return isObject(own) ? { ...block, ...own } : block;
}

export function channelSettings(config: Pick<Config, 'channels'>, channel: string, accountId: string): ChannelSettings {
  return accountBlock(config, channel, accountId) as ChannelSettings;
}

/** With what the channel's own keys say of conversations; `shown`: the configuration as the channel gets it. */
export function settingsOf(
  channel: Pick<Channel, 'id' | 'security'>,
  config: Pick<Config, 'channels'>,
  accountId: string,
  shown: Record<string, unknown>,
): ChannelSettings {
  const block = accountBlock(config, channel.id, accountId);
  const settings: ChannelSettings = block;
  const own = channel.security?.groups?.(block, shown);
  if (own === undefined) return settings;
  const { groups = {} } = settings;
  const both = Object.entries(own).map(([id, group]): [string, GroupSettings] => [id, { ...(Object.hasOwn(groups, id) ? groups[id] : {}), ...group }]);
  return { ...settings, groups: { ...groups, ...Object.fromEntries(both) } };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
