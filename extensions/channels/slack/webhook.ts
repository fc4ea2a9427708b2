import { errorCode, errorText } from 'Durar/plugin-sdk/core';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SlackAccount, signingSecretOf, type WebhookSettings } from './account.ts';
import type { Bot } from './bot.ts';
import { SlackError } from './failure.ts';
import type { Receive } from './receive.ts';

const BODY_BYTES = 4 * 1024 * 1024;
/** A request that is older, or newer, is not believed. */
const WINDOW_SECONDS = 5 * 60;
/** How often Slack is asked whether the token still holds. */
const CHECK_MS = 5 * 60_000;
const CLOSE_MS = 2000;

interface Route {
  secret: string;
  receive: Receive;
  log: { warn(text: string): void };
  onAlive(): void;
}

interface Listener {
  server: Server;
  routes: Map<string, Route>;
  listening: Promise<number>;
}

/** Listeners for what Slack posts; accounts with the same address share one. */
export interface Listeners {
  /** Resolves when it listens, with the port. Throws when the path is taken or the address is not free. */
  open(settings: WebhookSettings, route: Route): Promise<{ port: number; close(): Promise<void> }>;
}

export function createListeners(): Listeners {
  const known = new Map<string, Listener>();

  function listenerOf({ host, port }: WebhookSettings): Listener {
    const address = `${host}:${port}`;
    const old = known.get(address);
    if (old !== undefined) return old;
    const routes = new Map<string, Route>();
    const server = createServer((request, response) => void answer(routes, request, response));
    const listening = new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
    });
    const listener = { server, routes, listening };
    known.set(address, listener);
    return listener;
  }

  return {
    async open(settings, route) {
      const { host, port, path } = settings;
      const listener = listenerOf(settings);
      const { server, routes, listening } = listener;
      if (routes.has(path)) {
        throw new SlackError('SLACK_WEBHOOK_PATH', `the webhook path ${path} on ${host}:${port} belongs to another account`, {
          hint: 'Give each account a webhookPath of its own.',
        });
      }
      routes.set(path, route);
      const leave = () => {
        routes.delete(path);
        if (routes.size === 0 && known.get(`${host}:${port}`) === listener) known.delete(`${host}:${port}`);
        return routes.size === 0;
      };
      try {
        return { port: await listening, close: async () => void (leave() && (await closeServer(server))) };
      } catch (error) {
        leave();
        throw new SlackError('SLACK_WEBHOOK_LISTEN', `the webhook cannot listen on ${host}:${port} (${errorCode(error) ?? errorText(error)})`, {
          retryable: true,
          hint: 'Free the port, or set channels.slack.webhookPort to another.',
        });
      }
    },
  };
}

export interface WebhookOptions {
  account: SlackAccount;
  bot: Bot;
  listeners: Listeners;
  receive: Receive;
  signal: AbortSignal;
  log: { warn(text: string): void };
  onAlive(facts?: { webhookPort: number }): void;
}

/** Takes the events that Slack posts until the signal is aborted. An event is confirmed when the host has it. */
export async function serveWebhook({ account, bot, listeners, receive, signal, log, onAlive }: WebhookOptions): Promise<void> {
  const secret = signingSecretOf(account);
  const listener = await listeners.open(account.webhook, { secret, receive, log, onAlive: () => onAlive() });
  try {
    onAlive({ webhookPort: listener.port });
    while (!signal.aborted) {
      await pause(CHECK_MS, signal);
      if (!signal.aborted) await check(bot, signal, log);
      onAlive();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await listener.close();
  }
}

/** A token that was taken back ends the account; an outage of Slack is no reason to stop listening. */
async function check({ api }: Bot, signal: AbortSignal, log: WebhookOptions['log']): Promise<void> {
  try {
    await api.call('auth.test', {}, { signal });
  } catch (error) {
    if (!(error instanceof SlackError) || !error.retryable) throw error;
    log.warn(`${error.message}; the webhook goes on`);
  }
}

async function answer(routes: ReadonlyMap<string, Route>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const end = (status: number, text = '') => {
    if (!response.headersSent) {
      const isLast = status !== 200 || routes.size === 0;
      response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text), ...(isLast ? { connection: 'close' } : {}) });
    }
    response.end(text);
  };
  const route = routes.get(request.url?.split('?')[0] ?? '');
  try {
    if (route === undefined) return end(404);
    if (request.method !== 'POST') return end(405);
    const body = await readBody(request);
    if (body === undefined) return end(413);
    if (!isSigned(request, body, route.secret)) return end(401);
    // presses of buttons and slash commands come as forms; they are no events
    const content = readJson(body);
    if (content === undefined) return end(200);
    if (content.type === 'url_verification') return end(200, String(content.challenge ?? ''));
    await route.receive(content);
    route.onAlive();
    end(200);
  } catch (error) {
    route?.log.warn(`an event was not kept and comes again: ${errorText(error)}`);
    end(500);
  }
}

/** Slack signs the moment and the body; both are checked, in a time that tells nothing of the signature. */
export function isSigned({ headers }: Pick<IncomingMessage, 'headers'>, body: Buffer, secret: string, now = Date.now()): boolean {
  const { 'x-slack-request-timestamp': timestamp, 'x-slack-signature': signature } = headers;
  if (secret === '' || typeof timestamp !== 'string' || typeof signature !== 'string' || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(now / 1000 - Number(timestamp)) > WINDOW_SECONDS) return false;
  const own = createHmac('sha256', secret).update(`v0:${timestamp}:`).update(body).digest();
  const given = Buffer.from(signature.replace(/^v0=/, ''), 'hex');
  return signature.startsWith('v0=') && given.length === own.length && timingSafeEqual(given, own);
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > BODY_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function readJson(body: Buffer): Record<string, unknown> | undefined {
  try {
    const content: unknown = JSON.parse(body.toString('utf8'));
    return typeof content === 'object' && content !== null ? (content as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Lets requests that are being answered end. */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const limit = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
  await closed;
  clearTimeout(limit);
}
