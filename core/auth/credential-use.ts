import type { ProviderErrorKind } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../logging/logger.ts';
import { afterFailure, afterSuccess, blockedUntil, concernsProfile } from './cooldown.ts';
import { secretOf } from './order.ts';
import { isKnownProfile, type ProfileStore } from './profiles.ts';
import type { UsageBook } from './usage.ts';

/** One run's way through the profiles of a provider. */
export interface CredentialUse {
  /** The one in use now. */
  readonly profileId: string;
  /** Never log it. */
  readonly apiKey: string;
  /** A call succeeded. */
  succeeded(): void;
  /** A call failed. A number: another profile is in use now, and the call may be made again after so many milliseconds. */
  failed(kind: ProviderErrorKind | undefined): number | undefined;
}

export interface CredentialUseOptions {
  provider: string;
  file: string;
  store: ProfileStore;
  /** Begins with this one. */
  first: string;
  /** Those that may follow it, best first. */
  others: readonly string[];
  settings: Config['auth']['cooldowns'];
  usage: UsageBook;
  log: Logger;
  now: () => number;
}

export function createCredentialUse({ provider, file, store, first, others, settings, usage, log, now }: CredentialUseOptions): CredentialUse {
  const tried = new Set<string>();
  const rotations = new Map<ProviderErrorKind, number>();
  let current = first;
  /** The success of the present profile is known. */
  let isNoted = false;

  const isFree = (id: string) => !tried.has(id) && blockedUntil(usage.of(file)[id], now()) === undefined;

  /** Each run gives up after so many profiles, where all of them are likely to fail alike. */
  function mayGoOn(kind: ProviderErrorKind): boolean {
    const limits: Partial<Record<ProviderErrorKind, number>> = {
      overloaded: settings.overloadedProfileRotations,
      rate_limit: settings.rateLimitedProfileRotations,
    };
    const count = (rotations.get(kind) ?? 0) + 1;
    rotations.set(kind, count);
    return count <= (limits[kind] ?? Number.POSITIVE_INFINITY);
  }

  return {
    get profileId() {
      return current;
    },
    get apiKey() {
      const profile = store.profiles[current];
      return (isKnownProfile(profile) ? secretOf(profile) : undefined) ?? '';
    },
    succeeded() {
      if (isNoted) return;
      isNoted = true;
      const at = now();
      usage.note({ file, profileId: current, goodFor: provider, change: (known) => afterSuccess(known, at) });
    },
    failed(kind) {
      if (!concernsProfile(kind)) return undefined;
      const at = now();
      const failed = current;
      isNoted = false;
      tried.add(failed);
      usage.note({ file, profileId: failed, change: (known) => afterFailure(known, { kind, provider, now: at, settings }) });
      const next = mayGoOn(kind) ? others.find(isFree) : undefined;
      log.warn(`the profile '${failed}' failed (${kind})${next === undefined ? '' : `; '${next}' is next`}`, { provider });
      if (next === undefined) return undefined;
      current = next;
      return kind === 'overloaded' ? settings.overloadedBackoffMs : 0;
    },
  };
}
