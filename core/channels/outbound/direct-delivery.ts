import { errorText } from '../../../sdk/index.ts';
import type { Conversation, Outbox, Outgoing } from '../../state/state.ts';
import { type DeliveryPlan, type Opened, reportDelivery, type SentMessage } from './delivery.ts';
import type { AttemptEnd, DeliveryAttempts } from './delivery-attempt.ts';

/** Sends one message past those that wait; `OutboxWorker.deliver` says how. */
export type DirectDelivery = (message: Outgoing) => Promise<SentMessage | undefined>;

export function createDirectDelivery({
  outbox,
  attempts,
  reach,
  now,
  ended,
}: {
  outbox: Outbox;
  attempts: Pick<DeliveryAttempts, 'make'>;
  reach(conversation: Conversation): Promise<Opened>;
  now(): number;
  /** Aborted: nothing is written any more. */
  ended: AbortSignal;
}): DirectDelivery {
  const underWay = new Map<string, Promise<SentMessage | undefined>>();

  async function send(message: Outgoing): Promise<SentMessage | undefined> {
    // on disk from the start, so that a crash loses nothing
    outbox.add([message], now());
    outbox.sending(message.id);
    const row = outbox.get(message.id);
    if (row === undefined) return {};
    let served: Opened | undefined;
    let end: AttemptEnd;
    try {
      served = await reach(message);
      end = await attempts.make(row, served.address);
    } catch (error) {
      end = { error };
    }
    try {
      if (!('error' in end)) return end.sent;
      if (ended.aborted) throw end.error;
      const plan = outbox.get(message.id)?.progress as DeliveryPlan | undefined;
      outbox.forget(message.id);
      if (served !== undefined) reportDelivery(served.address, { to: message.to, content: plan?.content ?? '' }, errorText(end.error));
      throw end.error;
    } finally {
      served?.release();
    }
  }

  return async (message) => {
    const present = underWay.get(message.id);
    if (present !== undefined) return present;
    if (outbox.knows(message.id)) return {};
    const sent = send(message).finally(() => underWay.delete(message.id));
    underWay.set(message.id, sent);
    return sent;
  };
}
