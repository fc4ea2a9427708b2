import { durarError, errorText } from '../../../sdk/index.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Conversation, Outbox, OutboxMessage, Outgoing } from '../../state/state.ts';
import { type Address, isFinal, type Opened, type OutgoingPayload, reportDelivery, type SentMessage } from './delivery.ts';
import { createDeliveryAttempts, pauseAfter } from './delivery-attempt.ts';
import { createDirectDelivery } from './direct-delivery.ts';

/** Conversations of one account that are served at a time. */
const PARALLEL = 32;
/** How often an account that is not there is looked for. */
const LOOK_MS = 1_000;
/** Ids of messages that left stay known this long, so that nothing that comes back late is sent twice. */
const KNOWN_MS = 14 * 86_400_000;
const SWEEP_MS = 86_400_000;
/** A message that waits may be dropped by a person; then the next one's turn comes this late. */
const LOOK_AGAIN_MS = 15_000;
/** Before the outbox is looked at again after a failure of the host's own. */
const REST_MS = 60_000;

/** Sends what is in the outbox: conversations side by side, the messages of one strictly in order. */
export interface OutboxWorker {
  /** Goes on where the last process ended; a second call does nothing. */
  start(): void;
  /**
   * Sends one message at once, past those that wait, and tells what became of it. One that fails is forgotten and the channel's error
   * thrown; one that a crash interrupts goes on at the next start. An id that was sent before sends nothing. undefined: a hook cancelled it.
   */
  deliver(message: Outgoing): Promise<SentMessage | undefined>;
  /** Told how each message that was not for `deliver` ended. */
  onEnd(listener: EndListener): void;
  status(): OutboxStatus;
  /** Sends for up to `ms` what can be sent now. Requests that are under way then are flagged at the next start. */
  stop(ms: number): Promise<void>;
}

export type EndListener = (message: Outgoing, end: { sent?: SentMessage; error?: string }) => void;

export interface OutboxStatus {
  pending: number;
  sending: number;
  dead: number;
  /** Conversations whose account is not there. */
  waiting: number;
  /** Messages that were sent again after a crash or a broken connection, to a service that may show them twice. */
  repeated: number;
}

export interface OutboxWorkerOptions {
  outbox: Outbox;
  log: Logger;
  /** Who serves a conversation now; undefined while its account does not run. */
  open(conversation: Conversation): Promise<Opened | undefined>;
  /** The same whether the account runs or not. Throws `DUR_CHANNEL_UNKNOWN`, `DUR_CHANNEL_ACCOUNT`. */
  reach(conversation: Conversation): Promise<Opened>;
  /** Asked for each failure. */
  limits(): { attempts: number; maxAgeMs: number };
  /** epoch ms */
  now?: () => number;
  /** 0 up to 1; for tests */
  random?: () => number;
}

interface Lane {
  key: string;
  conversation: Conversation;
  /** Its account was not there when it was looked at last. */
  isWaiting: boolean;
}

/** The lanes of one account. */
interface Slots {
  active: number;
  ready: Lane[];
}

export function createOutboxWorker({ outbox, log, open, reach, limits, now = Date.now, random = Math.random }: OutboxWorkerOptions): OutboxWorker {
  /** One for each conversation that has something to send; a lane holds no message. */
  const lanes = new Map<string, Lane>();
  const slots = new Map<string, Slots>();
  const timers = new Map<string, NodeJS.Timeout>();
  const work = new Set<Promise<unknown>>();
  const listeners = new Set<EndListener>();
  /** Aborted: nothing is written any more, as the database may be closed. */
  const stopping = new AbortController();
  let isStarted = false;
  let isHalted = false;
  let looking: NodeJS.Timeout | undefined;
  let sweeping: NodeJS.Timeout | undefined;
  const attempts = createDeliveryAttempts({ outbox, log, ended: stopping.signal });
  const deliver = createDirectDelivery({ outbox, attempts, reach, now, ended: stopping.signal });
  const forgetListener = outbox.onAdd((message) => {
    if (isStarted) setImmediate(arrive, message);
  });

  function arrive({ channel, accountId, to, threadId }: Conversation): void {
    const key = JSON.stringify([channel, accountId, to, threadId]);
    if (isHalted || lanes.has(key)) return;
    const lane: Lane = { key, conversation: { channel, accountId, to, threadId }, isWaiting: false };
    lanes.set(key, lane);
    queue(lane);
  }

  function queue(lane: Lane): void {
    if (isHalted) return;
    const { channel, accountId } = lane.conversation;
    const key = JSON.stringify([channel, accountId]);
    let account = slots.get(key);
    if (account === undefined) {
      account = { active: 0, ready: [] };
      slots.set(key, account);
    }
    account.ready.push(lane);
    fill(account);
  }

  function fill(account: Slots): void {
    while (account.active < PARALLEL) {
      const lane = account.ready.shift();
      if (lane === undefined) return;
      account.active += 1;
      const turn = serve(lane, account)
        .catch((error: unknown) => {
          if (stopping.signal.aborted) return;
          log.error(`the outbox could not be served: ${errorText(error)}`, { ...lane.conversation });
          later(lane, REST_MS);
        })
        .finally(() => {
          account.active -= 1;
          work.delete(turn);
          fill(account);
        });
      work.add(turn);
    }
  }

  /** Sends message after message until nothing is left, or something is to be waited for, or another conversation wants the place. */
  async function serve(lane: Lane, account: Slots): Promise<void> {
    while (!isHalted) {
      const message = outbox.next(lane.conversation);
      if (message === undefined) {
        lanes.delete(lane.key);
        return;
      }
      const { maxAgeMs } = limits();
      if (now() - message.createdAt > maxAgeMs) {
        bury(message, message.lastError ?? `the account '${message.accountId}' of '${message.channel}' was not there all the time`);
        continue;
      }
      if (message.dueAt > now()) return later(lane, Math.min(message.dueAt - now(), LOOK_AGAIN_MS));
      const served = await open(lane.conversation);
      if (served === undefined) {
        lane.isWaiting = true;
        look();
        return;
      }
      try {
        const end = await attempts.make(message, served.address);
        if (stopping.signal.aborted) return;
        if ('error' in end) fail(message, served.address, end.error);
        else tell(message, end.sent === undefined ? {} : { sent: end.sent });
      } finally {
        served.release();
      }
      if (account.ready.length > 0) {
        account.ready.push(lane);
        return;
      }
    }
  }

  function later(lane: Lane, ms: number): void {
    if (isHalted) return;
    const timer = setTimeout(() => {
      timers.delete(lane.key);
      queue(lane);
    }, ms);
    timers.set(lane.key, timer);
  }

  /** Looks for accounts that were not there, as long as somebody waits for one. */
  function look(): void {
    looking ??= setTimeout(() => {
      looking = undefined;
      for (const lane of lanes.values()) {
        if (!lane.isWaiting) continue;
        lane.isWaiting = false;
        queue(lane);
      }
    }, LOOK_MS);
  }

  function fail(message: OutboxMessage, address: Address, error: unknown): void {
    const { id, channel, accountId, to } = message;
    const tries = message.attempts + 1;
    const text = errorText(error);
    if (isFinal(error) || tries >= limits().attempts) {
      reportDelivery(address, { to, content: (message.payload as OutgoingPayload).text ?? '' }, text);
      bury(message, text);
      return;
    }
    const pause = pauseAfter(error, tries, random());
    outbox.delay(id, now() + pause, text);
    log.warn(`a message was not sent: ${text}; the next try is in ${Math.round(pause / 1000)} s`, { id, channel, accountId, to, tries });
  }

  function bury(message: OutboxMessage, error: string): void {
    const { id, channel, accountId, to, attempts } = message;
    outbox.bury(id, error);
    log.error(`a message is given up: ${error}; \`durar queue list\` shows it, \`durar queue retry ${id}\` tries anew`, {
      id,
      channel,
      accountId,
      to,
      attempts,
    });
    tell(message, { error });
  }

  const tell: EndListener = (message, end) => {
    for (const listener of listeners) listener(message, end);
  };

  /** Nothing is being sent, and nothing has just come in. */
  async function untilIdle(): Promise<void> {
    do {
      await new Promise((resolve) => setImmediate(resolve));
      await Promise.allSettled(work);
    } while (work.size > 0);
  }

  return {
    start() {
      if (isStarted || isHalted) return;
      const left = outbox.recover();
      if (left > 0) log.info(`${left} messages were being sent when the last process ended`);
      isStarted = true;
      const sweep = () => outbox.sweep(now() - KNOWN_MS);
      sweep();
      sweeping = setInterval(sweep, SWEEP_MS).unref();
      for (const conversation of outbox.conversations()) arrive(conversation);
    },

    deliver(message) {
      const sent = deliver(message).finally(() => work.delete(sent));
      work.add(sent);
      return sent;
    },

    onEnd: (listener) => void listeners.add(listener),

    status: () => ({ ...outbox.counts(), waiting: [...lanes.values()].filter((lane) => lane.isWaiting).length, repeated: attempts.repeated() }),

    async stop(ms) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms);
      });
      await Promise.race([untilIdle(), late]);
      clearTimeout(timer);
      isHalted = true;
      forgetListener();
      clearTimeout(looking);
      clearInterval(sweeping);
      for (const waiting of timers.values()) clearTimeout(waiting);
      timers.clear();
      // a request that this cuts off may have gone out: it stays `sending` for the next start
      stopping.abort(durarError('DUR_HOST_STOPPED'));
    },
  };
}
