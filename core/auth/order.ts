import type { Config } from '../config/schema.ts';
import { blockedUntil } from './cooldown.ts';
import { type AuthProfile, isKnownProfile, type ProfileStore } from './profiles.ts';

/** Whether a profile can be used at all, in the words of the reference. */
export type ProfileState = 'ok' | 'missing_credential' | 'invalid_expires' | 'expired' | 'unresolved_ref';

/** A sign-in goes before what was typed in. */
const PRECEDENCE: ReadonlyArray<AuthProfile['type']> = ['oauth', 'token', 'api_key'];

/** What is sent to the provider: the static secret, or what the sign-in left. undefined: there is none, or it is still a reference. */
export function secretOf(profile: AuthProfile): string | undefined {
  const value = profile.type === 'api_key' ? profile.key : profile.type === 'token' ? profile.token : profile.access;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function profileState(profile: AuthProfile, now: number): ProfileState {
  const { expires } = profile as { expires?: unknown };
  if (profile.type !== 'api_key' && expires !== undefined) {
    if (typeof expires !== 'number' || !Number.isFinite(expires) || expires <= 0) return 'invalid_expires';
    if (expires <= now) return 'expired';
  }
  if (secretOf(profile) !== undefined) return 'ok';
  const { key, keyRef, token, tokenRef } = profile as { key?: unknown; keyRef?: unknown; token?: unknown; tokenRef?: unknown };
  return [key, keyRef, token, tokenRef].some((value) => typeof value === 'object') ? 'unresolved_ref' : 'missing_credential';
}

/** The ids of a provider's profiles that somebody has put in order; undefined: nobody has. */
export function explicitOrder(store: ProfileStore, auth: Config['auth'], provider: string): readonly string[] | undefined {
  return byProvider(store.order, provider) ?? byProvider(auth.order, provider);
}

/**
 * The profiles of a provider that can be used, in the order in which they are tried: as the store's own order says, else the configuration's;
 * else sign-ins before tokens before keys, and of one kind the one first that was not used for the longest time. Those that are put away come
 * last, the soonest back first.
 */
export function orderProfiles({ store, auth, provider, now }: { store: ProfileStore; auth: Config['auth']; provider: string; now: number }): string[] {
  const { profiles, usageStats = {} } = store;
  const explicit = explicitOrder(store, auth, provider);
  const named = Object.keys(auth.profiles ?? {}).filter((id) => auth.profiles?.[id]?.provider.toLowerCase() === provider && profiles[id] !== undefined);
  const base = explicit ?? (named.length > 0 ? named : Object.keys(profiles));
  const usable = [...new Set(base)].filter((id) => {
    const profile = Object.hasOwn(profiles, id) ? profiles[id] : undefined;
    return isKnownProfile(profile) && profile.provider.toLowerCase() === provider && profileState(profile, now) === 'ok';
  });
  const rank = (id: string) => PRECEDENCE.indexOf(profiles[id]?.type ?? 'api_key');
  const sorted = explicit !== undefined ? usable : usable.sort((a, b) => rank(a) - rank(b) || (usageStats[a]?.lastUsed ?? 0) - (usageStats[b]?.lastUsed ?? 0));
  const until = (id: string) => blockedUntil(usageStats[id], now) ?? 0;
  return [...sorted.filter((id) => until(id) === 0), ...sorted.filter((id) => until(id) > 0).sort((a, b) => until(a) - until(b))];
}

function byProvider(order: Record<string, string[]> | undefined, provider: string): string[] | undefined {
  return Object.entries(order ?? {}).find(([name]) => name.toLowerCase() === provider)?.[1];
}
