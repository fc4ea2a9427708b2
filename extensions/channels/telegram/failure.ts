import { errorCode } from 'Durar/plugin-sdk/core';
import type { RetryVerdict } from 'Durar/plugin-sdk/retry';

export interface FailureFacts {
  /** Whether the same request may succeed a little later. */
  transient?: boolean;
  /** Whether a later delivery of the same message can succeed; default: as `transient`. */
  retryable?: boolean;
  /** Whether it may have been carried out all the same. */
  open?: boolean;
  /** HTTP status of the answer */
  status?: number;
  /** What the server says about it. */
  description?: string;
  /** milliseconds that the server asked to wait */
  retryAfterMs?: number;
  /** The id that the chat has now. */
  migratedTo?: number;
  hint?: string;
}

/** A failed request, in words for the operator. It holds neither the token nor an error of a library, whose text may have it. */
export class TelegramError extends Error {
  readonly code: string;
  readonly hint: string;
  readonly transient: boolean;
  readonly retryable: boolean;
  readonly open: boolean;
  readonly status: number | undefined;
  readonly description: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly migratedTo: number | undefined;

  constructor(code: string, message: string, facts: FailureFacts = {}) {
    super(message);
    this.name = 'TelegramError';
    this.code = code;
    this.hint = facts.hint ?? '';
    this.transient = facts.transient ?? false;
    this.retryable = facts.retryable ?? this.transient;
    this.open = facts.open ?? false;
    this.status = facts.status;
    this.description = facts.description;
    this.retryAfterMs = facts.retryAfterMs;
    this.migratedTo = facts.migratedTo;
  }
}

/** The connection broke; `status` when an answer had begun. */
export class TransportError extends Error {
  readonly code: string;
  readonly status: number | undefined;

  constructor(code: string, status?: number) {
    super(status === undefined ? `the connection failed (${code})` : `the answer ${status} was cut off (${code})`);
    this.name = 'TransportError';
    this.code = code;
    this.status = status;
  }
}

/** Code of an answer that is longer than the caller takes. */
export const TOO_LARGE = 'TOO_LARGE';

/** Which requests are tried again: those that a short wait may cure, and no others. */
export function judge(error: unknown): RetryVerdict {
  if (!(error instanceof TelegramError) || !error.transient) return { retry: false };
  return { retry: true, afterMs: error.retryAfterMs };
}

/** Telegram cannot read the markup of a text. */
export function isParseError(error: unknown): boolean {
  return error instanceof TelegramError && error.status === 400 && /can'?t (?:parse|find end of)/i.test(error.description ?? '');
}

export interface FailureContext {
  method: string;
  token: string;
  /** The time for the request was over. */
  timedOut: boolean;
  /** The caller gave it up. */
  aborted: boolean;
}

/** What the Bot API and the network say, as one kind of error. */
export function failureOf(error: unknown, context: FailureContext): TelegramError {
  const { method, token, timedOut, aborted } = context;
  if (error instanceof TelegramError) return error;
  const answer = apiAnswer(error);
  if (answer !== undefined) return refusalOf(method, answer, token);
  const cause = innermost(error);
  if (cause instanceof TransportError && cause.status !== undefined) return cutOff(method, cause, cause.status, token);
  if (aborted) return new TelegramError('TELEGRAM_ABORTED', `${method} was given up`, { retryable: true });
  if (timedOut) {
    return new TelegramError('TELEGRAM_TIMEOUT', `Telegram did not answer ${method} in time`, { transient: true, open: true, hint: CONNECTION_HINT });
  }
  const code = errorCode(cause) ?? 'unknown reason';
  const facts = { transient: CONNECTION_CODES.has(code), retryable: true, open: !UNSENT_CODES.has(code), hint: CONNECTION_HINT };
  return new TelegramError('TELEGRAM_CONNECTION', `${method}: no connection to the Bot API (${code})`, facts);
}

/** The answer began, so the request was taken or refused; nothing that succeeded is sent again. */
function cutOff(method: string, cause: TransportError, status: number, token: string): TelegramError {
  if (cause.code === TOO_LARGE) {
    return new TelegramError('TELEGRAM_FILE_SIZE', `${method}: the answer is larger than allowed`, { hint: 'Raise channels.telegram.mediaMaxMb.' });
  }
  if (status >= 400) return refusalOf(method, { error_code: status, description: 'the answer was cut off' }, token);
  return new TelegramError('TELEGRAM_ANSWER_LOST', `${method}: ${cause.message}`, {
    status,
    hint: 'Look whether the message arrived before you send it again.',
  });
}

const CONNECTION_HINT = 'Check the network, channels.telegram.apiRoot and channels.telegram.proxy.';

const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** The connection was never made. */
const UNSENT_CODES = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN']);

interface ApiAnswer {
  error_code: number;
  description: string;
  parameters?: { retry_after?: number; migrate_to_chat_id?: number };
}

/** The fields that grammY puts on the error of an answer with `ok: false`. */
function apiAnswer(error: unknown): ApiAnswer | undefined {
  if (typeof error !== 'object' || error === null || !('error_code' in error) || typeof error.error_code !== 'number') return undefined;
  return error as ApiAnswer;
}

/** The error below the one that grammY wraps around a failed connection. */
function innermost(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const inner = 'error' in error ? error.error : error.cause;
  return inner === undefined || inner === error ? error : innermost(inner);
}

function refusalOf(method: string, answer: ApiAnswer, token: string): TelegramError {
  const { error_code: status, parameters = {} } = answer;
  const description = answer.description.replaceAll(token, '***');
  const facts = { status, description };
  const fail = (code: string, more: FailureFacts = {}, why = '') =>
    new TelegramError(code, `${method}: ${why === '' ? '' : `${why}: `}${description} (${status})`, { ...facts, ...more });
  if (status === 429) {
    const after = parameters.retry_after;
    return fail('TELEGRAM_RATE_LIMIT', {
      transient: true,
      ...(typeof after === 'number' ? { retryAfterMs: after * 1000 } : {}),
      hint: 'Telegram limits how fast a bot may write; the message is sent later.',
    });
  }
  if (UNAVAILABLE.has(status) || /temporarily unavailable/i.test(description)) {
    return fail('TELEGRAM_UNAVAILABLE', { transient: true, hint: 'The Bot API is down for the moment; nothing needs to be done.' });
  }
  // the address of a method holds the token, so a server that does not know it answers 404
  if (status === 401 || (status === 404 && description === 'Not Found')) {
    const hint = 'Ask @BotFather for the token of the bot and set channels.telegram.botToken, or that of the account.';
    return fail('TELEGRAM_TOKEN', { hint }, 'Telegram does not know this bot token');
  }
  if (status === 409) {
    const hint = 'Stop the other program, or give each program a bot of its own.';
    return fail('TELEGRAM_CONFLICT', { retryable: true, hint }, 'another program receives the messages of this bot');
  }
  if (status === 403) return fail('TELEGRAM_FORBIDDEN', { hint: 'The person blocked the bot, never wrote to it, or it is not a member of that chat.' });
  if (status < 400) return fail('TELEGRAM_SERVER', { retryable: true, hint: 'Check channels.telegram.apiRoot, and whether a proxy answers in its place.' });
  if (status >= 500) return fail('TELEGRAM_SERVER', { retryable: true, hint: 'The Bot API failed. If it goes on, see https://telegram.org/blog.' });
  const migratedTo = parameters.migrate_to_chat_id;
  if (migratedTo !== undefined) {
    return fail('TELEGRAM_MIGRATED', { migratedTo, hint: `The group has the id ${migratedTo} now; use it in channels.telegram.groups.` });
  }
  return fail('TELEGRAM_REFUSED', { hint: 'Telegram does not take this request; its reason is in the message.' });
}

/** Bad gateway, service unavailable, gateway timeout. */
const UNAVAILABLE = new Set([502, 503, 504]);
