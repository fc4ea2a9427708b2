import { errorText } from '../../../sdk/index.ts';
import type { RunRequest } from '../../agent/service.ts';
import type { Config } from '../../config/schema.ts';
import type { Logger } from '../../logging/logger.ts';
import { type Opened, targetOf } from '../outbound/delivery.ts';
import { mayBeSilent } from '../outbound/reply.ts';

export type TypingMode = 'never' | 'instant' | 'thinking' | 'message';

/** Where one run's typing is shown. */
export type TypingPlace = Pick<RunRequest, 'channel' | 'accountId' | 'to' | 'threadId'> & { channel: string; to: string };

/** What a run does, as far as typing is shown by it. */
export interface TypingRun {
  thinks(): void;
  /** All that the run has said. */
  says(text: string): void;
  end(): void;
}

/** Shows in conversations that an answer is being made. A conversation has one sign, however many runs it waits for. */
export interface Typing {
  /** `instant`: from here on; the other modes wait for what the run does. */
  begin(place: TypingPlace, mode: TypingMode): TypingRun;
  stop(): void;
}

/** A run that hangs is not shown as typing for ever. */
const LONGEST_MS = 15 * 60_000;

export function createTyping({
  reach,
  intervalMs,
  log,
}: {
  reach(place: TypingPlace): Promise<Opened>;
  /** Asked at each sign; 0: one sign only. */
  intervalMs(): number;
  log: Logger;
}): Typing {
  const shown = new Map<string, { runs: number; timer: NodeJS.Timeout | undefined; until: number }>();

  async function sign(place: TypingPlace): Promise<void> {
    const { address, release } = await reach(place);
    try {
      await address.served.outbound?.sendTyping?.(targetOf(address, place.to));
    } finally {
      release();
    }
  }

  function show(place: TypingPlace, key: string): void {
    const entry = shown.get(key);
    if (entry === undefined || Date.now() > entry.until) return;
    sign(place).catch((error: unknown) => log.debug(`typing was not shown: ${errorText(error)}`, { channel: place.channel, to: place.to }));
    const ms = intervalMs();
    entry.timer = ms > 0 ? setTimeout(show, ms, place, key).unref() : undefined;
  }

  return {
    begin(place, mode) {
      const key = JSON.stringify([place.channel, place.accountId, place.to, place.threadId]);
      let isOn = false;
      let isOver = mode === 'never';

      const start = (): void => {
        if (isOn || isOver) return;
        isOn = true;
        const entry = shown.get(key);
        if (entry !== undefined) {
          entry.runs += 1;
          entry.until = Date.now() + LONGEST_MS;
          return;
        }
        shown.set(key, { runs: 1, timer: undefined, until: Date.now() + LONGEST_MS });
        show(place, key);
      };
      if (mode === 'instant') start();

      return {
        thinks() {
          if (mode === 'thinking') start();
        },
        says(text) {
          if (!mayBeSilent(text)) start();
        },
        end() {
          isOver = true;
          const entry = shown.get(key);
          if (!isOn || entry === undefined) return;
          isOn = false;
          entry.runs -= 1;
          if (entry.runs > 0) return;
          clearTimeout(entry.timer);
          shown.delete(key);
        },
      };
    },
    stop() {
      for (const { timer } of shown.values()) clearTimeout(timer);
      shown.clear();
    },
  };
}

/** The mode for one run: as configured, else at once for whom the agent was spoken to, and with the first words for the others. */
export function typingModeOf(
  { session, agents }: Config,
  { trigger, sessionKey, mentioned }: Pick<RunRequest, 'trigger' | 'sessionKey' | 'mentioned'>,
): TypingMode {
  if (trigger === 'heartbeat') return 'never';
  const configured = session?.typingMode ?? agents.defaults.typingMode;
  if (configured !== undefined) return configured;
  return isGroupKey(sessionKey) && mentioned !== true ? 'message' : 'instant';
}

export function typingIntervalMs({ session, agents }: Config): number {
  return (session?.typingIntervalSeconds ?? agents.defaults.typingIntervalSeconds) * 1_000;
}

export function isGroupKey(sessionKey: string | undefined): boolean {
  return /:(?:group|channel):/.test(sessionKey ?? '');
}
