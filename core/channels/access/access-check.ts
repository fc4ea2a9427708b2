import type { Config } from '../../config/schema.ts';
import type { Finding } from '../../manifest/catalog.ts';
import { finding } from '../../manifest/finding.ts';
import { accountBlock, type ChannelSettings, channelBlock, configuredChannels, isObject } from '../channel-settings.ts';
import { isAgent } from '../inbound/bindings.ts';
import { isEverybody } from './allow-list.ts';
import { patternFault } from './mention-pattern.ts';

/** What in the rules of the channels cannot be meant so. Such a rule lets nobody in. */
export function checkChannels(config: Config): Finding[] {
  return [...configuredChannels(config).flatMap((channel) => checkChannel(config, channel)), ...checkBindings(config), ...checkPatterns(config)];
}

function checkChannel(config: Config, channel: string): Finding[] {
  const accounts = channelBlock(config, channel)?.accounts;
  const own = isObject(accounts) ? Object.entries(accounts) : [];
  const whole = checkPolicy(accountBlock(config, channel, ''), `channels.${channel}`, channel);
  // what an account has from its channel was told there
  return [
    ...whole,
    ...own.flatMap(([id, block]) => {
      if (!isObject(block) || block.enabled === false || !('dmPolicy' in block || 'allowFrom' in block)) return [];
      return checkPolicy(accountBlock(config, channel, id), `channels.${channel}.accounts.${id}`, channel);
    }),
  ];
}

function checkPolicy({ dmPolicy, allowFrom = [] }: ChannelSettings, path: string, extension: string): Finding[] {
  const list = Array.isArray(allowFrom) ? allowFrom : [];
  const owner = { extension, pointer: `/${path.replaceAll('.', '/')}/allowFrom` };
  if (dmPolicy === 'allowlist' && list.length === 0) return [finding('error', 'DUR_CHANNEL_ALLOWLIST_EMPTY', { path }, owner)];
  if (dmPolicy === 'open' && !list.some(isEverybody)) return [finding('error', 'DUR_CHANNEL_OPEN_UNSAID', { path }, owner)];
  return [];
}

function checkBindings(config: Config): Finding[] {
  return (config.bindings ?? []).flatMap(({ type = 'route', agentId }, index) => {
    if (type !== 'route' || isAgent(config, agentId)) return [];
    return [finding('warn', 'DUR_CHANNEL_BINDING_AGENT', { index, agentId }, { pointer: `/bindings/${index}/agentId` })];
  });
}

function checkPatterns({ agents, messages }: Config): Finding[] {
  const lists = [
    { path: 'messages.groupChat.mentionPatterns', patterns: messages.groupChat.mentionPatterns },
    ...(agents.list ?? []).map((agent, index) => ({
      path: `agents.list.${index}.groupChat.mentionPatterns`,
      patterns: (agent as { groupChat?: { mentionPatterns?: string[] } }).groupChat?.mentionPatterns,
    })),
  ];
  return lists.flatMap(({ path, patterns = [] }) =>
    patterns.flatMap((pattern, index) => {
      const reason = patternFault(pattern);
      if (reason === undefined) return [];
      return [finding('warn', 'DUR_CHANNEL_MENTION_PATTERN', { pattern, path, reason }, { pointer: `/${path.replaceAll('.', '/')}/${index}` })];
    }),
  );
}
