import { blockOf, createChannelAccounts, DEFAULT_ACCOUNT } from 'Durar/plugin-sdk/channel-accounts';
import { type RetryPolicy, retryPolicy } from 'Durar/plugin-sdk/retry';
import { SlackError } from './failure.ts';

export { DEFAULT_ACCOUNT };
/** The tokens of the default account, where the configuration has none. */
export const BOT_TOKEN_ENV = 'SLACK_BOT_TOKEN';
export const APP_TOKEN_ENV = 'SLACK_APP_TOKEN';
const DEFAULT_API_URL = 'https://slack.com/api/';
const MB = 1024 * 1024;

/** Where the gateway listens for what Slack posts. */
export interface WebhookSettings {
  path: string;
  host: string;
  port: number;
}

/** One app in one workspace with everything that is set for it. */
export interface SlackAccount {
  accountId: string;
  enabled: boolean;
  mode: 'socket' | 'http';
  botToken?: string;
  appToken?: string;
  signingSecret?: string;
  /** Looks up people and conversations in place of the bot. */
  userToken?: string;
  /** Ends with a slash. */
  apiUrl: string;
  timeoutMs: number;
  retry: RetryPolicy;
  webhook: WebhookSettings;
  tables: 'code' | 'bullets' | 'off';
  linkPreview: boolean;
  mediaMaxBytes: number;
  /** Messages of a thread that the agent is told when it is asked into it. */
  threadHistory: number;
  mayReact: boolean;
  reactionNotifications: 'off' | 'own' | 'all';
}

type Block = Record<string, unknown>;

const accounts = createChannelAccounts('slack');

/** The names under `channels.slack.accounts`, else `default`. */
export const listAccountIds = accounts.list;

/** The account that is used where none is named. */
export const defaultAccountId = (config: Block): string => accounts.usual(config, text(accounts.block(config).defaultAccount));

/** What an account does not set itself it takes from `channels.slack`; tokens belong together, so they come from one place. */
export function resolveAccount(config: Block, accountId = defaultAccountId(config)): SlackAccount {
  const channel = accounts.block(config);
  const own = accounts.own(config, accountId);
  const both: Block = { ...channel, ...own };
  const keys = own.botToken === undefined ? both : own;
  const fromEnv = (name: string) => (accountId === DEFAULT_ACCOUNT ? text(process.env[name]) : undefined);
  const botToken = text(keys.botToken) ?? fromEnv(BOT_TOKEN_ENV);
  const appToken = text(keys.appToken) ?? fromEnv(APP_TOKEN_ENV);
  const signingSecret = text(keys.signingSecret);
  const userToken = text(keys.userToken);
  return {
    accountId,
    enabled: channel.enabled !== false && own.enabled !== false,
    mode: both.mode === 'http' ? 'http' : 'socket',
    ...(botToken === undefined ? {} : { botToken }),
    ...(appToken === undefined ? {} : { appToken }),
    ...(signingSecret === undefined ? {} : { signingSecret }),
    ...(userToken === undefined ? {} : { userToken }),
    apiUrl: (text(both.apiUrl) ?? DEFAULT_API_URL).replace(/\/*$/, '/'),
    timeoutMs: (number(both.timeoutSeconds) ?? 30) * 1000,
    retry: retryPolicy({ ...blockOf(channel.retry), ...blockOf(own.retry) }),
    webhook: {
      path: text(both.webhookPath) ?? '/slack/events',
      host: text(both.webhookHost) ?? '127.0.0.1',
      port: number(both.webhookPort) ?? 3000,
    },
    tables: tablesOf(both),
    linkPreview: both.linkPreview !== false,
    mediaMaxBytes: Math.floor((number(both.mediaMaxMb) ?? 20) * MB),
    threadHistory: number(blockOf(both.thread).initialHistoryLimit) ?? 20,
    mayReact: both.reactionLevel !== 'off',
    reactionNotifications: both.reactionNotifications === 'off' || both.reactionNotifications === 'all' ? both.reactionNotifications : 'own',
  };
}

/** Whether all that the mode needs is there. */
export function isConfigured({ botToken, appToken, signingSecret, mode }: SlackAccount): boolean {
  return botToken !== undefined && (mode === 'socket' ? appToken : signingSecret) !== undefined;
}

/** The bot's token; throws where there is none. */
export function botTokenOf({ botToken, accountId }: SlackAccount): string {
  return botToken ?? missing(accountId, 'botToken', 'bot token (xoxb-...)', BOT_TOKEN_ENV);
}

export function appTokenOf({ appToken, accountId }: SlackAccount): string {
  return appToken ?? missing(accountId, 'appToken', 'app-level token (xapp-...)', APP_TOKEN_ENV);
}

export function signingSecretOf({ signingSecret, accountId }: SlackAccount): string {
  return signingSecret ?? missing(accountId, 'signingSecret', 'signing secret');
}

function missing(accountId: string, key: string, what: string, env?: string): never {
  const orEnv = env !== undefined && accountId === DEFAULT_ACCOUNT ? ` or ${env}` : '';
  throw new SlackError('SLACK_TOKEN_MISSING', `the Slack account '${accountId}' has no ${what}`, {
    hint: `Set channels.slack.${key}${accountId === DEFAULT_ACCOUNT ? '' : ` in accounts.${accountId}`}${orEnv}.`,
  });
}

function tablesOf(settings: Block): SlackAccount['tables'] {
  const { tables } = blockOf(settings.markdown);
  return tables === 'bullets' || tables === 'off' ? tables : 'code';
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
