import { errorCode, errorText } from 'Durar/plugin-sdk/core';
import { createWebhookListeners, readWebhookBody, type WebhookListeners } from 'Durar/plugin-sdk/webhook-listeners';
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Update } from 'grammy/types';
import type { WebhookSettings } from './account.ts';
import type { Bot } from './bot.ts';
import { TelegramError } from './failure.ts';
import type { Receive } from './receive.ts';
import { chatOf, UPDATE_KINDS } from './updates.ts';

const BODY_BYTES = 4 * 1024 * 1024;
/** How often Telegram is asked whether it still knows the webhook. */
const CHECK_MS = 60_000;

interface Route {
  secret: string;
  handle: Receive;
}

/** Listeners of webhooks; accounts with the same address share one. */
export interface Listeners {
  /** Resolves when it listens, with the port. Throws when there is no secret, the path is taken or the address is not free. */
  open(settings: WebhookSettings, handle: Receive): ReturnType<WebhookListeners<Route>['open']>;
}

export function createListeners(): Listeners {
  const listeners = createWebhookListeners<Route>(answer, {
    pathTaken: ({ host, port, path }) =>
      new TelegramError('TELEGRAM_WEBHOOK_PATH', `the webhook path ${path} on ${host}:${port} belongs to another account`, {
        hint: 'Give each account a webhookPath of its own.',
      }),
    cannotListen: ({ host, port }, error) =>
      new TelegramError('TELEGRAM_WEBHOOK_LISTEN', `the webhook cannot listen on ${host}:${port} (${errorCode(error) ?? errorText(error)})`, {
        retryable: true,
        hint: 'Free the port, or set channels.telegram.webhookPort to another.',
      }),
  });
  return {
    async open(settings, handle) {
      const { secret } = settings;
      if (secret === '') {
        throw new TelegramError('TELEGRAM_WEBHOOK_SECRET', 'the webhook has no secret, so anybody could write to the bot', {
          hint: 'Set channels.telegram.webhookSecret to a random text of letters and digits.',
        });
      }
      return listeners.open(settings, { secret, handle });
    },
  };
}

export interface WebhookOptions {
  bot: Bot;
  settings: WebhookSettings;
  listeners: Listeners;
  receive: Receive;
  signal: AbortSignal;
  log: { warn(text: string): void };
  onAlive(facts?: { webhookPort: number }): void;
}

/** Takes the updates that Telegram posts until the signal is aborted. An update is confirmed when the host has it. */
export async function serveWebhook({ bot, settings, listeners, receive, signal, log, onAlive }: WebhookOptions): Promise<void> {
  const running = new Map<number, Promise<void>>();
  /** Telegram repeats what takes long; the repetition waits for the same work. */
  const handle: Receive = (update) => {
    const same = running.get(update.update_id);
    if (same !== undefined) return same;
    const work = bot.inOrder(`in:${chatOf(update)}`, () => receive(update)).finally(() => running.delete(update.update_id));
    running.set(update.update_id, work);
    work.then(
      () => onAlive(),
      (error) => log.warn(`the update ${update.update_id} was not kept: ${errorText(error)}`),
    );
    return work;
  };
  const listener = await listeners.open(settings, handle);
  try {
    await bot.api.call(
      'setWebhook',
      // one connection: with several the messages of a chat may overtake each other
      { url: settings.url, secret_token: settings.secret, allowed_updates: UPDATE_KINDS, max_connections: 1 },
      { signal },
    );
    onAlive({ webhookPort: listener.port });
    while (!signal.aborted) {
      await pause(CHECK_MS, signal);
      if (!signal.aborted) await check(bot, settings, { signal, log });
      onAlive();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await listener.close();
  }
}

async function check(bot: Bot, { url }: WebhookSettings, { signal, log }: Pick<WebhookOptions, 'signal' | 'log'>): Promise<void> {
  const info = await bot.api.call('getWebhookInfo', {}, { signal });
  if (info.url !== url) {
    throw new TelegramError('TELEGRAM_CONFLICT', 'another program took the webhook of this bot', {
      retryable: true,
      hint: 'Stop the other program, or give each program a bot of its own.',
    });
  }
  const failedAt = (info.last_error_date ?? 0) * 1000;
  if (Date.now() - failedAt < CHECK_MS) log.warn(`Telegram cannot reach the webhook: ${info.last_error_message ?? 'unknown reason'}`);
}

async function answer(routes: ReadonlyMap<string, Route>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const end = (status: number) => {
    if (!response.headersSent) response.writeHead(status, { 'content-length': 0, ...(status !== 200 || routes.size === 0 ? { connection: 'close' } : {}) });
    response.end();
  };
  try {
    const route = routes.get(request.url?.split('?')[0] ?? '');
    if (route === undefined) return end(404);
    if (request.method !== 'POST') return end(405);
    if (!isSame(request.headers['x-telegram-bot-api-secret-token'], route.secret)) return end(401);
    const body = await readWebhookBody(request, BODY_BYTES);
    if (body === undefined) return end(413);
    const update = readJson(body.toString('utf8'));
    if (update === undefined) return end(400);
    await route.handle(update);
    end(200);
  } catch {
    // told where it failed; Telegram brings it again
    end(500);
  }
}

/** Compared in constant time: digests have the same length whatever was sent. */
function isSame(given: string | string[] | undefined, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return secret !== '' && typeof given === 'string' && timingSafeEqual(digest(given), digest(secret));
}

function readJson(body: string): Update | undefined {
  try {
    const update: unknown = JSON.parse(body);
    return typeof update === 'object' && update !== null && 'update_id' in update && Number.isInteger(update.update_id) ? (update as Update) : undefined;
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
