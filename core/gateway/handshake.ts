import { isBackendHelper, isControlUi, isTerminalUi } from '../../sdk/protocol/clients.ts';
import { validationText } from '../../sdk/protocol/errors.ts';
import type { ConnectClient, ConnectParams } from '../../sdk/protocol/generated/types.ts';
import { connectParams } from '../../sdk/protocol/generated/validators.js';
import type { ProtocolRole } from '../../sdk/protocol/scopes.ts';
import { PROTOCOL_VERSION } from '../../sdk/protocol/version.ts';
import type { Attempt } from './attempt.ts';
import type { AuthMethod } from './auth.ts';
import { type AuthReason, describeRefusal, isMismatch } from './auth-refusal.ts';
import type { Request } from './connection.ts';
import { verifyDevice } from './device-proof.ts';
import type { DeviceClaim } from './devices.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';
import { checkOrigin } from './origin.ts';
import { settlePairing } from './pairing.ts';
import type { Peer } from './peer.ts';

export { HandshakeRefusal } from './handshake-refusal.ts';

/** A handshake that was accepted. */
export interface Accepted {
  connect: ConnectParams;
  /** As it presented itself; a paired device with the platform and family that were approved. */
  info: ConnectClient;
  role: ProtocolRole;
  scopes: string[];
  deviceId?: string;
  /** What let it in. */
  method: AuthMethod;
}

/** The shared secret, or what stands for it; a device may still have a token of its own. */
type Verdict = { method: AuthMethod } | { reason: AuthReason };

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
  checkOrigin(connect.client, context.access.settings.controlUi ?? {}, socket.peer);
  const verdict = checkSecret(attempt);
  if (connect.device === undefined || isDeviceIgnored(attempt)) return withoutDevice(attempt, verdict);

  const claim = verifyDevice(connect, role, socket);
  const method = 'method' in verdict ? verdict.method : checkDeviceCredential(attempt, claim, verdict.reason);
  clearFailures(attempt, method);
  if (!isLocalHelper(attempt, method) && !isVouchedUi(attempt, method)) settlePairing(attempt, claim, method);
  if (method === 'bootstrap-token') context.bootstrap.consume(connect.auth?.bootstrapToken ?? '');
  return { connect, info: pinned(attempt, claim), role, scopes: claim.scopes, deviceId: claim.deviceId, method };
}

function checkSecret({
  connect,
  context: {
    access: { auth },
  },
  peer,
}: Attempt): Verdict {
  const { tailscale } = peer;
  if (tailscale !== undefined && 'user' in tailscale) return { method: 'tailscale' };
  if (auth.isLocked('shared-secret', peer)) return { reason: 'rate_limited' };
  const reason = auth.check(connect.auth ?? {}, peer);
  if (reason === undefined) return { method: auth.mode };
  const isUnspoken = reason === 'token_missing' || reason === 'password_missing';
  return { reason: isUnspoken && tailscale !== undefined ? tailscale.reason : reason };
}

/** Break-glass: whatever device the control UI sends is not looked at. */
function isDeviceIgnored({ connect, context, role }: Attempt): boolean {
  return role === 'operator' && isControlUi(connect.client) && context.access.settings.controlUi?.dangerouslyDisableDeviceAuth === true;
}

/** Only the control UI may come without a device, and only where the operator or a trusted proxy vouches for it. */
function withoutDevice(attempt: Attempt, verdict: Verdict): Accepted {
  const { connect, context, peer, role } = attempt;
  const { client } = connect;
  if (role === 'operator' && isControlUi(client)) {
    const isInsecureAllowed = context.access.settings.controlUi?.allowInsecureAuth === true && peer.local;
    const isProxied = 'method' in verdict && verdict.method === 'trusted-proxy';
    if (isInsecureAllowed || isProxied || isDeviceIgnored(attempt)) {
      if ('reason' in verdict) throw refusal(attempt, verdict.reason);
      clearFailures(attempt, verdict.method);
      // Behind a proxy nothing ties the scopes to a device that somebody approved.
      const keepsScopes = isInsecureAllowed || isDeviceIgnored(attempt);
      return { connect, info: client, role, scopes: keepsScopes ? (connect.scopes ?? []) : [], method: verdict.method };
    }
  }
  const isSecretWrong = 'reason' in verdict && verdict.reason !== 'token_missing' && verdict.reason !== 'password_missing';
  if (role === 'operator' && isSecretWrong) throw refusal(attempt, verdict.reason);
  if (isControlUi(client) || isTerminalUi(client)) {
    throw new HandshakeRefusal('INVALID_REQUEST', 'control ui requires device identity (use HTTPS or localhost secure context)', {
      code: 'CONTROL_UI_DEVICE_IDENTITY_REQUIRED',
    });
  }
  throw new HandshakeRefusal('NOT_PAIRED', 'device identity required', { code: 'DEVICE_IDENTITY_REQUIRED' });
}

/** The shared secret did not pass: a bootstrap token may, then a device token. Throws the refusal when neither does. */
function checkDeviceCredential(attempt: Attempt, claim: DeviceClaim, secretReason: AuthReason): AuthMethod {
  const { connect, context, peer } = attempt;
  const { bootstrap, devices } = context;
  const { auth } = context.access;
  const { bootstrapToken, deviceToken, token } = connect.auth ?? {};
  let reason = secretReason;
  const refuse = (told: AuthReason) => {
    // What is sent beside a wrong secret makes it no less of a guess.
    if (told !== secretReason && isMismatch(secretReason)) auth.countFailure('shared-secret', peer);
    return refusal(attempt, told);
  };
  if (bootstrapToken) {
    if (auth.isLocked('bootstrap-token', peer)) throw refuse('rate_limited');
    if (bootstrap.check(bootstrapToken, claim)) return 'bootstrap-token';
    reason = 'bootstrap_token_invalid';
  }
  const candidate = deviceToken ?? token;
  if (candidate) {
    if (auth.isLocked('device-token', peer)) throw refuse('rate_limited');
    if (devices.checkToken({ ...claim, token: candidate })) return 'device-token';
    // A shared token that is tried as a device token keeps its own reason.
    if (deviceToken) reason = 'device_token_mismatch';
  }
  throw refuse(reason);
}

/** The refusal in the words of the protocol; mismatches are counted against the peer's address. */
function refusal(
  {
    connect,
    context: {
      access: { auth },
    },
    peer,
  }: Attempt,
  reason: AuthReason,
): HandshakeRefusal {
  if (reason === 'device_token_mismatch') auth.countFailure('device-token', peer);
  else if (reason === 'bootstrap_token_invalid') auth.countFailure('bootstrap-token', peer);
  else if (isMismatch(reason)) auth.countFailure('shared-secret', peer);
  const canRetry = reason === 'token_mismatch' && connect.device !== undefined && connect.auth?.deviceToken === undefined;
  const { message, details } = describeRefusal(reason, connect.client, canRetry);
  return new HandshakeRefusal('INVALID_REQUEST', message, details);
}

function clearFailures(
  {
    context: {
      access: { auth },
    },
    peer,
  }: Attempt,
  method: AuthMethod,
): void {
  auth.clearFailures(method === 'device-token' || method === 'bootstrap-token' ? method : 'shared-secret', peer);
}

/**
 * A program of this machine that holds the shared secret and speaks for itself only: it connects with a few scopes for one call, so pairing
 * would pin the device to them. Nothing is recorded, and what was approved for the device stays as it is.
 */
function isLocalHelper({ connect, peer, role }: Attempt, method: AuthMethod): boolean {
  return role === 'operator' && isBackendHelper(connect.client) && peer.local && peer.origin === undefined && (method === 'token' || method === 'password');
}

/** A control UI that a trusted proxy vouches for, or that nothing is asked of: its device needs no approval. */
function isVouchedUi({ connect, role }: Attempt, method: AuthMethod): boolean {
  return role === 'operator' && isControlUi(connect.client) && (method === 'trusted-proxy' || method === 'none');
}

/** The claims of a paired device about its platform count as they were approved. */
function pinned({ connect: { client }, context }: Attempt, { deviceId }: DeviceClaim): ConnectClient {
  const device = context.devices.get(deviceId);
  return {
    ...client,
    ...(device?.platform === undefined ? {} : { platform: device.platform }),
    ...(device?.deviceFamily === undefined ? {} : { deviceFamily: device.deviceFamily }),
  };
}
