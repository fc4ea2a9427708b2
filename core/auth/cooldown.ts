import type { ProviderErrorKind } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';
import type { ProfileUsage } from './profiles.ts';

type Settings = Config['auth']['cooldowns'];

const MINUTE = 60_000;
const HOUR = 3_600_000;
/** One failure, two in a row, and so on; the last stays. */
const PAUSES = [MINUTE, 5 * MINUTE, 25 * MINUTE, 60 * MINUTE];
/** Failures that the next profile may not have. */
const OF_PROFILE: ReadonlySet<string> = new Set<ProviderErrorKind>(['auth', 'auth_permanent', 'billing', 'rate_limit', 'overloaded']);
/** Those that time alone does not cure. */
const LASTING: ReadonlySet<string> = new Set<ProviderErrorKind>(['billing', 'auth_permanent']);

/** True when another profile of the provider may succeed where one failed like this. */
export function concernsProfile(kind: ProviderErrorKind | undefined): kind is ProviderErrorKind {
  return kind !== undefined && OF_PROFILE.has(kind);
}

/** Until when a profile is better left alone, epoch ms; undefined: it is not put away. */
export function blockedUntil(usage: ProfileUsage | undefined, now: number): number | undefined {
  const until = Math.max(usage?.cooldownUntil ?? 0, usage?.disabledUntil ?? 0);
  return until > now ? until : undefined;
}

/** The usage after a failure. One that comes while the profile is put away already, as the last that was left to try, makes it no longer. */
export function afterFailure(
  usage: ProfileUsage | undefined,
  { kind, provider, now, settings }: { kind: ProviderErrorKind; provider: string; now: number; settings: Settings },
): ProfileUsage {
  if (blockedUntil(usage, now) !== undefined) return usage ?? {};
  const isOld = now - (usage?.lastFailureAt ?? 0) > settings.failureWindowHours * HOUR;
  const { errorCount = 0, failureCounts = {}, ...rest } = isOld ? withoutFailures(usage) : (usage ?? {});
  const counts = { ...failureCounts, [kind]: (failureCounts[kind] ?? 0) + 1 };
  const next: ProfileUsage = { ...rest, errorCount: errorCount + 1, failureCounts: counts, lastFailureAt: now };
  if (LASTING.has(kind)) return { ...next, disabledUntil: now + lastingPause(counts[kind] ?? 1, provider, settings), disabledReason: kind };
  return { ...next, cooldownUntil: now + (PAUSES[Math.min(errorCount, PAUSES.length - 1)] ?? 0), cooldownReason: kind };
}

/** The usage after a call that succeeded: nothing is held against the profile any more. */
export function afterSuccess(usage: ProfileUsage | undefined, now: number): ProfileUsage {
  return { ...withoutFailures(usage), lastUsed: now };
}

function withoutFailures(usage: ProfileUsage = {}): ProfileUsage {
  const { cooldownUntil, cooldownReason, errorCount, failureCounts, lastFailureAt, disabledUntil, disabledReason, ...rest } = usage;
  return rest;
}

function lastingPause(count: number, provider: string, { billingBackoffHours, billingBackoffHoursByProvider = {}, billingMaxHours }: Settings): number {
  const first = billingBackoffHoursByProvider[provider] ?? billingBackoffHours;
  return Math.min(first * 2 ** Math.min(count - 1, 16), billingMaxHours) * HOUR;
}
