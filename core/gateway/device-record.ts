import { metadataField } from '../../sdk/protocol/device-auth.ts';
import { hasScope, normalizeScopes, type ProtocolRole } from '../../sdk/protocol/scopes.ts';

export interface DeviceToken {
  token: string;
  role: ProtocolRole;
  /** normalized */
  scopes: string[];
  createdAtMs: number;
  rotatedAtMs?: number;
  revokedAtMs?: number;
  lastUsedAtMs?: number;
}

/** What a connecting device says of itself; what it signs with v3 is pinned at pairing. */
export interface DeviceDescription {
  deviceId: string;
  /** base64url of the raw key */
  publicKey: string;
  displayName?: string;
  platform?: string;
  deviceFamily?: string;
  clientId: string;
  clientMode: string;
  /** Absent for one that connects from this machine. */
  remoteIp?: string;
}

/** What a connecting device claims, its signature already verified. */
export interface DeviceClaim extends DeviceDescription {
  role: ProtocolRole;
  scopes: string[];
}

export interface PairedDevice extends DeviceDescription {
  /** The role of its latest approval. */
  role: ProtocolRole;
  roles: ProtocolRole[];
  /** Approved scopes, as they were asked for. */
  scopes: string[];
  createdAtMs: number;
  approvedAtMs: number;
  tokens: Partial<Record<ProtocolRole, DeviceToken>>;
}

export interface PairingRequest extends DeviceClaim {
  requestId: string;
  roles: ProtocolRole[];
  silent: boolean;
  /** The device was paired before and asks for more, or anew. */
  isRepair: boolean;
  /** epoch ms */
  ts: number;
}

export type PairingReason = 'not-paired' | 'role-upgrade' | 'scope-upgrade' | 'metadata-upgrade';

/** What must be approved before this claim may connect; undefined: nothing. */
export function missingApproval(device: PairedDevice | undefined, claim: DeviceClaim): PairingReason | undefined {
  if (device === undefined || device.publicKey !== claim.publicKey) return 'not-paired';
  if (!device.roles.includes(claim.role) || device.tokens[claim.role]?.revokedAtMs !== undefined) return 'role-upgrade';
  if (!covers(claim.role, device.scopes, claim.scopes)) return 'scope-upgrade';
  const isPinned = (pinned: string | undefined, claimed: string | undefined) => pinned === undefined || metadataField(pinned) === metadataField(claimed);
  return isPinned(device.platform, claim.platform) && isPinned(device.deviceFamily, claim.deviceFamily) ? undefined : 'metadata-upgrade';
}

/** True when `held` satisfies every wanted scope, and each of them is one that the role may have. */
export function covers(role: ProtocolRole, held: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((scope) => isOfRole(role, scope) && hasScope(role, held, scope));
}

/** Those scopes of a list that a token of the role may carry, in the stored form. */
export function tokenScopes(role: ProtocolRole, scopes: readonly string[]): string[] {
  return normalizeScopes(
    role,
    scopes.filter((scope) => isOfRole(role, scope)),
  );
}

/** True when the request already asks for all of the claim, so that deciding on it decides on both. */
export function includesClaim(request: PairingRequest, claim: DeviceClaim): boolean {
  return (
    request.publicKey === claim.publicKey &&
    request.roles.includes(claim.role) &&
    claim.scopes.every((scope) => request.scopes.includes(scope)) &&
    metadataField(request.platform) === metadataField(claim.platform) &&
    metadataField(request.deviceFamily) === metadataField(claim.deviceFamily)
  );
}

/** Scopes are prefixed by the role they are for. */
function isOfRole(role: ProtocolRole, scope: string): boolean {
  return !scope.startsWith(role === 'operator' ? 'node.' : 'operator.');
}
