import type { ConnectParams } from '../../sdk/protocol/generated/types.ts';
import type { ProtocolRole } from '../../sdk/protocol/scopes.ts';
import { LIMITS } from '../../sdk/protocol/version.ts';
import { deviceIdOf, normalizePublicKey, verifyDeviceSignature } from './device-key.ts';
import type { DeviceClaim } from './devices.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';
import type { Peer } from './peer.ts';

/** Checks that whoever connects holds the key of the device it names, and signed this very request. Throws `HandshakeRefusal`. */
export function verifyDevice(connect: ConnectParams, role: ProtocolRole, { nonce, peer }: { nonce: string; peer: Peer }): DeviceClaim {
  const { auth, client, device } = connect;
  if (device === undefined) throw new HandshakeRefusal('NOT_PAIRED', 'device identity required', { code: 'DEVICE_IDENTITY_REQUIRED' });

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
    ...(client.displayName === undefined ? {} : { displayName: client.displayName }),
    platform: client.platform,
    ...(client.deviceFamily === undefined ? {} : { deviceFamily: client.deviceFamily }),
    clientId: client.id,
    clientMode: client.mode,
    role,
    scopes,
    ...(peer.local ? {} : { remoteIp: peer.ip }),
  };
}

function refuse(name: string, reason: string, message: string): HandshakeRefusal {
  return new HandshakeRefusal('INVALID_REQUEST', message, { code: `DEVICE_AUTH_${name}`, reason });
}
