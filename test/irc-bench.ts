import type { Channel, ChannelAccountContext, InboundMessage } from 'Durar/plugin-sdk/core';
import { createIrc } from '../extensions/channels/irc/channel.ts';

/** A host as far as a channel sees it. */
export interface Bench {
  irc: Channel;
  cfg: Record<string, unknown>;
  inbox: InboundMessage[];
  log: string[];
  status(): Record<string, unknown>;
  /** Runs the account until it ends. */
  start(accountId?: string): { ended: Promise<unknown>; stop(): Promise<void> };
  send(to: string, text: string, more?: object): Promise<{ messageId?: string }>;
  until(done: () => boolean, what?: string): Promise<void>;
}

export function bench(settings: Record<string, unknown>): Bench {
  const irc = createIrc();
  const { gateway, outbound: { sendText } = {} } = irc;
  if (gateway === undefined || sendText === undefined) throw new Error('it has no transport');
  const cfg = { channels: { irc: { messagesPerSecond: 500, messageBurst: 500, tls: false, retry: { attempts: 1 }, ...settings } } };
  const inbox: InboundMessage[] = [];
  const log: string[] = [];
  let status: Record<string, unknown> = {};
  const write = (level: string) => (text: string) => void log.push(`${level}: ${text}`);
  return {
    irc,
    cfg,
    inbox,
    log,
    status: () => status,
    start(accountId = 'default') {
      const controller = new AbortController();
      const context: ChannelAccountContext = {
        cfg,
        accountId,
        account: irc.config.resolveAccount(cfg, accountId),
        abortSignal: controller.signal,
        log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
        deliver: async (message) => {
          inbox.push(message);
          return { accepted: true };
        },
        getStatus: () => status,
        setStatus: (next) => {
          status = next;
        },
      };
      const ended = gateway.startAccount(context).then(
        () => undefined,
        (error: unknown) => error,
      );
      return {
        ended,
        async stop() {
          controller.abort();
          await ended;
        },
      };
    },
    send: (to, text, more = {}) => sendText({ cfg, to, text, ...more }),
    async until(done, what = 'it') {
      const end = Date.now() + 15_000;
      while (!done()) {
        if (Date.now() > end) throw new Error(`${what} did not happen; ${JSON.stringify({ status, log, inbox: inbox.slice(-3) }, null, 1)}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}

export const isIn = (each: Bench, channel: string) => () => (each.status().channels as string[] | undefined)?.includes(channel) === true;
