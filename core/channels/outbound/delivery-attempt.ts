import { durarError } from '../../../sdk/index.ts';
import { type RetryPolicy, retryDelay } from '../../../sdk/retry.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Outbox, OutboxMessage } from '../../state/state.ts';
import {
  type Address,
  type DeliveryPlan,
  isRepeatable,
  type OutgoingPayload,
  performStep,
  planDelivery,
  reportDelivery,
  type SentMessage,
  type StepRequest,
} from './delivery.ts';

/** `sent` is undefined when a hook cancelled the message, or the worker ended meanwhile. */
export type AttemptEnd = { sent: SentMessage | undefined } | { error: unknown };

/** Tries to send one message of the outbox. */
export interface DeliveryAttempts {
  /** Makes all requests of a message that are not made yet; how far it came is on disk before each of them. Never rejects. */
  make(message: OutboxMessage, address: Address): Promise<AttemptEnd>;
  /** Messages that were sent again after a crash or a broken connection, to a service that may show them twice. */
  repeated(): number;
}

/** Between tries of a whole message; the channel has tried each request by itself already. */
const PAUSES: RetryPolicy = { attempts: Number.POSITIVE_INFINITY, minDelayMs: 5_000, maxDelayMs: 1_800_000, jitter: 0.1 };
/** One request of a channel, its own tries included, takes no longer. */
const STEP_LIMIT_MS = 300_000;

/** `ended`: ends requests; one that it cuts off may have gone out, so its message stays `sending` for the next start. */
export function createDeliveryAttempts({ outbox, log, ended }: { outbox: Outbox; log: Logger; ended: AbortSignal }): DeliveryAttempts {
  let repeated = 0;

  async function limited(plan: DeliveryPlan, address: Address, request: StepRequest): Promise<void> {
    const limit = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const error = durarError('DUR_CHANNEL_SLOW', { channel: address.channel, seconds: STEP_LIMIT_MS / 1000 });
        limit.abort(error);
        reject(error);
      }, STEP_LIMIT_MS);
    });
    try {
      await Promise.race([performStep(address, plan, { ...request, signal: AbortSignal.any([limit.signal, ended]) }), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    async make({ id, channel, to, payload, progress, uncertain }, address) {
      try {
        const plan = (progress as DeliveryPlan | undefined) ?? (await planDelivery(address, payload as OutgoingPayload));
        if (ended.aborted) return { sent: undefined };
        if (plan === undefined) {
          outbox.sent(id);
          return { sent: undefined };
        }
        const warn = (when: string) => {
          repeated += 1;
          log.warn(`a message that may have gone out before ${when} is sent again`, { id, channel, to });
        };
        if (uncertain && !isRepeatable(address, plan)) warn('a crash');
        const onUncertain = () => {
          if (ended.aborted || isRepeatable(address, plan)) return;
          outbox.doubt(id);
          warn('its connection broke');
        };
        outbox.sending(id, plan);
        const { done } = plan;
        while (plan.done < plan.steps.length) {
          await limited(plan, address, { key: id, uncertain: uncertain && plan.done === done, onUncertain });
          if (ended.aborted) return { sent: undefined };
          if (plan.done < plan.steps.length) outbox.progress(id, plan);
        }
        outbox.sent(id);
        reportDelivery(address, plan);
        return { sent: plan.last };
      } catch (error) {
        return { error };
      }
    },
    repeated: () => repeated,
  };
}

/** milliseconds before the try after so many; as long as the service asks, if it does. `random`: 0 up to 1. */
export function pauseAfter(error: unknown, tries: number, random: number): number {
  const afterMs = (error as { retryAfterMs?: unknown } | null)?.retryAfterMs;
  return retryDelay(PAUSES, tries, typeof afterMs === 'number' ? afterMs : undefined, random);
}
