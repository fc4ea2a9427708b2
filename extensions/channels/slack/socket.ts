import { errorText } from 'Durar/plugin-sdk/core';
import { retryDelay, withRetry } from 'Durar/plugin-sdk/retry';
import { setTimeout as sleep } from 'node:timers/promises';
import type { App, ReceiverEvent, SocketModeReceiver } from '@slack/bolt';
import type { SlackAccount } from './account.ts';
import { appTokenOf } from './account.ts';
import { clientOptions, failureOf, inWire, SILENT } from './api.ts';
import { judge, SlackError } from './failure.ts';
import type { Receive } from './receive.ts';

/** A connection that lasts so long is none that fails. */
const GOOD_MS = 10_000;
/** How long the work on messages may go on when the account ends. */
const END_MS = 2000;

export interface SocketOptions {
  account: SlackAccount;
  receive: Receive;
  signal: AbortSignal;
  log: { debug(text: string): void; info(text: string): void; warn(text: string): void };
  onConnected(): void;
  onDisconnected(reason: string): void;
}

/**
 * Keeps a socket open until the signal is aborted; rejects when none can be opened. Slack closes each one after some hours and says so
 * before. The library's own way of opening the next one lets a failure go unheeded, which would end the process.
 */
export async function runSocket(options: SocketOptions): Promise<void> {
  const { account, signal, log, onConnected, onDisconnected } = options;
  const appToken = appTokenOf(account);
  let failures = 0;
  while (!signal.aborted) {
    const socket = await withRetry(() => openSocket(appToken, options), {
      policy: account.retry,
      judge,
      signal,
      onRetry: ({ error, delayMs }) => log.warn(`${errorText(error)}; tried again in ${delayMs} ms`),
    });
    const openedAt = Date.now();
    onConnected();
    const reason = await socket.ended;
    if (signal.aborted) break;
    if (reason === 'link_disabled') {
      throw new SlackError('SLACK_SOCKET_OFF', 'Socket Mode is switched off for the app', {
        hint: 'Switch it on under Socket Mode at https://api.slack.com/apps, or set channels.slack.mode to http.',
      });
    }
    onDisconnected(reason);
    log.debug(`the socket ended (${reason}); the next one is opened`);
    failures = reason !== LOST || Date.now() - openedAt >= GOOD_MS ? 0 : failures + 1;
    if (failures >= account.retry.attempts) throw new SlackError('SLACK_CONNECTION', 'the socket breaks again and again', { retryable: true });
    if (failures > 0) await pause(retryDelay(account.retry, failures, undefined, Math.random()), signal);
  }
}

/** The reason of a socket that ended without one. */
const LOST = 'lost';

interface OpenSocket {
  /** Resolves with the reason when it is closed. */
  ended: Promise<string>;
}

async function openSocket(appToken: string, { account, receive, signal, log }: SocketOptions): Promise<OpenSocket> {
  const { SocketModeReceiver } = await import('@slack/bolt');
  const { apiUrl, timeoutMs } = account;
  const receiver = new SocketModeReceiver({
    appToken,
    autoReconnectEnabled: false,
    logger: SILENT,
    installerOptions: { clientOptions: clientOptions(apiUrl, timeoutMs) },
  });
  const working = new Set<Promise<void>>();
  receiver.init({ processEvent: (event: ReceiverEvent) => track(working, confirm(event, receive, log)) } as unknown as App);
  const { client } = receiver;
  let reason = LOST;
  const listeners = client.listeners('ws_message');
  client.removeAllListeners('ws_message');
  client.on('ws_message', (data: unknown, isBinary: unknown) => {
    reason = reasonIn(data) ?? reason;
    // the library's own listener is asynchronous, and nobody else would see it fail
    for (const listener of listeners) Promise.resolve(listener(data, isBinary)).catch(() => log.warn('a frame of Slack cannot be read; it is left out'));
  });
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();
  client.on('disconnected', () => end(reason));

  const stop = async () => {
    await Promise.race([Promise.allSettled(working), pause(END_MS)]);
    await close(receiver);
    end(reason);
  };
  const onAbort = () => void stop();
  signal.addEventListener('abort', onAbort, { once: true });
  void ended.then(() => signal.removeEventListener('abort', onAbort));
  const limit = new AbortController();
  try {
    const started = inWire({ method: 'apps.connections.open', timeoutMs, signal }, () => client.start());
    await Promise.race([started, tooLate(timeoutMs, limit.signal)]);
    return { ended };
  } catch (error) {
    await close(receiver);
    end(reason);
    if (signal.aborted) return { ended };
    if (error === undefined) throw new SlackError('SLACK_CONNECTION', 'the socket was closed before it was ready', { transient: true });
    throw failureOf('apps.connections.open', error);
  } finally {
    limit.abort();
  }
}

/** Confirms an event when the host has it. What is not confirmed comes again. */
async function confirm({ body, ack }: ReceiverEvent, receive: Receive, log: SocketOptions['log']): Promise<void> {
  try {
    await receive(body);
  } catch (error) {
    log.warn(`an event was not kept and comes again: ${errorText(error)}`);
    return;
  }
  try {
    await ack();
  } catch (error) {
    // the socket is gone; the repetition is recognised
    log.debug(`an event was kept and not confirmed: ${errorText(error)}`);
  }
}

function track(working: Set<Promise<void>>, work: Promise<void>): Promise<void> {
  working.add(work);
  return work.finally(() => working.delete(work));
}

/** Says why Slack is about to close the socket. */
function reasonIn(data: unknown): string | undefined {
  if (typeof data !== 'string' || !data.includes('"disconnect"')) return undefined;
  try {
    const frame = JSON.parse(data) as { type?: unknown; reason?: unknown } | null;
    return frame?.type === 'disconnect' ? String(frame.reason ?? 'disconnect') : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function close({ client }: SocketModeReceiver): Promise<void> {
  await Promise.race([client.disconnect(), pause(END_MS)]);
}

async function tooLate(ms: number, signal: AbortSignal): Promise<never> {
  await pause(ms, signal);
  if (signal.aborted) return new Promise(() => undefined);
  throw new SlackError('SLACK_TIMEOUT', 'the socket was not ready in time', { transient: true, hint: 'Check the network.' });
}

async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? { ref: false } : { signal });
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}
