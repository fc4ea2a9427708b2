import { isRecord } from '../config/config-path.ts';
import { templateNames } from '../config/env.ts';
import type { Config } from '../config/schema.ts';
import { blockedUntil } from './cooldown.ts';
import { orderProfiles, type ProfileState, profileState } from './order.ts';
import { type AuthProfile, isKnownProfile, type ProfileStore } from './profiles.ts';

/** A stored credential as people may see it: everything but the secret. Times are epoch ms. */
export interface ProfileRow {
  profileId: string;
  provider: string;
  type: AuthProfile['type'];
  /** Where its secret is. */
  source: 'text' | 'ref' | 'env' | 'sign-in' | 'none';
  /** A reference counts as resolved. */
  state: ProfileState;
  /** From 1 on: when it is tried; absent: never. */
  place?: number;
  /** Put away until then. */
  blockedUntil?: number;
  blockedBy?: string;
  lastUsed?: number;
  expires?: number;
  email?: string;
}

/** The profiles of a store, by provider and then in the order in which they are tried. */
export function describeProfiles({ store, auth, now }: { store: ProfileStore; auth: Config['auth']; now: number }): ProfileRow[] {
  const profiles = Object.entries(store.profiles).filter((entry): entry is [string, AuthProfile] => isKnownProfile(entry[1]));
  const assumed: ProfileStore = { ...store, profiles: Object.fromEntries(profiles.map(([id, profile]) => [id, withRefs(profile)])) };
  const orders = new Map(
    [...new Set(profiles.map(([, { provider }]) => provider.toLowerCase()))].map((provider) => [
      provider,
      orderProfiles({ store: assumed, auth, provider, now }),
    ]),
  );
  const rows = profiles.map(([profileId, profile]): ProfileRow => {
    const usage = store.usageStats?.[profileId];
    const place = (orders.get(profile.provider.toLowerCase()) ?? []).indexOf(profileId) + 1;
    const until = blockedUntil(usage, now);
    const by = until === usage?.disabledUntil ? usage?.disabledReason : usage?.cooldownReason;
    const { expires } = profile as { expires?: unknown };
    return {
      profileId,
      provider: profile.provider,
      type: profile.type,
      source: sourceOf(profile),
      state: profileState(assumed.profiles[profileId] ?? profile, now),
      ...(place === 0 ? {} : { place }),
      ...(until === undefined ? {} : { blockedUntil: until }),
      ...(until === undefined || by === undefined ? {} : { blockedBy: by }),
      ...(usage?.lastUsed === undefined ? {} : { lastUsed: usage.lastUsed }),
      ...(typeof expires === 'number' ? { expires } : {}),
      ...(profile.email === undefined ? {} : { email: profile.email }),
    };
  });
  const last = Number.POSITIVE_INFINITY;
  return rows.sort((a, b) => a.provider.localeCompare(b.provider) || (a.place ?? last) - (b.place ?? last) || a.profileId.localeCompare(b.profileId));
}

function sourceOf(profile: AuthProfile): ProfileRow['source'] {
  if (profile.type === 'oauth') return profile.access === undefined && profile.refresh === undefined ? 'none' : 'sign-in';
  const { key, keyRef, token, tokenRef } = profile as { key?: unknown; keyRef?: unknown; token?: unknown; tokenRef?: unknown };
  const value = keyRef ?? tokenRef ?? key ?? token;
  if (isRecord(value)) return 'ref';
  if (typeof value !== 'string' || value === '') return 'none';
  return templateNames(value).length > 0 ? 'env' : 'text';
}

function withRefs(profile: AuthProfile): AuthProfile {
  if (profile.type === 'oauth' || sourceOf(profile) === 'none') return profile;
  const text = 'a reference that counts as resolved';
  return profile.type === 'api_key' ? { ...profile, key: text } : { ...profile, token: text };
}
