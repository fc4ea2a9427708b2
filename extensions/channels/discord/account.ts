import { blockOf, createChannelAccounts, DEFAULT_ACCOUNT } from 'Durar/plugin-sdk/channel-accounts';
import { type RetryPolicy, retryPolicy } from 'Durar/plugin-sdk/retry';
import { DiscordError } from './failure.ts';

export { DEFAULT_ACCOUNT };
/** The token of the default account, where the configuration has none. */
export const TOKEN_ENV = 'DISCORD_BOT_TOKEN';
const DEFAULT_API_ROOT = 'https://discord.com/api';
const MB = 1024 * 1024;

/** Discord's own: the first wait of a request that is tried again. */
export const RETRY_MIN_DELAY_MS = 500;

export type ReactionNotifications = 'off' | 'own' | 'all';

/** What `guilds` says of a channel of a server, or of the server. */
export interface RoomRules {
  allow?: boolean;
  requireMention?: boolean;
  ignoreOtherMentions?: boolean;
  users?: readonly (string | number)[];
  roles?: readonly (string | number)[];
  /** Of a channel alone. */
  systemPrompt?: string;
  skills?: readonly string[];
}

export interface GuildRules extends RoomRules {
  reactionNotifications?: ReactionNotifications;
  channels?: Readonly<Record<string, RoomRules>>;
}

/** One bot with everything that is set for it. */
export interface DiscordAccount {
  accountId: string;
  enabled: boolean;
  name?: string;
  token?: string;
  apiRoot: string;
  gatewayUrl?: string;
  timeoutMs: number;
  retry: RetryPolicy;
  tables: 'code' | 'bullets' | 'off';
  mediaMaxBytes: number;
  allowBots: boolean | 'mentions';
  reactionNotifications: ReactionNotifications;
  mayPingUsers: boolean;
  hasContentIntent: boolean;
  /** Absent: every server is heard. */
  guilds?: Readonly<Record<string, GuildRules>>;
}

type Block = Record<string, unknown>;

const accounts = createChannelAccounts('discord');

/** The names under `channels.discord.accounts`, else `default`. */
export const listAccountIds = accounts.list;

/** The account that is used where none is named. */
export const defaultAccountId = (config: Block): string => accounts.usual(config);

/** What an account does not set itself it takes from `channels.discord`. */
export function resolveAccount(config: Block, accountId = defaultAccountId(config)): DiscordAccount {
  const channel = accounts.block(config);
  const own = accounts.own(config, accountId);
  const both: Block = { ...channel, ...own };
  const token = text(both.token) ?? (accountId === DEFAULT_ACCOUNT ? text(process.env[TOKEN_ENV]) : undefined);
  const name = text(own.name);
  const gatewayUrl = text(both.gatewayUrl);
  const { tables } = blockOf(both.markdown);
  return {
    accountId,
    enabled: channel.enabled !== false && own.enabled !== false,
    ...(name === undefined ? {} : { name }),
    ...(token === undefined ? {} : { token: token.trim().replace(/^Bot\s+/i, '') }),
    apiRoot: (text(both.apiRoot) ?? DEFAULT_API_ROOT).replace(/\/+$/, ''),
    ...(gatewayUrl === undefined ? {} : { gatewayUrl }),
    timeoutMs: (number(both.timeoutSeconds) ?? 15) * 1000,
    retry: retryPolicy({ ...blockOf(channel.retry), ...blockOf(own.retry) }, { minDelayMs: RETRY_MIN_DELAY_MS }),
    tables: tables === 'bullets' || tables === 'off' ? tables : 'code',
    mediaMaxBytes: Math.floor((number(both.mediaMaxMb) ?? 8) * MB),
    allowBots: both.allowBots === true || both.allowBots === 'mentions' ? both.allowBots : false,
    reactionNotifications: both.reactionNotifications === 'off' || both.reactionNotifications === 'all' ? both.reactionNotifications : 'own',
    mayPingUsers: both.allowedMentions === 'users',
    hasContentIntent: both.messageContent !== false,
    ...(both.guilds === undefined ? {} : { guilds: blockOf(both.guilds) as Record<string, GuildRules> }),
  };
}

export function isConfigured(account: DiscordAccount): boolean {
  return account.token !== undefined;
}

export function tokenOf({ accountId, token }: DiscordAccount): string {
  if (token !== undefined) return token;
  throw new DiscordError('DISCORD_TOKEN_MISSING', `the Discord account '${accountId}' has no token`, {
    hint: `Set channels.discord.token${accountId === DEFAULT_ACCOUNT ? `, or ${TOKEN_ENV}` : ' of the account'}.`,
  });
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
