import { randomInt } from 'node:crypto';
import type { Client } from 'irc-framework';
import { checkAccount, type IrcAccount, readCa } from './account.ts';
import { IrcError, lostConnection, refusal } from './failure.ts';
import { LineTransport } from './transport.ts';

/** A registered connection. */
export interface Link {
  client: Client;
  /** The services account, when logged in. */
  account: string | undefined;
  /** Resolves when the connection is over, with what ended it. */
  lost: Promise<IrcError>;
  /** Says goodbye and closes. */
  quit(text: string): Promise<void>;
}

export interface LinkOptions {
  /** A new one; whoever wants to hear everything listens before. */
  client: Client;
  account: IrcAccount;
  signal: AbortSignal;
  nick?: string;
  timeoutMs?: number;
}

/** Until the server says welcome; some look up names and addresses for half a minute first. */
const REGISTER_MS = 60_000;
const QUIT_MS = 2_000;
/** seconds */
const PING = { interval: 30, timeout: 90 };
const NICK_TRIES = 8;

/** The library is loaded by the first account that connects. */
export async function createClient(): Promise<Client> {
  const { default: framework } = await import('irc-framework');
  return new framework.Client();
}

/** Connects, logs in and waits for the welcome. Throws an `IrcError`, or the reason of the signal. */
export async function openLink({ client, account, signal, nick = account.nick, timeoutMs = REGISTER_MS }: LinkOptions): Promise<Link> {
  checkAccount(account);
  const { host, port, tls, sasl, password } = account;
  const ca = account.caFile === undefined ? undefined : await readCa(account.caFile);
  signal.throwIfAborted();

  const { promise: lost, resolve: setLost } = Promise.withResolvers<IrcError>();
  let reason: IrcError | undefined;
  let socketError: unknown;
  const link: Link = {
    client,
    account: undefined,
    lost,
    async quit(text) {
      client.quit(text);
      const timer = setTimeout(() => client.connection.end(null, true), QUIT_MS);
      await lost;
      clearTimeout(timer);
    },
  };
  /** Ends the connection for a reason of ours. */
  const give = (error: IrcError) => {
    reason ??= error;
    client.connection.end(null, true);
  };

  client.requestCap(['account-tag', 'message-tags', 'server-time', 'batch']);
  client.on('irc error', (event: { error: string; reason?: string; channel?: string; nick?: string }) => {
    if (event.error === 'irc' || event.error === 'password_mismatch' || event.error === 'banned_from_network') give(refusal(event));
  });
  client.on('loggedin', (event: { account?: string }) => {
    link.account = event.account;
  });
  client.on('loggedout', () => {
    link.account = undefined;
  });
  client.on('sasl failed', (event: { reason: string; message?: string }) => give(saslFailure(event)));
  client.on('ping timeout', () => give(new IrcError('IRC_SILENT', `${host}:${port} has been silent for ${PING.timeout} s`, { retryable: true })));
  client.on('socket close', (error: unknown) => {
    if (error instanceof Error) socketError = error;
  });
  client.on('close', () => setLost(reason ?? lostConnection(socketError, account)));

  const welcome = Promise.withResolvers<void>();
  client.once('registered', () => {
    // a server without SASL says so by saying nothing
    if (sasl !== undefined && link.account === undefined) give(saslFailure({ reason: 'capability_missing' }));
    else welcome.resolve();
  });
  chooseNick(client, nick, give, welcome.promise);

  client.connect({
    host,
    port,
    tls,
    nick,
    username: account.username,
    gecos: account.realname,
    password,
    // an empty object: without it the library tries the password of the server as that of a services account
    account: sasl === undefined ? {} : { account: sasl.username, password: sasl.password },
    sasl_mechanism: 'PLAIN',
    enable_echomessage: true,
    enable_chghost: true,
    auto_reconnect: false,
    ping_interval: PING.interval,
    ping_timeout: PING.timeout,
    version: '',
    transport: LineTransport,
    ...(ca === undefined ? {} : { ca }),
    ...(account.tlsFingerprint === undefined ? {} : { fingerprint: account.tlsFingerprint }),
  });

  const late = new IrcError('IRC_TIMEOUT', `${host}:${port} did not say welcome within ${timeoutMs / 1000} s`, {
    retryable: true,
    hint: 'Check channels.irc.port and tls; the server may be overloaded.',
  });
  const timer = setTimeout(() => give(late), timeoutMs);
  const abort = () => client.connection.end(null, true);
  signal.addEventListener('abort', abort, { once: true });
  try {
    const ended = await Promise.race([welcome.promise, lost]);
    signal.throwIfAborted();
    if (ended !== undefined) throw ended;
    return link;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/** Takes another nick when the wanted one is not free, until the welcome. */
function chooseNick(client: Client, wanted: string, give: (error: IrcError) => void, welcome: Promise<void>): void {
  let isWelcome = false;
  void welcome.then(() => {
    isWelcome = true;
  });
  let tries = 0;
  const next = () => {
    if (isWelcome) return;
    tries += 1;
    if (tries > NICK_TRIES)
      give(new IrcError('IRC_NICK', `neither '${wanted}' nor a nick like it is free`, { retryable: true, hint: 'Choose another channels.irc.nick.' }));
    else client.changeNick(alternativeNick(wanted, tries));
  };
  client.on('nick in use', next);
  // 437: held by the services, or just given up by somebody
  client.on('unknown command', (command: { command: string }) => {
    if (command.command === '437') next();
  });
  client.on('nick invalid', (event: { nick?: string; reason?: string }) => {
    if (isWelcome) return;
    give(
      new IrcError('IRC_NICK', `the server does not take the nick '${event.nick ?? wanted}': ${event.reason ?? 'it is not valid'}`, {
        hint: 'Choose another channels.irc.nick.',
      }),
    );
  });
}

/** Short enough for servers that take nine characters. */
export function alternativeNick(wanted: string, attempt: number): string {
  if (attempt === 1 && wanted.length < 9) return `${wanted}_`;
  return `${wanted.slice(0, 6)}${String(randomInt(1000)).padStart(3, '0')}`;
}

function saslFailure({ reason, message }: { reason: string; message?: string }): IrcError {
  const said = message === undefined ? '' : `: ${message}`;
  switch (reason) {
    case 'capability_missing':
      return new IrcError('IRC_SASL_MISSING', 'the server offers no SASL', {
        // services that are away take it with them
        retryable: true,
        hint: 'Use channels.irc.nickserv in place of sasl, or another server of the network.',
      });
    case 'unsupported_mechanism':
      return new IrcError('IRC_SASL_MISSING', 'the server offers no SASL PLAIN', { hint: 'Use channels.irc.nickserv in place of sasl.' });
    case 'nick_locked':
      return new IrcError('IRC_SASL', `the services account is locked${said}`, { hint: 'Ask the operators of the network.' });
    default:
      return new IrcError('IRC_SASL', `the services refused the login${said}`, {
        hint: 'Check channels.irc.sasl.username and password; the account must be registered with the services of the network.',
      });
  }
}
