import { createRecent, type Recent } from 'Durar/plugin-sdk/recent';
import { createSerial } from 'Durar/plugin-sdk/serial';
import { createHash } from 'node:crypto';
import { readToken, resolveAccount, type TelegramAccount } from './account.ts';
import { type ApiOptions, createApi, type TelegramApi } from './api.ts';
import { TelegramError } from './failure.ts';

/** One bot as this process uses it: its connection and what is remembered of what it sent. */
export interface Bot {
  readonly account: TelegramAccount;
  readonly api: TelegramApi;
  /** Which bot it is, without its token. */
  readonly fingerprint: string;
  /** The messages that it sent lately, as `<chat>:<message>`. */
  readonly sent: Recent<true>;
  /** What is done already of a message that takes several requests, by its idempotency key. */
  readonly steps: Recent<number[]>;
  /** Told of each try that failed and is made again, while it runs. */
  onRetry: ApiOptions['onRetry'] | undefined;
  /** Runs what concerns one chat one after the other. */
  inOrder<Result>(chat: string, work: () => Promise<Result>): Promise<Result>;
}

export interface Bots {
  /** The account's bot. It lives until the account's settings change. */
  of(config: Record<string, unknown>, accountId?: string): Promise<Bot>;
  /** As `of`, with a token file read anew. */
  fresh(config: Record<string, unknown>, accountId?: string): Promise<Bot>;
}

export function createBots(): Bots {
  const known = new Map<string, { settings: string; bot: Promise<Bot> }>();

  function find(config: Record<string, unknown>, accountId: string | undefined, isFresh: boolean): Promise<Bot> {
    const account = resolveAccount(config, accountId);
    const settings = JSON.stringify(account);
    const old = known.get(account.accountId);
    if (old?.settings === settings && !(isFresh && account.tokenFile !== undefined)) return old.bot;
    const bot = createBot(account);
    const entry = { settings, bot };
    known.set(account.accountId, entry);
    // a token that could not be read is looked for again the next time
    bot.catch(() => known.get(account.accountId) === entry && known.delete(account.accountId));
    return bot;
  }

  return {
    of: (config, accountId) => find(config, accountId, false),
    fresh: (config, accountId) => find(config, accountId, true),
  };
}

async function createBot(account: TelegramAccount): Promise<Bot> {
  const token = await readToken(account);
  const { apiRoot, proxy, timeoutMs, retry } = account;
  if (proxy !== undefined && !/^https?:$/.test(URL.parse(proxy)?.protocol ?? '')) {
    // its text may hold a password
    throw new TelegramError('TELEGRAM_PROXY', 'channels.telegram.proxy is no address of an HTTP proxy', { hint: 'Write it as http://host:port.' });
  }
  const bot: Bot = {
    account,
    fingerprint: createHash('sha256').update(token).digest('hex'),
    api: createApi({ token, apiRoot, timeoutMs, retry, onRetry: (error, delayMs) => bot.onRetry?.(error, delayMs), ...(proxy === undefined ? {} : { proxy }) }),
    sent: createRecent(2000),
    steps: createRecent(500),
    onRetry: undefined,
    inOrder: createSerial().run,
  };
  return bot;
}
