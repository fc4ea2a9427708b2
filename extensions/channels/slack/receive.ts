import { type DeliveryReceipt, errorText, type InboundMedia, type InboundMessage } from 'Durar/plugin-sdk/core';
import { createRecent } from 'Durar/plugin-sdk/recent';
import type { Bot } from './bot.ts';
import { type EventBody, type EventContext, type Incoming, type Me, placeOf, readEvent } from './events.ts';
import { SlackError } from './failure.ts';
import { factsOfFile, type SlackFile } from './media.ts';
import { createThreadBefore } from './thread.ts';
import { tooLarge } from './transport.ts';

export interface ReceiverOptions {
  bot: Bot;
  me: Me;
  deliver(message: InboundMessage): Promise<DeliveryReceipt>;
  log: { debug(text: string): void; warn(text: string): void };
  signal: AbortSignal;
  /** The app was taken out of the workspace. */
  onRevoked(error: SlackError): void;
}

/** Takes what Slack sends. Resolves when it may be confirmed; rejects when it could not be kept and must come again. */
export type Receive = (body: unknown) => Promise<void>;

export function createReceiver({ bot, me, deliver, log, signal, onRevoked }: ReceiverOptions): Receive {
  const { account, api, directory } = bot;
  const running = new Map<string, Promise<void>>();
  /** Events that the host has. */
  const kept = createRecent<true>(5000);
  const context: EventContext = {
    me,
    reactionNotifications: account.reactionNotifications,
    directory,
    threadBefore: createThreadBefore({ directory, limit: account.threadHistory, userId: me.userId }),
    wasSent: (channelId, ts) => bot.sent.get(`${channelId}:${ts}`) === true,
  };

  async function read(body: EventBody): Promise<Incoming | undefined> {
    try {
      return await readEvent(body, context);
    } catch (error) {
      // it would be the same the next time
      log.warn(`the event ${body.event_id} is left out, as it cannot be read: ${errorText(error)}`);
      return undefined;
    }
  }

  async function load(file: SlackFile, limit: AbortSignal, most = account.mediaMaxBytes): Promise<Uint8Array> {
    const maxBytes = Math.min(most, account.mediaMaxBytes);
    const both = AbortSignal.any([limit, signal]);
    const isElsewhere = file.file_access === 'check_file_info' && file.id !== undefined;
    const full = isElsewhere ? ((await api.call('files.info', { file: file.id }, { signal: both })).file as SlackFile) : file;
    if ((full.size ?? 0) > maxBytes) throw tooLarge(maxBytes);
    const url = full.url_private_download ?? full.url_private;
    if (url === undefined) throw new SlackError('SLACK_FILE', 'Slack does not say where the file is');
    return api.download(url, { maxBytes, signal: both });
  }

  async function handle(body: EventBody): Promise<void> {
    const { type } = body.event;
    if (type === 'app_uninstalled' || type === 'tokens_revoked') {
      onRevoked(new SlackError('SLACK_AUTH', `the app was taken out of the workspace (${type})`, { hint: 'Install it again and set its new tokens.' }));
      return;
    }
    const incoming = await read(body);
    if (incoming !== undefined) {
      const media = incoming.files.map(
        (file): InboundMedia => ({ ...factsOfFile(file), load: (limit: AbortSignal, limits?: { maxBytes: number }) => load(file, limit, limits?.maxBytes) }),
      );
      await deliver({ ...incoming.message, accountId: account.accountId, ...(media.length === 0 ? {} : { media }) });
    }
    kept.set(body.event_id, true);
  }

  return (body) => {
    if (!isEvent(body)) return Promise.resolve();
    const id = body.event_id;
    if (kept.get(id) === true) return Promise.resolve();
    // Slack repeats what takes long; the repetition waits for the same work
    const same = running.get(id);
    if (same !== undefined) return same;
    const work = bot.inOrder(`in:${placeOf(body)}`, () => handle(body)).finally(() => running.delete(id));
    running.set(id, work);
    return work;
  };
}

/** Presses of buttons and slash commands have other bodies. */
function isEvent(body: unknown): body is EventBody {
  if (typeof body !== 'object' || body === null || !('event' in body) || !('event_id' in body)) return false;
  return (
    typeof body.event_id === 'string' && typeof body.event === 'object' && body.event !== null && 'type' in body.event && typeof body.event.type === 'string'
  );
}
