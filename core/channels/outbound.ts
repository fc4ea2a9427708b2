import { randomUUID } from 'node:crypto';
import { durarError, errorCode } from '../../sdk/index.ts';
import type { GenerationSource } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import type { Conversation, Outbox, Outgoing } from '../state/state.ts';
import { channelConfig } from './channel-config.ts';
import { configuredChannels } from './channel-settings.ts';
import type { OutboundPoll, OutgoingPayload, SentMessage } from './delivery.ts';
import { createOutboxWorker, type Opened, type OutboxWorker } from './outbox-worker.ts';

export interface SendParams {
  channel: string;
  /** Absent: the channel's first. */
  accountId?: string;
  to: string;
  text: string;
  threadId?: string;
  media?: readonly string[];
  replyToId?: string;
  /** The same message has the same id, and is sent once. */
  id?: string;
  runId?: string;
  sessionKey?: string;
}

export type PollParams = OutboundPoll & Pick<SendParams, 'channel' | 'accountId' | 'to' | 'threadId' | 'id'>;

/** Everything that goes out goes out by here. */
export interface Outbound {
  /**
   * Sends a message to somebody, past those that wait, and tells its id there. Throws `DUR_CHANNEL_UNKNOWN` for a channel that is not
   * configured, `DUR_CHANNEL_ACCOUNT`, `DUR_CHANNEL_NO_TEXT`, `DUR_CHANNEL_NO_MEDIA`, `DUR_CHANNEL_CANCELLED`, and what the channel throws.
   */
  send(params: SendParams): Promise<SentMessage>;
  /** Asks somebody outside. Throws as `send` does, and `DUR_CHANNEL_NO_POLL`, `DUR_CHANNEL_POLL_OPTIONS`. */
  poll(params: PollParams): Promise<SentMessage>;
  /** Puts a message into the outbox, behind those of its conversation; from then on it is kept until it is sent or given up. Throws as `send` for an address that is not there. */
  post(params: SendParams): Promise<void>;
  /** The channel's own object and its account. Throws `DUR_CHANNEL_UNKNOWN`, `DUR_CHANNEL_ACCOUNT`. */
  reach(conversation: Omit<Conversation, 'accountId'> & { accountId?: string | undefined }): Promise<Opened>;
  readonly worker: OutboxWorker;
}

export interface OutboundOptions {
  source: GenerationSource;
  outbox: Outbox;
  log: Logger;
  /** Whether an account is up and connected. */
  isRunning(channel: string, accountId: string): boolean;
  /** epoch ms */
  now?: () => number;
}

const HOUR_MS = 3_600_000;

export function createOutbound({ source, outbox, log, isRunning, now = Date.now }: OutboundOptions): Outbound {
  const worker = createOutboxWorker({
    outbox,
    log,
    now,
    reach,
    async open(conversation) {
      if (!configuredChannels(source.current().config).includes(conversation.channel)) return undefined;
      const opened = await reach(conversation).catch((error: unknown) => {
        if (errorCode(error) === 'DUR_CHANNEL_UNKNOWN' || errorCode(error) === 'DUR_CHANNEL_ACCOUNT') return undefined;
        throw error;
      });
      if (opened === undefined) return undefined;
      if (opened.address.served.gateway === undefined || isRunning(conversation.channel, conversation.accountId)) return opened;
      opened.release();
      return undefined;
    },
    limits() {
      const { attempts, maxAgeHours } = source.current().config.messages.delivery;
      return { attempts, maxAgeMs: maxAgeHours * HOUR_MS };
    },
  });

  async function reach({ channel, accountId, to, threadId }: Parameters<Outbound['reach']>[0]): Promise<Opened> {
    const lease = source.lease();
    try {
      const { generation } = lease;
      const isConfigured = configuredChannels(generation.config).includes(channel);
      const served = isConfigured ? (await generation.contribution('channel', channel))?.value : undefined;
      if (served === undefined) throw durarError('DUR_CHANNEL_UNKNOWN', { channel });
      const known = served.config.listAccountIds(channelConfig(generation, channel));
      const account = accountId ?? known[0];
      if (account === undefined || !known.includes(account)) throw durarError('DUR_CHANNEL_ACCOUNT', { channel, accountId: accountId ?? '' });
      return { address: { generation, served, channel, accountId: account, to, threadId }, release: lease.release };
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  async function outgoing(params: Omit<SendParams, 'text'>, payload: OutgoingPayload): Promise<Outgoing> {
    const { address, release } = await reach(params as SendParams);
    release();
    const { id = randomUUID(), channel, to, threadId, runId, sessionKey } = params;
    return { id, channel, accountId: address.accountId, to, threadId, runId, sessionKey, payload };
  }

  async function settled(message: Outgoing): Promise<SentMessage> {
    const sent = await worker.deliver(message);
    if (sent === undefined) throw durarError('DUR_CHANNEL_CANCELLED', { channel: message.channel });
    return sent;
  }

  return {
    worker,
    reach,
    send: async (params) => settled(await outgoing(params, payloadOf(params))),
    async poll({ channel, accountId, to, threadId, id, ...poll }) {
      const place = { channel, to, ...(accountId === undefined ? {} : { accountId }), ...(threadId === undefined ? {} : { threadId }) };
      return settled(await outgoing({ ...place, ...(id === undefined ? {} : { id }) }, { text: '', poll }));
    },
    async post(params) {
      outbox.add([await outgoing(params, payloadOf(params))], now());
    },
  };
}

function payloadOf({ text, media = [], replyToId }: SendParams): OutgoingPayload {
  return { text, ...(media.length === 0 ? {} : { media }), ...(replyToId === undefined ? {} : { replyToId, replyMark: 'explicit' as const }) };
}
