import { errorCode, errorText } from 'Durar/plugin-sdk/core';
import { createWebhookListeners, readWebhookBody, type WebhookListeners } from 'Durar/plugin-sdk/webhook-listeners';
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SlackAccount, signingSecretOf } from './account.ts';
import type { Bot } from './bot.ts';
import { SlackError } from './failure.ts';
import type { Receive } from './receive.ts';

const BODY_BYTES = 4 * 1024 * 1024;
/** A request that is older, or newer, is not believed. */
const WINDOW_SECONDS = 5 * 60;
/** How often Slack is asked whether the token still holds. */
const CHECK_MS = 5 * 60_000;

interface Route {
  secret: string;
  receive: Receive;
  log: { warn(text: string): void };
  onAlive(): void;
}

/** Listeners for what Slack posts; accounts with the same address share one. */
export type Listeners = WebhookListeners<Route>;

export function createListeners(): Listeners {
  return createWebhookListeners<Route>(answer, {
    pathTaken: ({ host, port, path }) =>
      new SlackError('SLACK_WEBHOOK_PATH', `the webhook path ${path} on ${host}:${port} belongs to another account`, {
        hint: 'Give each account a webhookPath of its own.',
      }),
    cannotListen: ({ host, port }, error) =>
      new SlackError('SLACK_WEBHOOK_LISTEN', `the webhook cannot listen on ${host}:${port} (${errorCode(error) ?? errorText(error)})`, {
        retryable: true,
        hint: 'Free the port, or set channels.slack.webhookPort to another.',
      }),
  });
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
    const body = await readWebhookBody(request, BODY_BYTES);
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
