import { errorCode } from 'Durar/plugin-sdk/core';
import type { RetryVerdict } from 'Durar/plugin-sdk/retry';

export interface FailureFacts {
  /** Whether a later delivery of the same message can succeed. */
  retryable?: boolean;
  /** HTTP status of the answer */
  status?: number;
  /** Discord's own number for what is wrong. */
  reason?: number;
  /** milliseconds that Discord asked to wait */
  retryAfterMs?: number;
  hint?: string;
}

/** What went wrong, in words for the operator. It holds neither the token nor an error of a library, which may carry the request. */
export class DiscordError extends Error {
  readonly code: string;
  readonly hint: string;
  readonly retryable: boolean;
  readonly status: number | undefined;
  readonly reason: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, facts: FailureFacts = {}) {
    super(message);
    this.name = 'DiscordError';
    this.code = code;
    this.hint = facts.hint ?? '';
    this.retryable = facts.retryable ?? false;
    this.status = facts.status;
    this.reason = facts.reason;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

const RATE_LIMIT = 'DISCORD_RATE_LIMIT';

/** Discord takes a request again only after a rate limit: of everything else nobody knows whether it was done. */
export function judge(error: unknown): RetryVerdict {
  if (!(error instanceof DiscordError) || error.code !== RATE_LIMIT) return { retry: false };
  return { retry: true, afterMs: error.retryAfterMs };
}

export function rateLimited(request: string, retryAfterMs: number | undefined, isGlobal: boolean): DiscordError {
  return new DiscordError(RATE_LIMIT, `${request}: Discord's ${isGlobal ? 'global rate limit' : 'rate limit'} is reached (429)`, {
    status: 429,
    retryable: true,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    hint: 'Discord limits how fast a bot may write; the message is sent later.',
  });
}

/** Discord's numbers for what is not there. */
export const UNKNOWN_CHANNEL = 10_003;
export const UNKNOWN_MESSAGE = 10_008;

export interface FailureContext {
  /** Method and route. */
  request: string;
  token: string;
  /** The time for the request was over. */
  timedOut: boolean;
  /** The caller gave it up. */
  aborted: boolean;
}

/** What Discord and the network say, as one kind of error. */
export function failureOf(error: unknown, { request, token, timedOut, aborted }: FailureContext): DiscordError {
  if (error instanceof DiscordError) return error;
  const { status, code, message } = (error ?? {}) as { status?: unknown; code?: unknown; message?: unknown };
  if (typeof status === 'number') {
    const said = String(message ?? '').replaceAll(token, '***');
    return refusalOf(request, status, typeof code === 'number' ? code : undefined, said);
  }
  if (aborted) return new DiscordError('DISCORD_ABORTED', `${request} was given up`, { retryable: true });
  if (timedOut) return new DiscordError('DISCORD_TIMEOUT', `Discord did not answer ${request} in time`, { retryable: true, hint: CONNECTION_HINT });
  const why = errorCode(error) ?? errorCode((error as { cause?: unknown } | null)?.cause) ?? 'unknown reason';
  return new DiscordError('DISCORD_CONNECTION', `${request}: no connection to Discord (${why})`, { retryable: true, hint: CONNECTION_HINT });
}

const CONNECTION_HINT = 'Check the network and channels.discord.apiRoot.';

function refusalOf(request: string, status: number, reason: number | undefined, said: string): DiscordError {
  const facts = { status, ...(reason === undefined ? {} : { reason }) };
  const what = `${request}: ${said === '' ? 'refused' : said} (${status}${reason === undefined || reason === 0 ? '' : `, ${reason}`})`;
  if (status === 401) return new DiscordError('DISCORD_TOKEN', `Discord does not know this bot token: ${what}`, { ...facts, hint: TOKEN_HINT });
  if (status >= 500) {
    return new DiscordError('DISCORD_SERVER', what, { ...facts, retryable: true, hint: 'Discord failed. If it goes on, see https://discordstatus.com.' });
  }
  const hint = HINTS[reason ?? 0] ?? (status === 403 ? FORBIDDEN_HINT : 'Discord does not take this request; its reason is in the message.');
  return new DiscordError(status === 403 ? 'DISCORD_FORBIDDEN' : 'DISCORD_REFUSED', what, { ...facts, hint });
}

const TOKEN_HINT = 'Reset the token in the Developer Portal (your application, Bot) and set channels.discord.token, or that of the account.';
const FORBIDDEN_HINT = 'Give the bot the permissions View Channel, Send Messages and Read Message History in that channel.';

const HINTS: Record<number, string> = {
  [UNKNOWN_CHANNEL]: 'The channel does not exist, or the bot is not a member of its server.',
  [UNKNOWN_MESSAGE]: 'The message was deleted, or is in another channel.',
  40005: 'Send a smaller file; the server sets how large one may be.',
  50001: FORBIDDEN_HINT,
  50007: 'The person takes no direct messages from this bot; they must share a server with it and allow them.',
  50013: FORBIDDEN_HINT,
};

/** Why the gateway will not have the bot; undefined: the connection can be made again. */
export function closeFailure(code: number): DiscordError | undefined {
  const fatal = CLOSED[code];
  return fatal === undefined ? undefined : new DiscordError(fatal.code, `${fatal.message} (${code})`, { hint: fatal.hint });
}

const CLOSED: Record<number, { code: string; message: string; hint: string }> = {
  4004: { code: 'DISCORD_TOKEN', message: 'Discord does not know this bot token', hint: TOKEN_HINT },
  4010: { code: 'DISCORD_GATEWAY', message: 'Discord refuses the shard', hint: 'Start the account again.' },
  4011: { code: 'DISCORD_GATEWAY', message: 'Discord wants more shards', hint: 'Start the account again.' },
  4012: { code: 'DISCORD_GATEWAY', message: 'Discord no longer speaks this version of its gateway', hint: 'Update Durar.' },
  4013: { code: 'DISCORD_INTENTS', message: 'Discord does not know the intents', hint: 'Update Durar.' },
  4014: {
    code: 'DISCORD_INTENTS',
    message: 'Discord does not let the bot read messages: its message content intent is off',
    hint: 'Switch on "Message Content Intent" in the Developer Portal (your application, Bot), or set channels.discord.messageContent to false.',
  },
};
