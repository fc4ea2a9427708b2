import { blockOf, createChannelAccounts, DEFAULT_ACCOUNT } from 'Durar/plugin-sdk/channel-accounts';
import { errorCode } from 'Durar/plugin-sdk/core';
import { type RetryPolicy, retryPolicy } from 'Durar/plugin-sdk/retry';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { TelegramError } from './failure.ts';

export { DEFAULT_ACCOUNT };
/** The token of the default account, where the configuration has none. */
export const TOKEN_ENV = 'TELEGRAM_BOT_TOKEN';
const DEFAULT_API_ROOT = 'https://api.telegram.org';
const MB = 1024 * 1024;

/** Telegram's own: the first wait of a request that is tried again. */
export const RETRY_MIN_DELAY_MS = 400;

export interface CustomCommand {
  command: string;
  description: string;
}

export interface WebhookSettings {
  url: string;
  secret: string;
  path: string;
  host: string;
  port: number;
}

/** One bot with everything that is set for it. */
export interface TelegramAccount {
  accountId: string;
  enabled: boolean;
  name?: string;
  /** Absent when it stands in a file, or nowhere. */
  token?: string;
  tokenFile?: string;
  apiRoot: string;
  proxy?: string;
  timeoutMs: number;
  retry: RetryPolicy;
  webhook?: WebhookSettings;
  tables: 'code' | 'bullets' | 'off';
  linkPreview: boolean;
  mediaMaxBytes: number;
  mayReact: boolean;
  reactionNotifications: 'off' | 'own' | 'all';
  customCommands: CustomCommand[];
  /** Whether the host's commands stand in the bot's menu. */
  nativeCommands: boolean;
}

type Block = Record<string, unknown>;

const accounts = createChannelAccounts('telegram');

/** The names under `channels.telegram.accounts`, else `default`. */
export const listAccountIds = accounts.list;

/** The account that is used where none is named. */
export const defaultAccountId = (config: Block): string => accounts.usual(config);

/** What an account does not set itself it takes from `channels.telegram`. */
export function resolveAccount(config: Block, accountId = defaultAccountId(config)): TelegramAccount {
  const channel = accounts.block(config);
  const own = accounts.own(config, accountId);
  const both: Block = { ...channel, ...own };
  const hasOwnToken = own.botToken !== undefined || own.tokenFile !== undefined;
  const { botToken, tokenFile } = hasOwnToken ? own : channel;
  const token = text(botToken) ?? (tokenFile === undefined && accountId === DEFAULT_ACCOUNT ? text(process.env[TOKEN_ENV]) : undefined);
  const webhook = webhookOf(both);
  const name = text(own.name);
  const proxy = text(both.proxy);
  return {
    accountId,
    enabled: channel.enabled !== false && own.enabled !== false,
    ...(name === undefined ? {} : { name }),
    ...(token === undefined ? {} : { token }),
    ...(token === undefined && text(tokenFile) !== undefined ? { tokenFile: String(tokenFile) } : {}),
    apiRoot: text(both.apiRoot) ?? DEFAULT_API_ROOT,
    ...(proxy === undefined ? {} : { proxy }),
    timeoutMs: (number(both.timeoutSeconds) ?? 60) * 1000,
    retry: retryPolicy({ ...blockOf(channel.retry), ...blockOf(own.retry) }, { minDelayMs: RETRY_MIN_DELAY_MS }),
    ...(webhook === undefined ? {} : { webhook }),
    tables: tablesOf(both),
    linkPreview: both.linkPreview !== false,
    mediaMaxBytes: Math.floor((number(both.mediaMaxMb) ?? 100) * MB),
    mayReact: both.reactionLevel !== 'off',
    reactionNotifications: both.reactionNotifications === 'off' || both.reactionNotifications === 'all' ? both.reactionNotifications : 'own',
    customCommands: Array.isArray(both.customCommands) ? (both.customCommands as CustomCommand[]) : [],
    nativeCommands: blockOf(config.commands).native !== false,
  };
}

/** Whether there is a token, or a file that should hold one. */
export function isConfigured(account: TelegramAccount): boolean {
  return account.token !== undefined || account.tokenFile !== undefined;
}

/** The bot's token, from its file when it is not set. */
export async function readToken({ accountId, token, tokenFile }: TelegramAccount): Promise<string> {
  if (token !== undefined) return token.trim();
  if (tokenFile === undefined) {
    throw new TelegramError('TELEGRAM_TOKEN_MISSING', `the Telegram account '${accountId}' has no token`, {
      hint: `Set channels.telegram.botToken or tokenFile${accountId === DEFAULT_ACCOUNT ? `, or ${TOKEN_ENV}` : ' of the account'}.`,
    });
  }
  const found = (await readTokenFile(tokenFile)).trim();
  if (found === '') throw fileError(tokenFile, 'is empty');
  return found;
}

async function readTokenFile(path: string): Promise<string> {
  try {
    // refuses a symbolic link, which somebody else might point elsewhere
    const handle = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      const stats = await handle.stat();
      if (!stats.isFile() || stats.size > 4096) throw fileError(path, 'is not a file with a token');
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof TelegramError) throw error;
    throw fileError(path, errorCode(error) === 'ELOOP' ? 'is a symbolic link' : `cannot be read (${errorCode(error) ?? 'unknown reason'})`);
  }
}

function fileError(path: string, what: string): TelegramError {
  return new TelegramError('TELEGRAM_TOKEN_FILE', `the token file ${path} ${what}`, {
    hint: 'Name a regular file that holds only the token in channels.telegram.tokenFile.',
  });
}

function webhookOf(settings: Block): WebhookSettings | undefined {
  const url = text(settings.webhookUrl);
  if (url === undefined) return undefined;
  return {
    url,
    secret: text(settings.webhookSecret) ?? '',
    path: text(settings.webhookPath) ?? '/telegram-webhook',
    host: text(settings.webhookHost) ?? '127.0.0.1',
    port: number(settings.webhookPort) ?? 8787,
  };
}

function tablesOf(settings: Block): TelegramAccount['tables'] {
  const { tables } = blockOf(settings.markdown);
  return tables === 'bullets' || tables === 'off' ? tables : 'code';
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
