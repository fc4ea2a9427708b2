import { deviceAuthPayloadV3 } from '../protocol/device-auth.ts';
import type { ConnectClient, ConnectParams, HelloOk } from '../protocol/generated/types.ts';
import { PROTOCOL_VERSION } from '../protocol/version.ts';

/** The key of this device. The private part never leaves whoever implements `sign`. */
export interface DeviceIdentity {
  /** lower-case hex SHA-256 of the raw public key */
  deviceId: string;
  /** base64url of the raw public key */
  publicKey: string;
  /** base64url of the Ed25519 signature of the text's UTF-8 bytes */
  sign(text: string): string | Promise<string>;
}

export interface StoredToken {
  token: string;
  scopes: string[];
}

/** Keeps the device tokens that gateways issue, one per role. */
export interface TokenStore {
  load(role: string): StoredToken | undefined;
  save(role: string, token: StoredToken): void;
  remove(role: string): void;
}

export interface ConnectOptions {
  client: ConnectClient;
  identity?: DeviceIdentity;
  auth?: { token?: string; password?: string; deviceToken?: string; bootstrapToken?: string };
  tokens?: TokenStore;
  role?: 'operator' | 'node';
  /** Explicit scopes count; absent, those of the stored token are asked for again. */
  scopes?: readonly string[];
  caps?: readonly string[];
  /** Of a node: what it can be asked for, what its owner switched on, and where it looks for programs. */
  commands?: readonly string[];
  permissions?: Readonly<Record<string, boolean>>;
  pathEnv?: string;
  locale?: string;
  userAgent?: string;
  /** Loopback, or TLS with a pinned certificate: the stored device token may be tried after a token mismatch. Default: whether `url` is loopback. */
  isTrusted?: boolean;
}

/**
 * The params of `connect`, signed. Credentials in order: shared token or password, explicit device token, stored device token, bootstrap
 * token. `withDeviceToken` adds the stored token to a shared one that was refused.
 */
export async function connectRequest(options: ConnectOptions, nonce: string, withDeviceToken: boolean): Promise<ConnectParams> {
  const { identity } = options;
  // Stable over restarts, so that whoever lists clients shows one of it.
  const client = identity === undefined ? options.client : { instanceId: identity.deviceId, ...options.client };
  const role = options.role ?? 'operator';
  const stored = identity === undefined ? undefined : options.tokens?.load(role);
  const { auth, isStored } = credentials(options.auth ?? {}, stored?.token, withDeviceToken);
  const scopes = [...(options.scopes ?? (isStored ? stored?.scopes : undefined) ?? [])];
  const signedAt = Date.now();
  const params: ConnectParams = {
    minProtocol: PROTOCOL_VERSION,
    maxProtocol: PROTOCOL_VERSION,
    client,
    role,
    scopes,
    caps: [...(options.caps ?? [])],
    auth,
    ...(options.commands === undefined ? {} : { commands: [...options.commands] }),
    ...(options.permissions === undefined ? {} : { permissions: { ...options.permissions } }),
    ...(options.pathEnv === undefined ? {} : { pathEnv: options.pathEnv }),
    ...(options.locale === undefined ? {} : { locale: options.locale }),
    ...(options.userAgent === undefined ? {} : { userAgent: options.userAgent }),
  };
  if (identity === undefined) return params;
  const payload = deviceAuthPayloadV3({
    deviceId: identity.deviceId,
    clientId: client.id,
    clientMode: client.mode,
    role,
    scopes,
    signedAt,
    token: auth.token ?? auth.deviceToken ?? auth.bootstrapToken ?? null,
    nonce,
    platform: client.platform,
    deviceFamily: client.deviceFamily ?? null,
  });
  const signature = await identity.sign(payload);
  return { ...params, device: { id: identity.deviceId, publicKey: identity.publicKey, signature, signedAt, nonce } };
}

/** Whether device tokens may go to this gateway unasked, and be taken from it. */
export function isTrustedGateway({ url, isTrusted }: Pick<ConnectOptions, 'isTrusted'> & { url: string }): boolean {
  return isTrusted ?? /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/.test(new URL(url).hostname);
}

/** Keeps the token of the role and, after a bootstrap over a trusted transport, those that were handed over for other roles. */
export function keepTokens(options: ConnectOptions & { url: string }, sent: ConnectParams, { auth }: HelloOk): void {
  if (auth === undefined) return;
  options.tokens?.save(auth.role, { token: auth.deviceToken, scopes: auth.scopes });
  if (sent.auth?.bootstrapToken === undefined || !isTrustedGateway(options)) return;
  for (const { role, deviceToken, scopes } of auth.deviceTokens ?? []) options.tokens?.save(role, { token: deviceToken, scopes });
}

function credentials(
  given: NonNullable<ConnectOptions['auth']>,
  stored: string | undefined,
  withDeviceToken: boolean,
): { auth: NonNullable<ConnectParams['auth']>; isStored: boolean } {
  const { token, password, deviceToken, bootstrapToken } = given;
  if (token !== undefined || password !== undefined) {
    const shared = { ...(token === undefined ? {} : { token }), ...(password === undefined ? {} : { password }) };
    return { auth: withDeviceToken && stored !== undefined ? { ...shared, deviceToken: stored } : shared, isStored: false };
  }
  if (deviceToken !== undefined) return { auth: { token: deviceToken, deviceToken }, isStored: false };
  if (stored !== undefined) return { auth: { token: stored, deviceToken: stored }, isStored: true };
  return { auth: bootstrapToken === undefined ? {} : { bootstrapToken }, isStored: false };
}
