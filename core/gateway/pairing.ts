import { randomUUID } from 'node:crypto';
import { isControlUi, isWebchat } from '../../sdk/protocol/clients.ts';
import type { Attempt } from './attempt.ts';
import type { AuthMethod } from './auth.ts';
import { BOOTSTRAP_ROLES, BOOTSTRAP_SCOPES } from './bootstrap.ts';
import type { DeviceClaim, PairingReason } from './devices.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';

/** Approves what needs nobody's word, and asks the operators for the rest. Throws `HandshakeRefusal` while that is open. */
export function settlePairing(attempt: Attempt, claim: DeviceClaim, method: AuthMethod): void {
  const { devices, hub } = attempt.context;
  const reason = devices.missing(claim);
  if (reason === undefined) return;
  const isHandoff = method === 'bootstrap-token' && claim.role === 'node' && claim.scopes.length === 0 && reason === 'not-paired';
  if (isHandoff || isSilent(attempt, claim, reason)) {
    devices.approve(claim, isHandoff ? { roles: BOOTSTRAP_ROLES, scopes: BOOTSTRAP_SCOPES } : undefined);
    hub.broadcast('device.pair.resolved', { requestId: randomUUID(), deviceId: claim.deviceId, decision: 'approved', ts: Date.now() });
    return;
  }
  const { request, created } = devices.request(claim);
  if (created) hub.broadcast('device.pair.requested', request);
  throw new HandshakeRefusal('NOT_PAIRED', 'pairing required', { code: 'PAIRING_REQUIRED', requestId: request.requestId, reason });
}

/** A new device or role on this machine needs no approval; more scopes and another platform always do, and so does what somebody is already asked about. */
function isSilent({ connect, context, peer }: Attempt, claim: DeviceClaim, reason: PairingReason): boolean {
  const isQuiet = peer.local && (peer.origin === undefined || isControlUi(connect.client) || isWebchat(connect.client));
  return isQuiet && (reason === 'not-paired' || (reason === 'role-upgrade' && !context.devices.hasPending(claim.deviceId)));
}
