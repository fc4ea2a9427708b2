import { createRecent, type Recent } from 'Durar/plugin-sdk/recent';
import { createSerial } from 'Durar/plugin-sdk/serial';
import { createHash } from 'node:crypto';
import { botTokenOf, resolveAccount, type SlackAccount } from './account.ts';
import { type Answer, type ApiOptions, type CallOptions, createApi, type SlackApi } from './api.ts';
import { createDirectory, type Directory } from './directory.ts';

/** One app in one workspace as this process uses it: its connection and what is remembered of what it did. */
export interface Bot {
  readonly account: SlackAccount;
  readonly api: SlackApi;
  readonly directory: Directory;
  /** Asks Slack who the bot is. */
  identify(options?: CallOptions): Promise<Identity>;
  /** Its id, asked for once. */
  userId(options?: CallOptions): Promise<string>;
  /** Which app it is, without its token. */
  readonly fingerprint: string;
  /** Threads and messages that it wrote lately, as `<conversation>:<ts>`. */
  readonly sent: Recent<true>;
  /** How far a message is that takes several requests, by its idempotency key. */
  readonly steps: Recent<Steps>;
  /** When a message was first sent that may have gone out though its request failed, epoch ms, by its mark. */
  readonly unsure: Recent<number>;
  /** Direct conversations, by person. */
  readonly directs: Recent<string>;
  /** Told of each try that failed and is made again, while it runs. */
  onRetry: ApiOptions['onRetry'] | undefined;
  /** Runs what concerns one conversation one after the other. */
  inOrder<Result>(place: string, work: () => Promise<Result>): Promise<Result>;
}

export interface Identity {
  userId: string;
  name: string;
  team: string;
  teamId: string;
  /** What the app may do; empty where Slack does not say. */
  scopes: string[];
}

/** What is done of a file that is sent. */
export interface Steps {
  uploadUrl?: string;
  fileId?: string;
  uploaded?: boolean;
  completed?: boolean;
  /** Messages behind it. */
  texts: number;
}

export interface Bots {
  /** The account's bot. It lives until the account's settings change. Throws when it has no token. */
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

function createBot(account: SlackAccount): Bot {
  const token = botTokenOf(account);
  const { apiUrl, timeoutMs, retry, userToken } = account;
  const onRetry: NonNullable<ApiOptions['onRetry']> = (error, delayMs) => bot.onRetry?.(error, delayMs);
  const api = createApi({ token, apiUrl, timeoutMs, retry, onRetry });
  const reader = userToken === undefined ? api : createApi({ token: userToken, apiUrl, timeoutMs, retry });
  let ownId: Promise<string> | undefined;
  const bot: Bot = {
    account,
    api,
    identify: async (options) => identityOf(await api.call('auth.test', {}, options)),
    userId(options) {
      ownId ??= bot.identify(options).then(({ userId }) => userId);
      ownId.catch(() => (ownId = undefined));
      return ownId;
    },
    directory: createDirectory(reader),
    fingerprint: createHash('sha256').update(token).digest('hex'),
    sent: createRecent(2000),
    steps: createRecent(500),
    unsure: createRecent(500),
    directs: createRecent(2000),
    onRetry: undefined,
    inOrder: createSerial().run,
  };
  return bot;
}

function identityOf({ user_id, user, team, team_id, response_metadata }: Answer): Identity {
  const { scopes } = (response_metadata ?? {}) as { scopes?: string[] };
  return { userId: String(user_id ?? ''), name: String(user ?? ''), team: String(team ?? ''), teamId: String(team_id ?? ''), scopes: scopes ?? [] };
}
