import { type ChannelAccountContext, type DeliveryReceipt, errorText, type InboundMessage } from 'Durar/plugin-sdk/core';
import { type RetryPolicy, withRetry } from 'Durar/plugin-sdk/retry';
import { createSerial } from 'Durar/plugin-sdk/serial';
import type { Client } from 'irc-framework';
import { accountSettings, type IrcAccount, sendsOpenPassword } from './account.ts';
import { answerCtcp } from './ctcp.ts';
import { IrcError } from './failure.ts';
import { inboundOf, type MessageEvent, type Self } from './inbound.ts';
import { createClient, openLink } from './link.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { createRooms } from './rooms.ts';
import { entryProblem, listedPeople } from './sender.ts';
import { identify, regainNick } from './services.ts';
import { isService } from './target.ts';

/** What an account has while it is connected. */
export interface Connection {
  client: Client;
  outbox: Outbox;
  /** Who wrote a message of a channel. */
  authorOf(messageId: string): string | undefined;
  /** A message that we sent. */
  remember(messageId: string): void;
}

export interface RunOptions {
  context: ChannelAccountContext;
  left: Map<string, readonly string[]>;
  /** Told of the connection when it is ready, and of none when it is over. */
  onConnection(connection: Connection | undefined): void;
}

/** Messages whose author is remembered, and messages of ours. */
const MOST_REMEMBERED = 500;
/** Messages of one account that may wait for the host; who floods it beyond that loses the rest. */
const MOST_WAITING = 1_000;
/** milliseconds between two updates of the status for mere signs of life */
const STATUS_MS = 5_000;
/** Refused messages that the library has a name for; its other errors are of joins and the like. */
const NAMED_REFUSALS = new Set(['no_such_nick', 'cannot_send_to_channel', 'cannot_send_to_user']);
/** Those that it has no name for: no such channel, too many targets, modes of the receiver. */
const REFUSALS = new Set(['403', '407', '408', '415', '477', '486', '492', '531', '716']);
const GOODBYE = 'Durar';

/** Runs one account until it is stopped. Throws what ended the connection; the host begins anew. */
export async function runAccount(options: RunOptions): Promise<void> {
  const { abortSignal, log, setStatus } = options.context;
  try {
    await connectOnce(options);
  } catch (error) {
    if (abortSignal.aborted) return;
    // the host shows the message
    const hint = error instanceof IrcError ? error.hint : '';
    if (hint !== '') log.warn(hint);
    setStatus({ connected: false, hint });
    throw error;
  }
}

async function connectOnce({ context, left, onConnection }: RunOptions): Promise<void> {
  const { abortSignal, log, setStatus } = context;
  const account = context.account as IrcAccount;

  const authors = createMemory<string>();
  const ours = createMemory<true>();
  let status: Record<string, unknown> = {};
  const show = (change: Record<string, unknown>) => {
    status = { ...status, ...change };
    setStatus(status);
  };
  const client = await createClient();
  const { messagesPerSecond, messageBurst } = account;
  const outbox = createOutbox({ client, messagesPerSecond, messageBurst, left });
  // before the first byte is sent: a bouncer may play back messages with its welcome
  listen();
  const link = await openLink({ client, account, signal: abortSignal });
  warnOf(account, context);
  const rooms = createRooms({ client, channels: account.channels, log, onChange: () => show({ channels: rooms.joined() }) });
  const stopRegaining = regainNick(link, account, () => show({ nick: client.user.nick }));
  log.info(`connected to ${client.network.server} as ${client.user.nick}`);
  show({ connected: true, hint: undefined, lastEventAt: Date.now(), nick: client.user.nick, server: client.network.server, channels: [] });

  const showLogin = () => show({ login: link.account });
  showLogin();
  client.on('account', () => queueMicrotask(showLogin));

  const stop = () => void link.quit(GOODBYE);
  try {
    abortSignal.addEventListener('abort', stop, { once: true });
    if (abortSignal.aborted) stop();
    await identify(link, account, log);
    rooms.enter();
    onConnection({ client, outbox, authorOf: authors.get, remember: (id) => ours.set(id, true) });
    const error = await link.lost;
    outbox.close(error);
    if (!abortSignal.aborted) throw error;
  } finally {
    abortSignal.removeEventListener('abort', stop);
    onConnection(undefined);
    stopRegaining();
    rooms.stop();
    show({ connected: false, channels: [] });
  }

  function listen(): void {
    const self: Self = {
      get nick() {
        return client.user.nick;
      },
      lower: (text) => client.caseLower(text),
      isChannel: (name) => client.network.isChannelName(name),
      localTime: (serverTime) => client.network.timeToLocal(serverTime),
      isOurs: (messageId) => ours.get(messageId) === true,
    };
    const deliver = createDelivery(context, account.retry);
    let told = 0;

    const receive = (event: MessageEvent, isAction: boolean) => {
      if (client.caseCompare(event.nick ?? '', client.user.nick)) {
        outbox.echoed(event.target, event.tags.msgid);
        return;
      }
      if (isService(event.nick ?? '', account.nickserv?.service)) return;
      const message = inboundOf(event, self, { isAction });
      if (message === undefined) return;
      if (message.messageId !== undefined) authors.set(message.messageId, event.nick);
      deliver(message);
    };
    client.on('privmsg', (event: MessageEvent) => receive(event, false));
    client.on('action', (event: MessageEvent) => receive(event, true));
    client.on('pong', ({ message }: { message?: string }) => outbox.answered(message ?? ''));
    client.on('irc error', ({ error, nick, channel, reason = '' }: { error: string; nick?: string; channel?: string; reason?: string }) => {
      const target = nick ?? channel;
      if (NAMED_REFUSALS.has(error) && target !== undefined) outbox.refused(target, error, reason);
    });
    client.on('unknown command', ({ command, params }: { command: string; params: string[] }) => {
      if (REFUSALS.has(command) && params[1] !== undefined) outbox.refused(params[1], command, params.at(-1) ?? '');
    });
    client.on('raw', ({ from_server: isInbound }: { from_server: boolean }) => {
      const now = Date.now();
      if (!isInbound || now - told < STATUS_MS) return;
      told = now;
      show({ lastEventAt: now });
    });
    answerCtcp(client);
    // the mode by which other bots know one
    client.on('motd', () => {
      const mode = client.network.supports('BOT');
      if (typeof mode === 'string' && /^[A-Za-z]$/.test(mode)) client.raw('MODE', client.user.nick, `+${mode}`);
    });
  }
}

/** Hands messages over: those of one conversation one after the other. */
function createDelivery({ deliver, log, abortSignal: signal }: ChannelAccountContext, policy: RetryPolicy): (message: InboundMessage) => void {
  const conversations = createSerial();
  let waiting = 0;
  let lost = 0;

  async function handOver(message: InboundMessage): Promise<void> {
    try {
      // IRC does not bring it again
      const receipt = await withRetry(() => deliver(message), { policy, judge: () => ({ retry: true }), signal });
      const why = message.chatType === 'direct' ? undefined : dropped(receipt);
      if (why !== undefined) log.debug(`irc: drop group sender ${message.senderId} (${why})`);
    } catch (error) {
      log.error(`a message of ${message.senderId} is lost: ${errorText(error)}`);
    } finally {
      waiting -= 1;
    }
  }

  return (message) => {
    if (waiting >= MOST_WAITING) {
      lost += 1;
      if (lost === 1 || lost % 1_000 === 0) log.warn(`too many messages at once: ${lost} were not taken`);
      return;
    }
    waiting += 1;
    void conversations.run(message.conversationId, () => handOver(message));
  };
}

function dropped({ accepted, reason }: DeliveryReceipt): string | undefined {
  if (reason === 'mention') return 'missing-mention';
  if (accepted) return undefined;
  return reason === 'group-disabled' ? 'policy=disabled' : reason?.startsWith('group-') ? 'policy=allowlist' : (reason ?? 'refused');
}

function warnOf(account: IrcAccount, { cfg, accountId, log }: ChannelAccountContext): void {
  if (sendsOpenPassword(account)) log.warn(`the password for ${account.host} goes over the network in plain text; set channels.irc.tls to true`);
  for (const entry of listedPeople(accountSettings(cfg, accountId))) {
    const problem = entryProblem(entry);
    if (problem !== undefined) log.warn(`allowlist: ${problem}`);
  }
}

/** Remembers the newest entries. */
function createMemory<Value>(): { get(key: string): Value | undefined; set(key: string, value: Value): void } {
  const entries = new Map<string, Value>();
  return {
    get: (key) => entries.get(key),
    set(key, value) {
      entries.delete(key);
      entries.set(key, value);
      for (const oldest of entries.keys()) {
        if (entries.size <= MOST_REMEMBERED) break;
        entries.delete(oldest);
      }
    },
  };
}
