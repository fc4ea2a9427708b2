import { randomUUID } from 'node:crypto';
import { errorText } from '../../../sdk/index.ts';
import type { RunRequest } from '../../agent/service.ts';
import type { Logger } from '../../logging/logger.ts';
import type { HeldMessage, State } from '../../state/state.ts';

/**
 * Joins what one person writes in quick succession into one message (`messages.inbound.debounceMs`). What waits is on disk: after a crash it
 * is handed on at the next start, each message in one run only.
 */
export interface InboundDebounce {
  /** Keeps a message until its group was quiet for `quietMs`. False when it was accepted before. */
  hold(group: string, request: RunRequest, quietMs: number): boolean;
  knows(dedupeKey: string): boolean;
  /** Hands on at once what waits in a group. Rejects when that fails; it waits on. */
  flush(group: string): Promise<void>;
  /** Hands on what an earlier process left. Never rejects. */
  resume(): Promise<void>;
  /** No more timers; what waits stays on disk. */
  stop(): void;
}

export interface InboundDebounceOptions {
  held: State['held'];
  accept(request: RunRequest): Promise<void>;
  log: Logger;
  now?: () => number;
}

/** A message waits no longer than this many quiet times, however much follows it. */
const MAX_TIMES = 10;
const RETRY_MS = { first: 5_000, most: 600_000 };
const KNOWN_MS = 7 * 86_400_000;

export function createInboundDebounce({ held, accept, log, now = Date.now }: InboundDebounceOptions): InboundDebounce {
  const timers = new Map<string, { timer: NodeJS.Timeout; since: number }>();
  const flushing = new Map<string, Promise<void>>();
  /** The pause after the last failure, by group. */
  const pauses = new Map<string, number>();
  /** Groups with something that waits. */
  const waiting = new Set<string>();
  let isStopped = false;

  function arm(group: string, ms: number, since: number): void {
    clearTimeout(timers.get(group)?.timer);
    if (isStopped) return;
    const timer = setTimeout(() => {
      timers.delete(group);
      void flushOrRetry(group);
    }, ms);
    timers.set(group, { timer, since });
  }

  /** Never rejects: what could not be handed on is tried again after a growing pause. */
  async function flushOrRetry(group: string): Promise<void> {
    try {
      await flush(group);
    } catch (error) {
      const pause = Math.min((pauses.get(group) ?? RETRY_MS.first / 2) * 2, RETRY_MS.most);
      pauses.set(group, pause);
      log.error(`messages that wait to be joined cannot be handed on yet: ${errorText(error)}`, { retryMs: pause });
      arm(group, pause, now());
    }
  }

  async function hand(messages: readonly HeldMessage[], runId: string): Promise<void> {
    if (messages.length > 0)
      await accept(
        joined(
          messages.map(({ request }) => request as RunRequest),
          runId,
        ),
      );
    held.release(runId);
  }

  async function flush(group: string): Promise<void> {
    const before = flushing.get(group);
    if (!waiting.has(group)) return await before;
    clearTimeout(timers.get(group)?.timer);
    timers.delete(group);
    const next = (before ?? Promise.resolve()).then(async () => {
      // one that failed goes first, under the id that it had
      for (const [runId, messages] of claimed(held.all().filter((message) => message.group === group))) await hand(messages, runId);
      const runId = randomUUID();
      await hand(held.claim(group, runId), runId);
      waiting.delete(group);
    });
    const settled = next
      .catch(() => undefined)
      .finally(() => {
        if (flushing.get(group) === settled) flushing.delete(group);
      });
    flushing.set(group, settled);
    await next;
    pauses.delete(group);
  }

  return {
    hold(group, request, quietMs) {
      if (!held.add({ group, request, key: request.dedupeKey }, now())) return false;
      waiting.add(group);
      const since = timers.get(group)?.since ?? now();
      arm(group, Math.max(0, Math.min(quietMs, since + quietMs * MAX_TIMES - now())), since);
      return true;
    },
    knows: (key) => held.knows(key),
    flush,
    async resume() {
      held.sweep(now() - KNOWN_MS);
      for (const { group } of held.all()) waiting.add(group);
      for (const group of [...waiting]) await flushOrRetry(group);
    },
    stop() {
      isStopped = true;
      for (const { timer } of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}

function claimed(messages: readonly HeldMessage[]): Map<string, HeldMessage[]> {
  const groups = new Map<string, HeldMessage[]>();
  for (const message of messages) if (message.runId !== undefined) groups.set(message.runId, [...(groups.get(message.runId) ?? []), message]);
  return groups;
}

/** One message of several: the first one's beginning, every text, the last one's end and place. */
function joined(requests: readonly RunRequest[], runId: string): RunRequest {
  const first = requests[0] as RunRequest;
  const last = requests.at(-1) as RunRequest;
  const { dedupeKey: _key, ...request } = last;
  // the quotation that a text brought stays behind it
  const texts = requests.map(({ message, framing }, index) => (index === requests.length - 1 ? message : `${message}${framing?.after ?? ''}`));
  const framing = { before: first.framing?.before ?? '', after: last.framing?.after ?? '' };
  return { ...request, runId, message: texts.join('\n'), framing };
}
