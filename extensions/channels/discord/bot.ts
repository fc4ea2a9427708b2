import { createRecent, type Recent } from 'Durar/plugin-sdk/recent';
import { createSerial } from 'Durar/plugin-sdk/serial';
import { createHash } from 'node:crypto';
import { type DiscordAccount, resolveAccount, tokenOf } from './account.ts';
import { createApi, type DiscordApi } from './api.ts';
import type { Person } from './messages.ts';

/** One bot as this process uses it: its connection and what is remembered of what passed. */
export interface Bot {
  readonly account: DiscordAccount;
  readonly token: string;
  readonly api: DiscordApi;
  /** Which bot it is, without its token. */
  readonly fingerprint: string;
  /** Who wrote the messages that passed lately: user ids by message id. */
  readonly authors: Recent<string>;
  /** Who wrote lately, by user id. */
  readonly people: Recent<Person>;
  /** The channels of direct messages, by user id. */
  readonly directChannels: Recent<string>;
  /** What is done already of a message that takes several requests, by its idempotency key. */
  readonly steps: Recent<string[]>;
  /** Where its retries are logged while it runs. */
  log: ((text: string) => void) | undefined;
  /** Runs what concerns one channel one after the other. */
  inOrder<Result>(channel: string, work: () => Promise<Result>): Promise<Result>;
}

export interface Bots {
  /** The account's bot. It lives until the account's settings change. */
  of(config: Record<string, unknown>, accountId?: string): Bot;
}

export function createBots(): Bots {
  const known = new Map<string, { settings: string; bot: Bot }>();
  return {
    of(config, accountId) {
      const account = resolveAccount(config, accountId);
      const settings = JSON.stringify(account);
      const old = known.get(account.accountId);
      if (old?.settings === settings) return old.bot;
      const bot = createBot(account);
      known.set(account.accountId, { settings, bot });
      return bot;
    },
  };
}

function createBot(account: DiscordAccount): Bot {
  const token = tokenOf(account);
  const { apiRoot, timeoutMs, retry } = account;
  const bot: Bot = {
    account,
    token,
    fingerprint: createHash('sha256').update(token).digest('hex').slice(0, 32),
    api: createApi({ token, apiRoot, timeoutMs, retry, onRetry: (text) => bot.log?.(text) }),
    authors: createRecent(5000),
    people: createRecent(5000),
    directChannels: createRecent(5000),
    steps: createRecent(500),
    log: undefined,
    inOrder: createSerial().run,
  };
  return bot;
}
