import { errorText } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import { type ProfileUsage, updateProfiles } from './profiles.ts';

/** How profiles have served: known at once, on disk a little later. */
export interface UsageBook {
  /** What the file says goes before what was known; what is not written yet is told to it. */
  load(file: string, usage: Record<string, ProfileUsage> | undefined): void;
  of(file: string): Readonly<Record<string, ProfileUsage>>;
  note(event: UsageEvent): void;
  /** Resolves when everything is on disk, or its failure is logged. */
  flush(): Promise<void>;
}

export interface UsageEvent {
  file: string;
  profileId: string;
  /** Of which it was the last that worked. */
  goodFor?: string;
  change(usage: ProfileUsage | undefined): ProfileUsage;
}

/** Several turns end in one write of the file; a cooldown is worth its own. */
const SUCCESS_DELAY_MS = 2_000;

export function createUsageBook({ log }: { log: Logger }): UsageBook {
  const known = new Map<string, Record<string, ProfileUsage>>();
  const waiting = new Map<string, UsageEvent[]>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  function write(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    writing = writing.then(async () => {
      const batches = [...waiting];
      waiting.clear();
      await Promise.all(batches.map(([file, events]) => writeEvents(file, events)));
    });
    return writing;
  }

  /** Other processes write the same file, so the events are told to what is there, not what is known here. */
  async function writeEvents(file: string, events: readonly UsageEvent[]): Promise<void> {
    try {
      await updateProfiles(file, (store) => {
        const present = events.filter(({ profileId }) => store.profiles[profileId] !== undefined);
        if (present.length === 0) return false;
        store.usageStats ??= {};
        for (const { profileId, goodFor, change } of present) {
          store.usageStats[profileId] = change(store.usageStats[profileId]);
          if (goodFor !== undefined) store.lastGood = { ...store.lastGood, [goodFor]: profileId };
        }
        return true;
      });
    } catch (error) {
      log.warn(`how credentials have served was not kept: ${errorText(error)}`, { file });
    }
  }

  return {
    load(file, usage = {}) {
      const read = { ...usage };
      for (const { profileId, change } of waiting.get(file) ?? []) read[profileId] = change(read[profileId]);
      known.set(file, read);
    },
    of: (file) => known.get(file) ?? {},
    note(event) {
      const { file, profileId, goodFor, change } = event;
      const before = known.get(file) ?? {};
      known.set(file, { ...before, [profileId]: change(before[profileId]) });
      waiting.set(file, [...(waiting.get(file) ?? []), event]);
      if (goodFor === undefined || (before[profileId]?.errorCount ?? 0) > 0) void write();
      else {
        timer ??= setTimeout(write, SUCCESS_DELAY_MS);
        timer.unref();
      }
    },
    flush: write,
  };
}
