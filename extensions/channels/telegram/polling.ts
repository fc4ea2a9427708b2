import { errorText } from 'Durar/plugin-sdk/core';
import type { Update } from 'grammy/types';
import type { Bot } from './bot.ts';
import type { Receive } from './receive.ts';
import { chatOf, UPDATE_KINDS } from './updates.ts';

/** How long Telegram holds a request when there is nothing new. */
const HOLD_SECONDS = 30;
/** How much longer than that its answer may take. */
const SPARE_MS = 15_000;
const CONFIRM_MS = 2000;

export interface PollingOptions {
  bot: Bot;
  receive: Receive;
  signal: AbortSignal;
  log: { debug(text: string): void };
  /** Told of each answer. */
  onAlive(): void;
}

/**
 * Asks for updates until the signal is aborted; rejects when the connection is lost or an update could not be kept. Telegram forgets an
 * update when the next request names a later one, so that request is made only when all before it are on the host's disk.
 */
export async function pollUpdates({ bot, receive, signal, log, onAlive }: PollingOptions): Promise<void> {
  const timeoutMs = HOLD_SECONDS * 1000 + Math.min(bot.account.timeoutMs, SPARE_MS);
  let offset: number | undefined;
  let unconfirmed = false;
  while (!signal.aborted) {
    const updates = await ask();
    if (updates === undefined) break;
    unconfirmed = updates.length > 0;
    onAlive();
    await receiveAll(updates, receive);
    for (const { update_id } of updates) offset = Math.max(offset ?? 0, update_id + 1);
  }
  if (unconfirmed && offset !== undefined) await confirm(offset);

  async function ask(): Promise<Update[] | undefined> {
    const from = offset === undefined ? {} : { offset };
    try {
      return await bot.api.call('getUpdates', { timeout: HOLD_SECONDS, allowed_updates: UPDATE_KINDS, ...from }, { signal, timeoutMs });
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  }

  /** Spares the host the repetition after a stop. */
  async function confirm(from: number): Promise<void> {
    try {
      await bot.api.call('getUpdates', { timeout: 0, limit: 1, offset: from }, { timeoutMs: CONFIRM_MS, once: true });
    } catch (error) {
      log.debug(`the last updates come again after the next start: ${errorText(error)}`);
    }
  }
}

/** One after the other in each chat, chats beside each other. Rejects when all have ended and one of them failed. */
async function receiveAll(updates: readonly Update[], receive: Receive): Promise<void> {
  const chats = Map.groupBy(
    updates.toSorted((one, other) => one.update_id - other.update_id),
    chatOf,
  );
  const ended = await Promise.allSettled(
    Array.from(chats.values(), async (list) => {
      for (const update of list) await receive(update);
    }),
  );
  for (const each of ended) if (each.status === 'rejected') throw each.reason;
}
