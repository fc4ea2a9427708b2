import { errorCode } from 'Durar/plugin-sdk/core';
import type { RetryVerdict } from 'Durar/plugin-sdk/retry';

export interface FailureFacts {
  /** Whether the same request may succeed a little later. */
  transient?: boolean;
  /** Whether a later delivery of the same message can succeed; default: as `transient`. */
  retryable?: boolean;
  /** The request may have been carried out all the same. */
  unsure?: boolean;
  /** Slack's own word for it, such as `channel_not_found`. */
  reason?: string;
  /** milliseconds that Slack asked to wait */
  retryAfterMs?: number;
  hint?: string;
}

/** A failed request, in words for the operator. It holds no token and no error of a library, whose text may have one. */
export class SlackError extends Error {
  readonly code: string;
  readonly hint: string;
  readonly transient: boolean;
  readonly retryable: boolean;
  readonly unsure: boolean;
  readonly reason: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, facts: FailureFacts = {}) {
    super(message);
    this.name = 'SlackError';
    this.code = code;
    this.hint = facts.hint ?? '';
    this.transient = facts.transient ?? false;
    this.retryable = facts.retryable ?? this.transient;
    this.unsure = facts.unsure ?? false;
    this.reason = facts.reason;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

/** Which requests are tried again: those that a short wait may cure, and no others. */
export function judge(error: unknown): RetryVerdict {
  if (!(error instanceof SlackError) || !error.transient) return { retry: false };
  return { retry: true, afterMs: error.retryAfterMs };
}

/** Slack refused the request with one of these reasons. */
export function isRefusal(error: unknown, ...reasons: string[]): boolean {
  return error instanceof SlackError && error.reason !== undefined && reasons.includes(error.reason);
}

/** Says what went wrong and what to do, for a place that shows no hints. */
export function explain(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return error instanceof SlackError && error.hint !== '' ? `${text}. ${error.hint}` : text;
}

/** A status that is no success. */
export function statusFailure(method: string, status: number, retryAfter: string | null): SlackError {
  if (status === 429) return rateLimit(method, retryAfter);
  if (status >= 500) return unavailable(method, String(status));
  return new SlackError('SLACK_SERVER', `${method}: the server answered ${status}`, { retryable: true, hint: SERVER_HINT });
}

/** The connection could not be made, or broke before an answer had begun. */
export function connectionFailure(method: string, error: unknown, { timedOut, aborted }: { timedOut: boolean; aborted: boolean }): SlackError {
  if (error instanceof SlackError) return error;
  if (aborted) return new SlackError('SLACK_ABORTED', `${method} was given up`, { retryable: true, unsure: true });
  if (timedOut) {
    return new SlackError('SLACK_TIMEOUT', `Slack did not answer ${method} in time`, { transient: true, unsure: true, hint: CONNECTION_HINT });
  }
  const code = causeCode(error);
  const facts = { transient: CONNECTION_CODES.has(code), retryable: true, unsure: !NEVER_SENT.has(code), hint: CONNECTION_HINT };
  return new SlackError('SLACK_CONNECTION', `${method}: no connection to Slack (${code})`, facts);
}

/** What is done twice when it is asked for twice. */
const UNREPEATABLE = new Set(['chat.postMessage', 'files.completeUploadExternal']);

/** The answer had begun with a success and broke off: nothing that succeeded is sent again, unless that changes nothing. */
export function answerLost(method: string): SlackError {
  if (!UNREPEATABLE.has(method)) return new SlackError('SLACK_CONNECTION', `${method}: the answer was cut off`, { transient: true, hint: CONNECTION_HINT });
  return new SlackError('SLACK_ANSWER_LOST', `${method}: the answer was cut off`, { hint: 'Look whether the message arrived before you send it again.' });
}

/** What Slack says in an answer with `ok: false`. */
export function refusal(method: string, data: Record<string, unknown>, retryAfter?: string | null): SlackError {
  const { error, needed } = data;
  // a proxy on the way may answer with a page instead
  if (typeof error !== 'string' || !/^[\w.:-]{1,80}$/.test(error)) {
    return new SlackError('SLACK_SERVER', `${method}: the answer does not come from Slack`, { retryable: true, hint: SERVER_HINT });
  }
  if (error === 'ratelimited' || error === 'rate_limited' || error === 'message_limit_exceeded') return rateLimit(method, retryAfter ?? null, error);
  if (OUTAGES.has(error)) return unavailable(method, error);
  const [code, hint] = known(error, typeof needed === 'string' ? needed : '');
  return new SlackError(code, `${method}: ${error}`, { reason: error, hint });
}

function known(error: string, needed: string): [code: string, hint: string] {
  if (AUTH.has(error)) return ['SLACK_AUTH', 'Install the app to the workspace again and set channels.slack.botToken (xoxb-...) and appToken (xapp-...) anew.'];
  if (error === 'not_allowed_token_type') return ['SLACK_AUTH', 'botToken must begin with xoxb-, appToken with xapp-; they may have been mixed up.'];
  if (error === 'missing_scope' || error === 'no_permission') {
    const scope = needed === '' ? 'the scope that the method needs' : `the scope ${needed}`;
    return ['SLACK_SCOPE', `Give the app ${scope} under OAuth & Permissions (for appToken: connections:write) and install it again.`];
  }
  if (error === 'not_in_channel') return ['SLACK_NOT_MEMBER', 'Invite the bot to the channel: /invite @bot.'];
  if (error === 'channel_not_found') return ['SLACK_TARGET', 'Use the id of a conversation that the bot is in, such as C0123456789.'];
  if (error === 'user_not_found' || error === 'users_not_found') return ['SLACK_TARGET', 'Use the id of a member of the workspace, such as U0123456789.'];
  return ['SLACK_REFUSED', `Slack does not take this request; see ${error} at https://docs.slack.dev.`];
}

function rateLimit(method: string, retryAfter: string | null, reason = 'ratelimited'): SlackError {
  const seconds = Number(retryAfter ?? Number.NaN);
  return new SlackError('SLACK_RATE_LIMIT', `${method}: ${reason}`, {
    transient: true,
    reason,
    ...(retryAfter !== null && Number.isFinite(seconds) ? { retryAfterMs: seconds * 1000 } : {}),
    hint: 'Slack limits how fast an app may write; the message is sent later.',
  });
}

function unavailable(method: string, what: string): SlackError {
  return new SlackError('SLACK_UNAVAILABLE', `${method}: Slack is not available (${what})`, {
    transient: true,
    unsure: true,
    hint: 'Nothing needs to be done; see https://slack-status.com if it goes on.',
  });
}

/** `fetch` hides the reason below its own error. */
function causeCode(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = errorCode(at);
    if (code !== undefined && !code.startsWith('ERR_')) return code;
    const [first] = at instanceof AggregateError ? at.errors : [];
    const inner = errorCode(first);
    if (inner !== undefined) return inner;
  }
  return 'unknown reason';
}

const CONNECTION_HINT = 'Check the network, and channels.slack.apiUrl if it is set.';
const SERVER_HINT = 'Check channels.slack.apiUrl, and whether a proxy answers in place of Slack.';

const AUTH = new Set(['invalid_auth', 'not_authed', 'account_inactive', 'token_revoked', 'token_expired', 'user_removed_from_team', 'team_disabled']);

/** Slack's own failures; part of the work may be done. */
const OUTAGES = new Set(['internal_error', 'fatal_error', 'service_unavailable', 'request_timeout', 'team_added_to_org']);

const NEVER_SENT = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

const CONNECTION_CODES = new Set([...NEVER_SENT, 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'UND_ERR_SOCKET']);
