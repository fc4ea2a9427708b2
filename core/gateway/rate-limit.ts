import type { RateLimitSettings } from './options.ts';
import type { Peer } from './peer.ts';

/** Each is counted on its own, so that guessing at one does not lock the other out. */
export type CredentialClass = 'shared-secret' | 'device-token' | 'bootstrap-token';

/** Counts failed credentials by address; too many in one window lock the address out for a while. */
export interface RateLimit {
  isLocked(kind: CredentialClass, peer: Peer): boolean;
  count(kind: CredentialClass, peer: Peer): void;
  clear(kind: CredentialClass, peer: Peer): void;
  readonly lockoutMs: number;
}

/** Bounded: the oldest address is forgotten first. */
const MAX_TRACKED = 2000;
/** A page in a local browser is not its user: it is limited, as one address of its own. */
const LOCAL_PAGE = '198.18.0.1';

export function createRateLimit(settings: RateLimitSettings, now: () => number): RateLimit {
  const { maxAttempts = 10, windowMs = 60_000, lockoutMs = 300_000, exemptLoopback = true } = settings;
  const records = new Map<string, { failures: number; since: number; lockedUntil: number }>();
  /** undefined: exempt. */
  const key = (kind: CredentialClass, peer: Peer): string | undefined => {
    if (peer.origin !== undefined) return `${kind}|${peer.local ? LOCAL_PAGE : peer.ip}`;
    return peer.local && exemptLoopback ? undefined : `${kind}|${peer.ip}`;
  };
  return {
    lockoutMs,
    isLocked(kind, peer) {
      const id = key(kind, peer);
      const record = id === undefined ? undefined : records.get(id);
      return record !== undefined && record.lockedUntil > now();
    },
    count(kind, peer) {
      const id = key(kind, peer);
      if (id === undefined) return;
      const time = now();
      const present = records.get(id);
      const record = present === undefined || time - present.since > windowMs ? { failures: 0, since: time, lockedUntil: 0 } : present;
      record.failures += 1;
      if (record.failures >= maxAttempts) record.lockedUntil = time + lockoutMs;
      records.delete(id);
      records.set(id, record);
      const oldest = records.size > MAX_TRACKED ? records.keys().next().value : undefined;
      if (oldest !== undefined) records.delete(oldest);
    },
    clear(kind, peer) {
      const id = key(kind, peer);
      if (id !== undefined) records.delete(id);
    },
  };
}
