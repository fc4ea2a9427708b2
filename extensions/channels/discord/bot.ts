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
    inOrder: createOrder(),
  };
  return bot;
}

/** Runs work of one key one after the other, of different keys side by side. */
export function createOrder(): Bot['inOrder'] {
  const chains = new Map<string, Promise<unknown>>();
  return (key, work) => {
    const done = (chains.get(key) ?? Promise.resolve()).then(work, work);
    chains.set(key, done);
    const clear = () => chains.get(key) === done && chains.delete(key);
    done.then(clear, clear);
    return done;
  };
}

/** Remembers so many and forgets the oldest. */
export interface Recent<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
  delete(key: string): void;
}

export function createRecent<Value>(most: number): Recent<Value> {
  const held = new Map<string, Value>();
  return {
    get: (key) => held.get(key),
    delete: (key) => void held.delete(key),
    set(key, value) {
      held.delete(key);
      held.set(key, value);
      const [oldest] = held.keys();
      if (held.size > most && oldest !== undefined) held.delete(oldest);
    },
  };
}
