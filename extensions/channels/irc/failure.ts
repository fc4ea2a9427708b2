import type { RetryVerdict } from 'Durar/plugin-sdk/retry';

export interface FailureFacts {
  /** What the operator should do next: a sentence in the imperative. */
  hint?: string;
  /** Whether the same thing may succeed a little later. */
  retryable?: boolean;
  cause?: unknown;
}

/** What went wrong with a server, in words for the operator. Holds no secret. */
export class IrcError extends Error {
  readonly code: string;
  readonly hint: string;
  readonly retryable: boolean;

  constructor(code: string, message: string, { hint = '', retryable = false, cause }: FailureFacts = {}) {
    super(message, cause === undefined ? {} : { cause });
    this.name = 'IrcError';
    this.code = code;
    this.hint = hint;
    this.retryable = retryable;
  }
}

/** A message is sent again when the connection was not there or broke; what a server refused is not. */
export function judge(error: unknown): RetryVerdict {
  return { retry: error instanceof IrcError && error.retryable };
}

export function notConnected(accountId: string): IrcError {
  return new IrcError('IRC_NOT_CONNECTED', `the IRC account '${accountId}' is not connected`, {
    retryable: true,
    hint: 'See durar channels status --probe.',
  });
}

/** What a server says before it closes the connection, or instead of welcoming. */
export function refusal({ error, reason }: { error: string; reason?: string }): IrcError {
  const said = reason === undefined || reason === '' ? '' : `: ${reason}`;
  // some servers say it with the number of a wrong password, others only while they close
  const kind = /password/i.test(said) ? 'password_mismatch' : error;
  switch (kind) {
    case 'password_mismatch':
      return new IrcError('IRC_PASSWORD', `the server refused the password${said}`, {
        hint: 'Set channels.irc.password, or that of the account, to the password of the server; a services account has its own under sasl or nickserv.',
      });
    case 'banned_from_network':
      return new IrcError('IRC_BANNED', `the server has banned this client${said}`, {
        hint: 'Ask the operators of the network; connecting again and again makes it worse, so set channels.irc.enabled to false until then.',
      });
    default:
      return new IrcError('IRC_CLOSED', `the server closed the connection${said}`, {
        retryable: true,
        hint: closedHint(reason ?? ''),
      });
  }
}

function closedHint(reason: string): string {
  if (/throttl|too fast|reconnect/i.test(reason)) return 'Nothing needs to be done: it is tried again after a pause.';
  if (/excess flood|recvq|sendq/i.test(reason)) return 'Lower channels.irc.messagesPerSecond and messageBurst.';
  if (/[kgz][-: ]?lined?|banned/i.test(reason)) return 'Ask the operators of the network about the ban.';
  return 'It is tried again after a pause; the text of the server says why.';
}

/** A connection that could not be made, or broke. */
export function lostConnection(cause: unknown, { host, port }: { host: string; port: number }): IrcError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
  const at = `${host}:${port}`;
  if (cause instanceof IrcError) return cause;
  if (code !== undefined && TLS_CODES.test(code)) {
    return new IrcError('IRC_CERTIFICATE', `the certificate of ${at} is not trusted (${code})`, {
      cause,
      hint: 'Set channels.irc.caFile to the certificate that signed it, or tlsFingerprint to its SHA-256.',
    });
  }
  if (code !== undefined && (/^(EPROTO|ERR_SSL)/.test(code) || /before secure TLS/.test(String(cause)))) {
    return new IrcError('IRC_TLS', `${at} does not speak TLS (${code})`, { cause, retryable: true, hint: 'Check channels.irc.port and channels.irc.tls.' });
  }
  const why = cause instanceof Error ? (code ?? cause.message) : 'the other side closed it';
  return new IrcError('IRC_CONNECTION', `no connection to ${at}: ${why}`, {
    cause,
    retryable: true,
    hint: 'Check the network, channels.irc.host and channels.irc.port.',
  });
}

const TLS_CODES = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/;
