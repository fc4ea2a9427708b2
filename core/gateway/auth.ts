import { createHash, timingSafeEqual } from 'node:crypto';
import { durarError } from '../../sdk/errors.ts';
import { type AuthReason, isMismatch } from './auth-refusal.ts';
import type { AuthMode, GatewaySettings, TrustedProxySettings } from './options.ts';
import { isLoopback, type Peer } from './peer.ts';
import { type CredentialClass, createRateLimit } from './rate-limit.ts';

/** What let a client in. */
export type AuthMethod = AuthMode | 'tailscale' | 'device-token' | 'bootstrap-token';

export interface Credentials {
  token?: string | undefined;
  password?: string | undefined;
}

export interface Auth {
  readonly mode: AuthMode;
  /** Compares only; counting is up to the caller, who knows whether another credential passed. undefined: accepted. */
  check(credentials: Credentials, peer?: Peer): AuthReason | undefined;
  isLocked(kind: CredentialClass, peer: Peer): boolean;
  countFailure(kind: CredentialClass, peer: Peer): void;
  clearFailures(kind: CredentialClass, peer: Peer): void;
  /** An HTTP request by its `Authorization` header, or by what its proxy says where the mode is that. */
  checkBearer(header: string | undefined, peer: Peer): 'accepted' | 'refused' | 'locked';
  readonly lockoutMs: number;
}

export function createAuth(settings: GatewaySettings['auth'], now: () => number = Date.now): Auth {
  const limit = createRateLimit(settings.rateLimit ?? {}, now);
  const check = ({ token, password }: Credentials, peer?: Peer): AuthReason | undefined => {
    const { mode } = settings;
    // Nothing else would tell somebody behind an unknown proxy from the operator.
    if (mode === 'none') return peer?.forwarded === 'untrusted' ? 'unauthorized' : undefined;
    if (mode === 'trusted-proxy') return checkTrustedProxy(settings.trustedProxy, peer);
    const expected = mode === 'token' ? settings.token : settings.password;
    const given = mode === 'token' ? token : password;
    if (!expected) return `${mode}_missing_config`;
    if (!given) return `${mode}_missing`;
    return isSameSecret(given, expected) ? undefined : `${mode}_mismatch`;
  };
  return {
    mode: settings.mode,
    lockoutMs: limit.lockoutMs,
    check,
    isLocked: limit.isLocked,
    countFailure: limit.count,
    clearFailures: limit.clear,
    checkBearer(header, peer) {
      if (settings.mode === 'none' || settings.mode === 'trusted-proxy') return check({}, peer) === undefined ? 'accepted' : 'refused';
      if (limit.isLocked('shared-secret', peer)) return 'locked';
      const secret = /^bearer +(.+)$/i.exec(header ?? '')?.[1]?.trim();
      const reason = check(settings.mode === 'token' ? { token: secret } : { password: secret });
      if (reason === undefined) limit.clear('shared-secret', peer);
      else if (isMismatch(reason)) limit.count('shared-secret', peer);
      return reason === undefined ? 'accepted' : 'refused';
    },
  };
}

/**
 * Throws `DUR_GATEWAY_NO_AUTH` when the address is reachable from elsewhere and nothing would be asked of a caller, and
 * `DUR_GATEWAY_PROXY_AUTH` when no proxy could ever vouch for one.
 */
export function assertBindable(settings: GatewaySettings): void {
  const { mode, token, password, trustedProxy } = settings.auth;
  if (mode === 'trusted-proxy') {
    if (!trustedProxy?.userHeader) throw durarError('DUR_GATEWAY_PROXY_AUTH', { path: 'gateway.auth.trustedProxy.userHeader' });
    if (!settings.trustedProxies?.length) throw durarError('DUR_GATEWAY_PROXY_AUTH', { path: 'gateway.trustedProxies' });
    return;
  }
  const isProtected = (mode === 'token' && !!token) || (mode === 'password' && !!password);
  if (!isProtected && !isLoopback(settings.host)) throw durarError('DUR_GATEWAY_NO_AUTH', { host: settings.host, port: settings.port });
}

/** Compares in a time that does not depend on where the two differ, nor on their lengths. */
export function isSameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function checkTrustedProxy(settings: TrustedProxySettings | undefined, peer: Peer | undefined): AuthReason | undefined {
  if (!settings?.userHeader) return 'trusted_proxy_config_missing';
  const headers = peer?.proxyHeaders;
  if (headers === undefined) return 'trusted_proxy_untrusted_source';
  const read = (name: string) => [headers[name.toLowerCase()] ?? ''].flat().join(',').trim();
  if (settings.requiredHeaders?.some((name) => read(name) === '')) return 'trusted_proxy_header_missing';
  const user = read(settings.userHeader);
  if (user === '') return 'trusted_proxy_user_missing';
  const { allowUsers } = settings;
  return allowUsers !== undefined && allowUsers.length > 0 && !allowUsers.includes(user) ? 'trusted_proxy_user_not_allowed' : undefined;
}
