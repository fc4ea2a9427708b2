import { createHash, timingSafeEqual } from 'node:crypto';
import { durarError } from '../../sdk/errors.ts';
import { isControlUi, isTerminalUi, isWebchat } from '../../sdk/protocol/clients.ts';
import type { AuthMode, GatewaySettings, RateLimitSettings } from './options.ts';
import { isLoopback, type Peer } from './peer.ts';

/** Why a credential was not accepted, in the wire's words. */
export type AuthReason =
  | 'token_missing'
  | 'token_mismatch'
  | 'token_missing_config'
  | 'password_missing'
  | 'password_mismatch'
  | 'password_missing_config'
  | 'bootstrap_token_invalid'
  | 'device_token_mismatch'
  | 'rate_limited';

export type CredentialClass = 'shared-secret' | 'device-token';

export interface Credentials {
  token?: string | undefined;
  password?: string | undefined;
}

export interface Auth {
  readonly mode: AuthMode;
  /** Compares only; counting is up to the caller, who knows whether another credential passed. undefined: accepted. */
  check(credentials: Credentials): AuthReason | undefined;
  isLocked(kind: CredentialClass, peer: Peer): boolean;
  countFailure(kind: CredentialClass, peer: Peer): void;
  clearFailures(peer: Peer): void;
  /** The `Authorization` header of an HTTP request. */
  checkBearer(header: string | undefined, peer: Peer): 'accepted' | 'refused' | 'locked';
  readonly lockoutMs: number;
}

export function createAuth(settings: GatewaySettings['auth'], now: () => number = Date.now): Auth {
  const limiter = createLimiter(settings.rateLimit ?? {}, now);
  const check = ({ token, password }: Credentials): AuthReason | undefined => {
    if (settings.mode === 'none') return undefined;
    const expected = settings.mode === 'token' ? settings.token : settings.password;
    const given = settings.mode === 'token' ? token : password;
    if (!expected) return `${settings.mode}_missing_config`;
    if (!given) return `${settings.mode}_missing`;
    return isSameSecret(given, expected) ? undefined : `${settings.mode}_mismatch`;
  };
  return {
    mode: settings.mode,
    lockoutMs: limiter.lockoutMs,
    check,
    isLocked: (kind, peer) => limiter.isLocked(kind, peer),
    countFailure: (kind, peer) => limiter.count(kind, peer),
    clearFailures: (peer) => limiter.clear(peer),
    checkBearer(header, peer) {
      if (settings.mode === 'none') return 'accepted';
      if (limiter.isLocked('shared-secret', peer)) return 'locked';
      const secret = /^bearer +(.+)$/i.exec(header ?? '')?.[1]?.trim();
      const reason = check(settings.mode === 'token' ? { token: secret } : { password: secret });
      if (reason === undefined) limiter.clear(peer);
      else if (reason.endsWith('_mismatch')) limiter.count('shared-secret', peer);
      return reason === undefined ? 'accepted' : 'refused';
    },
  };
}

/** Throws `DUR_GATEWAY_NO_AUTH` when the address is reachable from elsewhere and nothing would be asked of a caller. */
export function assertBindable(settings: GatewaySettings): void {
  const { mode, token, password } = settings.auth;
  const isProtected = (mode === 'token' && !!token) || (mode === 'password' && !!password);
  if (!isProtected && !isLoopback(settings.host)) throw durarError('DUR_GATEWAY_NO_AUTH', { host: settings.host, port: settings.port });
}

/** Compares in a time that does not depend on where the two differ, nor on their lengths. */
export function isSameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

const TEXTS: Record<AuthReason, { code: string; step: string; message: string }> = {
  token_missing: { code: 'AUTH_TOKEN_MISSING', step: 'update_auth_configuration', message: 'unauthorized: gateway token missing' },
  token_mismatch: { code: 'AUTH_TOKEN_MISMATCH', step: 'update_auth_credentials', message: 'unauthorized: gateway token mismatch' },
  token_missing_config: {
    code: 'AUTH_TOKEN_NOT_CONFIGURED',
    step: 'update_auth_configuration',
    message: 'unauthorized: gateway token not configured on gateway (set gateway.auth.token)',
  },
  password_missing: { code: 'AUTH_PASSWORD_MISSING', step: 'update_auth_configuration', message: 'unauthorized: gateway password missing' },
  password_mismatch: { code: 'AUTH_PASSWORD_MISMATCH', step: 'update_auth_credentials', message: 'unauthorized: gateway password mismatch' },
  password_missing_config: {
    code: 'AUTH_PASSWORD_NOT_CONFIGURED',
    step: 'update_auth_configuration',
    message: 'unauthorized: gateway password not configured on gateway (set gateway.auth.password)',
  },
  bootstrap_token_invalid: {
    code: 'AUTH_BOOTSTRAP_TOKEN_INVALID',
    step: 'review_auth_configuration',
    message: 'unauthorized: bootstrap token invalid or expired (scan a fresh setup code)',
  },
  device_token_mismatch: {
    code: 'AUTH_DEVICE_TOKEN_MISMATCH',
    step: 'update_auth_credentials',
    message: 'unauthorized: device token mismatch (rotate/reissue device token)',
  },
  rate_limited: { code: 'AUTH_RATE_LIMITED', step: 'wait_then_retry', message: 'unauthorized: too many failed authentication attempts (retry later)' },
};

/** The wire's text and details of a refusal; the bracket tells this kind of client where its credential lives. */
export function describeRefusal(reason: AuthReason, client: { id: string; mode: string }, canRetryWithDeviceToken: boolean) {
  const row = TEXTS[reason];
  const tail = reason === 'token_missing' || reason === 'token_mismatch' || reason === 'password_missing' || reason === 'password_mismatch';
  const kind = reason.startsWith('token') ? 'token' : 'password';
  return {
    message: tail ? `${row.message} (${advice(kind, client)})` : row.message,
    details: {
      code: row.code,
      authReason: reason,
      canRetryWithDeviceToken,
      recommendedNextStep: canRetryWithDeviceToken ? 'retry_with_device_token' : row.step,
    },
  };
}

function advice(kind: 'token' | 'password', client: { id: string; mode: string }): string {
  if (client.mode === 'cli') return `set gateway.remote.${kind} to match gateway.auth.${kind}`;
  if (isControlUi(client) || isTerminalUi(client) || isWebchat(client)) {
    return kind === 'token' ? 'open the dashboard URL and paste the token in Control UI settings' : 'enter the password in Control UI settings';
  }
  return `provide gateway auth ${kind}`;
}

/** Bounded: the oldest address is forgotten first. */
const MAX_TRACKED = 2000;

function createLimiter(settings: RateLimitSettings, now: () => number) {
  const { maxAttempts = 10, windowMs = 60_000, lockoutMs = 300_000, exemptLoopback = true } = settings;
  const records = new Map<string, { failures: number; since: number; lockedUntil: number }>();
  /** A page in a local browser is not its user: it is limited, as one address of its own. undefined: exempt. */
  const key = (kind: CredentialClass, peer: Peer): string | undefined => {
    if (peer.origin !== undefined) return `${kind}|${peer.local ? '198.18.0.1' : peer.ip}`;
    return peer.local && exemptLoopback ? undefined : `${kind}|${peer.ip}`;
  };
  return {
    lockoutMs,
    isLocked(kind: CredentialClass, peer: Peer): boolean {
      const id = key(kind, peer);
      const record = id === undefined ? undefined : records.get(id);
      return record !== undefined && record.lockedUntil > now();
    },
    count(kind: CredentialClass, peer: Peer): void {
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
    clear(peer: Peer): void {
      for (const kind of ['shared-secret', 'device-token'] as const) {
        const id = key(kind, peer);
        if (id !== undefined) records.delete(id);
      }
    },
  };
}
