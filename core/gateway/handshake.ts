import { isBackendHelper, isControlUi, isTerminalUi, isWebchat } from '../../sdk/protocol/clients.ts';
import { ProtocolError, validationText } from '../../sdk/protocol/errors.ts';
import type { ConnectParams } from '../../sdk/protocol/generated/types.ts';
import { connectParams } from '../../sdk/protocol/generated/validators.js';
import type { ProtocolRole } from '../../sdk/protocol/scopes.ts';
import { LIMITS, PROTOCOL_VERSION } from '../../sdk/protocol/version.ts';
import { type AuthReason, describeRefusal } from './auth.ts';
import type { Request } from './connection.ts';
import type { GatewayContext } from './context.ts';
import { type DeviceClaim, deviceIdOf, normalizePublicKey, verifyDeviceSignature } from './devices.ts';
import { isLoopback, type Peer } from './peer.ts';

/** A handshake that was accepted. */
export interface Accepted {
  connect: ConnectParams;
  role: ProtocolRole;
  /** As requested; empty for one without a device. */
  scopes: string[];
  deviceId?: string;
}

/** Why one was refused. `closeCode` 1008 unless said otherwise; the reason of the close is the message. */
export class HandshakeRefusal extends ProtocolError {
  readonly closeCode: number;

  constructor(code: 'INVALID_REQUEST' | 'NOT_PAIRED', message: string, details?: unknown, closeCode = 1008) {
    super(code, message, details === undefined ? {} : { details });
    this.closeCode = closeCode;
  }
}

interface Attempt {
  context: Pick<GatewayContext, 'auth' | 'devices' | 'hub' | 'settings'>;
  connect: ConnectParams;
  role: ProtocolRole;
  peer: Peer;
  nonce: string;
}

/**
 * Decides on the first request of a socket. The order of the checks is part of the protocol: clients act on the first one that fails.
 * Throws `HandshakeRefusal`.
 */
export function shakeHands(context: Attempt['context'], request: Request, socket: { peer: Peer; nonce: string }): Accepted {
  if (request.method !== 'connect') throw new HandshakeRefusal('INVALID_REQUEST', 'invalid handshake: first request must be connect');
  if (!connectParams(request.params)) {
    throw new HandshakeRefusal('INVALID_REQUEST', `invalid connect params: ${validationText(connectParams.errors)}`);
  }
  const connect = request.params as ConnectParams;
  if (connect.minProtocol > PROTOCOL_VERSION || connect.maxProtocol < PROTOCOL_VERSION) {
    throw new HandshakeRefusal('INVALID_REQUEST', 'protocol mismatch', { expectedProtocol: PROTOCOL_VERSION }, 1002);
  }
  const role = connect.role ?? 'operator';
  if (role !== 'operator' && role !== 'node') throw new HandshakeRefusal('INVALID_REQUEST', 'invalid role');

  const attempt: Attempt = { context, connect, role, ...socket };
  checkOrigin(attempt);
  const { auth } = context;
  const secretReason = auth.isLocked('shared-secret', socket.peer) ? 'rate_limited' : auth.check(connect.auth ?? {});
  if (connect.device === undefined) return withoutDevice(attempt, secretReason);

  const claim = verifyDevice(attempt);
  if (secretReason !== undefined && !isDeviceTokenValid(attempt, claim, secretReason)) throw refusal(attempt, secretReason);
  auth.clearFailures(socket.peer);
  if (secretReason === undefined && isLocalHelper(attempt)) return { connect, role, scopes: claim.scopes };
  settlePairing(attempt, claim);
  return { connect, role, scopes: claim.scopes, deviceId: claim.deviceId };
}

function checkOrigin({ connect, context, peer }: Attempt): void {
  const { origin } = peer;
  if (origin === undefined && !isControlUi(connect.client) && !isWebchat(connect.client)) return;
  const settings = context.settings.controlUi ?? {};
  const refuse = (reason: string) =>
    new HandshakeRefusal('INVALID_REQUEST', 'origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)', {
      code: 'CONTROL_UI_ORIGIN_NOT_ALLOWED',
      reason,
    });
  const url = origin !== undefined && URL.canParse(origin) ? new URL(origin) : undefined;
  if (origin === undefined || url === undefined) throw refuse('origin missing or invalid');
  const allowed = settings.allowedOrigins ?? [];
  const isAllowed =
    allowed.includes('*') ||
    allowed.some((entry) => entry.toLowerCase() === origin.toLowerCase()) ||
    (settings.dangerouslyAllowHostHeaderOriginFallback === true && url.host === peer.host?.toLowerCase()) ||
    (peer.local && isLoopback(url.hostname));
  if (!isAllowed) throw refuse('origin not allowed');
}

/** Only the control UI may come without a device, and only where the operator said so. */
function withoutDevice(attempt: Attempt, secretReason: AuthReason | undefined): Accepted {
  const { connect, context, peer, role } = attempt;
  const settings = context.settings.controlUi ?? {};
  const accepted = (): Accepted => {
    if (secretReason !== undefined) throw refusal(attempt, secretReason);
    context.auth.clearFailures(peer);
    return { connect, role, scopes: connect.scopes ?? [] };
  };
  if (role === 'operator' && isControlUi(connect.client)) {
    if (settings.dangerouslyDisableDeviceAuth === true || (settings.allowInsecureAuth === true && peer.local)) return accepted();
  }
  const isSecretWrong = secretReason === 'token_mismatch' || secretReason === 'password_mismatch' || secretReason === 'rate_limited';
  if (role === 'operator' && isSecretWrong) throw refusal(attempt, secretReason);
  if (isControlUi(connect.client) || isTerminalUi(connect.client)) {
    throw new HandshakeRefusal('INVALID_REQUEST', 'control ui requires device identity (use HTTPS or localhost secure context)', {
      code: 'CONTROL_UI_DEVICE_IDENTITY_REQUIRED',
    });
  }
  throw new HandshakeRefusal('NOT_PAIRED', 'device identity required', { code: 'DEVICE_IDENTITY_REQUIRED' });
}

function verifyDevice({ connect, nonce, peer, role }: Attempt): DeviceClaim {
  const { auth, client, device } = connect;
  if (device === undefined) throw new HandshakeRefusal('NOT_PAIRED', 'device identity required', { code: 'DEVICE_IDENTITY_REQUIRED' });
  const refuse = (name: string, reason: string, message: string) => new HandshakeRefusal('INVALID_REQUEST', message, { code: `DEVICE_AUTH_${name}`, reason });

  const publicKey = normalizePublicKey(device.publicKey);
  if (publicKey === undefined) throw refuse('PUBLIC_KEY_INVALID', 'device-public-key', 'device public key invalid');
  if (deviceIdOf(publicKey) !== device.id) throw refuse('DEVICE_ID_MISMATCH', 'device-id-mismatch', 'device identity mismatch');
  if (Math.abs(Date.now() - device.signedAt) > LIMITS.signatureSkewMs) {
    throw refuse('SIGNATURE_EXPIRED', 'device-signature-stale', 'device signature expired');
  }
  const given = device.nonce?.trim() ?? '';
  if (given === '') throw refuse('NONCE_REQUIRED', 'device-nonce-missing', 'device nonce required');
  if (given !== nonce) throw refuse('NONCE_MISMATCH', 'device-nonce-mismatch', 'device nonce mismatch');

  const scopes = connect.scopes ?? [];
  const isSigned = verifyDeviceSignature(publicKey, device.signature, {
    deviceId: device.id,
    clientId: client.id,
    clientMode: client.mode,
    role,
    scopes,
    signedAt: device.signedAt,
    token: auth?.token ?? auth?.deviceToken ?? auth?.bootstrapToken ?? null,
    nonce,
    platform: client.platform,
    deviceFamily: client.deviceFamily ?? null,
  });
  if (!isSigned) throw refuse('SIGNATURE_INVALID', 'device-signature', 'device signature invalid');
  return {
    deviceId: device.id,
    publicKey,
    platform: client.platform,
    clientId: client.id,
    clientMode: client.mode,
    role,
    scopes,
    ...(client.displayName === undefined ? {} : { displayName: client.displayName }),
    ...(client.deviceFamily === undefined ? {} : { deviceFamily: client.deviceFamily }),
    ...(peer.local ? {} : { remoteIp: peer.ip }),
  };
}

/** The shared secret did not pass. Throws when an explicit device or bootstrap token failed; false leaves the first reason standing. */
function isDeviceTokenValid(attempt: Attempt, claim: DeviceClaim, secretReason: AuthReason): boolean {
  const { connect, context, peer } = attempt;
  const explicit = connect.auth?.deviceToken;
  const token = explicit ?? connect.auth?.token;
  if (token !== undefined && token !== '') {
    if (context.auth.isLocked('device-token', peer)) throw refusal(attempt, 'rate_limited');
    if (context.devices.checkToken({ deviceId: claim.deviceId, token, role: claim.role, scopes: claim.scopes })) return true;
    if (explicit !== undefined) throw refusal(attempt, 'device_token_mismatch');
  } else if (connect.auth?.bootstrapToken) {
    // No bootstrap token has been handed out by this gateway, so none can be valid.
    throw refusal(attempt, 'bootstrap_token_invalid');
  }
  return secretReason === undefined;
}

/** The refusal in the words of the protocol; mismatches are counted against the peer's address. */
function refusal({ connect, context, peer }: Attempt, reason: AuthReason): HandshakeRefusal {
  if (reason === 'token_mismatch' || reason === 'password_mismatch') context.auth.countFailure('shared-secret', peer);
  if (reason === 'device_token_mismatch') context.auth.countFailure('device-token', peer);
  const canRetry = reason === 'token_mismatch' && connect.device !== undefined && connect.auth?.deviceToken === undefined;
  const { message, details } = describeRefusal(reason, connect.client, canRetry);
  return new HandshakeRefusal('INVALID_REQUEST', message, details);
}

/**
 * A program of this machine that holds the shared secret and speaks for itself only: it connects with a few scopes for one call, so pairing
 * would pin the device to them. Nothing is recorded and no token is issued.
 */
function isLocalHelper({ connect, context, peer, role }: Attempt): boolean {
  const { mode } = context.settings.auth;
  return role === 'operator' && isBackendHelper(connect.client) && peer.local && peer.origin === undefined && (mode === 'token' || mode === 'password');
}

function settlePairing({ connect, context, peer }: Attempt, claim: DeviceClaim): void {
  const { devices, hub } = context;
  const reason = devices.missing(claim);
  if (reason === undefined) return;
  const isQuiet = peer.local && (peer.origin === undefined || isControlUi(connect.client) || isWebchat(connect.client));
  const isSilent = isQuiet && (reason === 'not-paired' || (reason === 'role-upgrade' && !devices.hasPending(claim.deviceId)));
  const { request, created } = devices.request(claim);
  if (isSilent) {
    devices.approve(claim);
    hub.broadcast('device.pair.resolved', { requestId: request.requestId, deviceId: claim.deviceId, decision: 'approved', ts: Date.now() });
    return;
  }
  if (created) hub.broadcast('device.pair.requested', request);
  throw new HandshakeRefusal('NOT_PAIRED', 'pairing required', { code: 'PAIRING_REQUIRED', requestId: request.requestId, reason });
}
