import { randomUUID } from 'node:crypto';
import { durarError, errorCode } from '../../../sdk/index.ts';
import type { RunResult } from '../../agent/service.ts';
import type { GenerationSource } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Conversation, Outbox, Outgoing } from '../../state/state.ts';
import { channelConfig } from '../channel-config.ts';
import { configuredChannels } from '../channel-settings.ts';
import type { Opened, OutboundPoll, OutgoingPayload, SentMessage } from './delivery.ts';
import { createOutboxWorker, type OutboxWorker } from './outbox-worker.ts';
import { isSilentText, payloadsOf, type ReplyPlace } from './reply.ts';
import { readReplyTags } from './reply-tags.ts';

export interface SendParams extends OutgoingPayload {
  channel: string;
  /** Absent: the channel's default. */
  accountId?: string;
  to: string;
  threadId?: string;
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
  /**
   * Puts what an agent said into the outbox, behind the other messages of its conversation; from then on it is kept until it is sent or given
   * up. Throws as `send` for an address that is not there.
   */
  post(params: SendParams): Promise<void>;
  /** What a run came to, sent to a place that its caller named. `insist`: resolves when all of it is out and throws as `send`; else it is posted. */
  reply(place: ReplyPlace & { channel: string; to: string }, result: RunResult, options: { insist: boolean }): Promise<void>;
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
      if (opened.address.served.gateway === undefined || isRunning(conversation.channel, opened.address.accountId)) return opened;
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
      const config = channelConfig(generation, channel);
      const known = served.config.listAccountIds(config);
      const usual = served.config.defaultAccountId?.(config);
      // an empty one stands for the channel's usual one, as does none
      const account = accountId || (usual !== undefined && known.includes(usual) ? usual : known[0]);
      if (account === undefined || !known.includes(account)) throw durarError('DUR_CHANNEL_ACCOUNT', { channel, accountId: accountId ?? '' });
      return { address: { generation, served, channel, accountId: account, to, threadId }, release: lease.release };
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  async function outgoing({ id = randomUUID(), channel, accountId, to, threadId, runId, sessionKey, ...payload }: SendParams): Promise<Outgoing> {
    const { address, release } = await reach({ channel, accountId, to, threadId });
    release();
    return { id, channel, accountId: address.accountId, to, threadId, runId, sessionKey, payload };
  }

  async function send(params: SendParams): Promise<SentMessage> {
    const message = await outgoing(params);
    const sent = await worker.deliver(message);
    if (sent === undefined) throw durarError('DUR_CHANNEL_CANCELLED', { channel: message.channel });
    return sent;
  }

  return {
    worker,
    reach,
    send,
    poll: ({ channel, accountId, to, threadId, id, ...poll }) => send({ ...given({ channel, accountId, to, threadId, id }), text: '', poll }),
    async post(params) {
      const { text } = readReplyTags(params.text);
      if (isSilentText(text) || (text === '' && params.media === undefined)) return;
      outbox.add([await outgoing({ ...params, text })], now());
    },
    async reply(place, result, { insist }) {
      const { runId, channel, to, accountId, threadId } = place;
      for (const [index, payload] of payloadsOf(place, result, source.current().config).entries()) {
        const message = { ...given({ channel, to, accountId, threadId }), ...payload, id: `${runId}:${index}`, runId, sessionKey: result.sessionKey };
        if (insist) await send(message);
        else outbox.add([await outgoing(message)], now());
      }
    },
  };
}

type Given<Value> = { [Key in keyof Value]: Exclude<Value[Key], undefined> };

/** Without the members that are undefined. */
function given<Value extends object>(value: Value): Given<Value> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Given<Value>;
}
