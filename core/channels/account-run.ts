import { type Channel, type ChannelAccountContext, type ChannelAccountStatus, errorText } from '../../sdk/index.ts';
import type { GenerationSource } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import { channelConfig } from './channel-config.ts';

/** One account while it is wanted: connected, or about to be again. */
export interface AccountRun {
  readonly channel: Channel;
  readonly accountId: string;
  /** What a change of restarts it, beside the channel object. */
  readonly fingerprint: string;
  status(): AccountStatus;
  /** Ends the connection; it is made anew at once. */
  restart(reason: string): void;
  /** Resolves when it has ended, or does not end in good time. */
  stop(): Promise<void>;
}

export interface AccountStatus {
  channel: string;
  accountId: string;
  running: boolean;
  /** Since when, epoch ms. */
  startedAt: number;
  /** How often it was started again. */
  restarts: number;
  lastError?: string;
  /** What to do about it, where the channel says so. */
  hint?: string;
  /** It is not started again before the configuration changes. */
  gaveUp?: true;
  connected?: boolean;
  /** epoch ms */
  lastEventAt?: number;
  /** The last message that came in, epoch ms. */
  lastInboundAt?: number;
  /** What the channel tells beside. */
  [detail: string]: unknown;
}

export interface AccountRunOptions {
  channel: Channel;
  accountId: string;
  fingerprint: string;
  source: GenerationSource;
  deliver: ChannelAccountContext['deliver'];
  log: Logger;
}

const RESTART_MS = { first: 1_000, most: 60_000 };
/** Refusals for good, one after the other, until it is believed: the first may be an answer that got lost. */
const MOST_REFUSALS = 2;
/** How long an account that was told to end may take. */
const END_MS = 10_000;

/** Starts an account and keeps it running: a lost one is started again after a growing pause. */
export function runAccount({ channel, accountId, fingerprint, source, deliver, log }: AccountRunOptions): AccountRun {
  const whole = new AbortController();
  const account = { channel: channel.id, accountId };
  let attempt = new AbortController();
  let told: ChannelAccountStatus = {};
  let running = true;
  let startedAt = Date.now();
  let restarts = 0;
  let lastError: string | undefined;
  let hint: string | undefined;
  let gaveUp = false;
  let lastInboundAt: number | undefined;

  function contextOf(signal: AbortSignal): ChannelAccountContext {
    const config = channelConfig(source.current(), channel.id);
    return {
      cfg: config,
      accountId,
      account: channel.config.resolveAccount(config, accountId),
      abortSignal: signal,
      log: log.child(channel.id),
      deliver(message) {
        lastInboundAt = Date.now();
        return deliver(message);
      },
      getStatus: () => told,
      setStatus(status) {
        // an attempt that was given up has no say any more
        if (!signal.aborted) told = { ...told, ...status };
      },
    };
  }

  async function end(signal: AbortSignal): Promise<void> {
    try {
      await channel.gateway?.stopAccount?.(contextOf(signal));
    } catch (error) {
      log.warn(`${channel.id}/${accountId} did not stop cleanly: ${errorText(error)}`, account);
    }
  }

  /** Rejects with what the channel throws. */
  async function tryOnce({ signal }: AbortController): Promise<void> {
    const late = Promise.withResolvers<void>();
    const { promise: given, resolve: giveUp } = late;
    let timer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      timer = setTimeout(giveUp, END_MS);
      void end(signal);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([Promise.resolve(channel.gateway?.startAccount(contextOf(signal))), given]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(timer);
    }
  }

  const advised = () => ({ ...account, ...(hint === undefined ? {} : { hint }) });

  async function keepRunning(): Promise<void> {
    let pause = RESTART_MS.first;
    let refusals = 0;
    while (!whole.signal.aborted) {
      let isRefused = false;
      startedAt = Date.now();
      attempt = new AbortController();
      told = {};
      try {
        running = true;
        await tryOnce(attempt);
        if (!attempt.signal.aborted) tell('the connection ended');
      } catch (error) {
        const { retryable, hint: advice } = error as { retryable?: unknown; hint?: unknown };
        if (!attempt.signal.aborted) tell(errorText(error), typeof advice === 'string' && advice !== '' ? advice : undefined);
        isRefused = retryable === false;
      }
      running = false;
      if (whole.signal.aborted) break;
      const hasRun = Date.now() - startedAt > RESTART_MS.most;
      refusals = isRefused && !attempt.signal.aborted ? (hasRun ? 1 : refusals + 1) : 0;
      if (refusals >= MOST_REFUSALS) {
        gaveUp = true;
        attempt.abort();
        log.error(`${channel.id}/${accountId} stays down until the configuration changes: ${lastError}`, advised());
        return;
      }
      restarts += 1;
      if (attempt.signal.aborted) continue;
      attempt.abort();
      pause = hasRun ? RESTART_MS.first : Math.min(pause * 2, RESTART_MS.most);
      log.warn(`${channel.id}/${accountId} stopped (${lastError}); it starts again in ${pause} ms`, advised());
      await sleep(pause, whole.signal);
    }
    running = false;
  }

  function tell(error: string, advice?: string): void {
    lastError = error;
    hint = advice;
  }

  const done = keepRunning();
  return {
    channel,
    accountId,
    fingerprint,
    status: () => ({
      ...told,
      ...account,
      running,
      startedAt,
      restarts,
      ...(lastError === undefined ? {} : { lastError }),
      ...(hint === undefined ? {} : { hint }),
      ...(gaveUp ? { gaveUp } : {}),
      ...(lastInboundAt === undefined ? {} : { lastInboundAt }),
    }),
    restart(reason) {
      tell(reason);
      attempt.abort();
    },
    async stop() {
      whole.abort();
      attempt.abort();
      await done;
    },
  };
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(stop, ms);
    function stop(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve();
    }
    signal.addEventListener('abort', stop, { once: true });
  });
}
