import type { Client } from 'irc-framework';
import { IrcError } from './failure.ts';
import { createLineQueue, type QueuedLine } from './line-queue.ts';

export interface Shipment {
  target: string;
  lines: readonly string[];
  /** The same for every try of one message; lines that arrived are not sent again. */
  key?: string;
  signal?: AbortSignal;
  /** Told when the connection broke and nobody knows whether a line arrived. */
  onUncertain?: (() => void) | undefined;
}

export interface Shipped {
  /** As the server tells it of the last line, where it does. */
  messageId?: string;
}

/** Sends lines and learns what became of them. */
export interface Outbox {
  /** Resolves when the server has dealt with every line. Rejects with what it refused, or when the connection broke before. */
  send(shipment: Shipment): Promise<Shipped>;
  /** Our own message came back. */
  echoed(target: string, messageId: string | undefined): void;
  answered(token: string): void;
  refused(target: string, error: string, reason: string): void;
  /** The connection is over: nothing more will be confirmed. */
  close(error: IrcError): void;
  readonly waiting: number;
}

export interface OutboxOptions {
  client: Client;
  messagesPerSecond: number;
  messageBurst: number;
  /** Lines that are left of messages whose delivery broke off, by key. Outlives the connection. */
  left: Map<string, readonly string[]>;
}

interface Message {
  target: string;
  lines: readonly string[];
  key: string | undefined;
  queued: QueuedLine[];
  written: number;
  /** As of the last question to the server; an answer confirms so many. */
  asked: number;
  confirmed: number;
  /** Lines of which the server told something. */
  told: number;
  messageId: string | undefined;
  refusal: IrcError | undefined;
  onUncertain: (() => void) | undefined;
  settle: (outcome: { shipped: Shipped } | { error: unknown }) => void;
}

/** So many lines may be out without asking the server whether it has seen them. */
const UNCONFIRMED_LINES = 5;
/** Interrupted messages that are remembered. */
const MOST_LEFT = 500;

/**
 * IRC confirms nothing, but a server works through the commands of a connection in order: when it answers a PING, it has dealt with every line
 * before it, and whatever it refused was told before. One question is on its way at a time, however many messages wait for it.
 */
export function createOutbox({ client, messagesPerSecond, messageBurst, left }: OutboxOptions): Outbox {
  const open = new Set<Message>();
  const queue = createLineQueue({ perSecond: messagesPerSecond, burst: messageBurst, write: (target, line) => client.raw('PRIVMSG', target, line) });
  let asked: string | undefined;
  let count = 0;
  let closed: IrcError | undefined;

  function ask(): void {
    if (asked !== undefined || closed !== undefined) return;
    const isDue = (each: Message) => each.written > each.confirmed && (each.written >= total(each) || each.written - each.confirmed >= UNCONFIRMED_LINES);
    if (![...open].some(isDue)) return;
    for (const message of open) message.asked = message.written;
    count += 1;
    asked = `durar-${count}`;
    client.ping(asked);
  }

  function end(message: Message, error: unknown): void {
    if (!open.delete(message)) return;
    for (const line of message.queued) queue.drop(line);
    if (message.written > message.confirmed) message.onUncertain?.();
    if (message.key !== undefined && message.confirmed > 0 && message.refusal === undefined) {
      left.set(message.key, message.lines.slice(message.confirmed));
      for (const key of left.keys()) {
        if (left.size <= MOST_LEFT) break;
        left.delete(key);
      }
    }
    message.settle({ error });
  }

  return {
    async send({ target, lines, key, onUncertain, signal }) {
      if (closed !== undefined) throw closed;
      signal?.throwIfAborted();
      const rest = (key === undefined ? undefined : left.get(key)) ?? lines;
      const { promise, resolve } = Promise.withResolvers<{ shipped: Shipped } | { error: unknown }>();
      const message: Message = {
        target,
        lines: rest,
        key,
        queued: [],
        written: 0,
        asked: 0,
        confirmed: 0,
        told: 0,
        messageId: undefined,
        refusal: undefined,
        onUncertain,
        settle: resolve,
      };
      const abort = () => end(message, signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      open.add(message);
      message.queued = rest.map((line) =>
        queue.push(target, line, () => {
          message.written += 1;
          ask();
        }),
      );
      const outcome = await promise;
      signal?.removeEventListener('abort', abort);
      if ('error' in outcome) throw outcome.error;
      if (key !== undefined) left.delete(key);
      return outcome.shipped;
    },
    echoed(target, messageId) {
      const message = concerned(open, client, target);
      if (message === undefined) return;
      message.told += 1;
      if (messageId !== undefined) message.messageId = messageId;
    },
    answered(token) {
      if (token !== asked) return;
      asked = undefined;
      for (const message of open) {
        message.confirmed = message.asked;
        if (message.confirmed < total(message)) continue;
        if (message.refusal !== undefined) {
          end(message, message.refusal);
          continue;
        }
        open.delete(message);
        message.settle({ shipped: message.messageId === undefined ? {} : { messageId: message.messageId } });
      }
      ask();
    },
    refused(target, error, reason) {
      const message = concerned(open, client, target);
      if (message === undefined) return;
      message.told += 1;
      message.refusal ??= refusedError(target, error, reason);
      // the lines that are out already are refused too, one by one: it stays until the server has been through them
      for (const line of message.queued) queue.drop(line);
      ask();
    },
    close(error) {
      closed ??= error;
      queue.clear();
      for (const message of open) end(message, error);
    },
    get waiting() {
      return open.size;
    },
  };
}

/** What has to be confirmed of it. */
function total({ refusal, written, lines }: Message): number {
  return refusal === undefined ? lines.length : written;
}

/** The message whose line the server speaks of: it goes through them in order, and tells of each once. */
function concerned(open: Iterable<Message>, client: Client, target: string): Message | undefined {
  for (const message of open) if (message.told < message.written && client.caseCompare(message.target, target)) return message;
  return undefined;
}

function refusedError(target: string, error: string, reason: string): IrcError {
  const hint = REFUSALS[error] ?? 'The text of the server says why.';
  // a channel that the bot was kicked out of is joined again in a moment
  return new IrcError('IRC_REFUSED', `the server did not deliver to ${target}: ${reason}`, { hint, retryable: error === 'cannot_send_to_channel' });
}

const REFUSALS: Record<string, string> = {
  no_such_nick: 'Nobody has that nick now; the message can be sent when the person is there again.',
  cannot_send_to_channel: 'Add the channel to channels.irc.channels, or ask its operators for voice.',
  cannot_send_to_user: 'The person takes no messages from the bot; it may have to be logged in to services.',
};
