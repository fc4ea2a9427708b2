import { createHash, createPublicKey, randomBytes, randomUUID, verify } from 'node:crypto';
import { type DeviceAuthFields, deviceAuthPayloadV2, deviceAuthPayloadV3, metadataField } from '../../sdk/protocol/device-auth.ts';
import { hasScope, normalizeScopes, type ProtocolRole } from '../../sdk/protocol/scopes.ts';
import type { State } from '../state/state.ts';
import { isSameSecret } from './auth.ts';

export interface DeviceToken {
  token: string;
  role: ProtocolRole;
  scopes: string[];
  createdAtMs: number;
  rotatedAtMs?: number;
  revokedAtMs?: number;
}

export interface PairedDevice {
  deviceId: string;
  /** base64url of the raw key */
  publicKey: string;
  displayName?: string;
  platform?: string;
  deviceFamily?: string;
  clientId: string;
  clientMode: string;
  roles: ProtocolRole[];
  /** Approved operator scopes, normalized. */
  scopes: string[];
  remoteIp?: string;
  createdAtMs: number;
  approvedAtMs: number;
  tokens: Partial<Record<ProtocolRole, DeviceToken>>;
}

/** What a connecting device claims, its signature already verified. */
export interface DeviceClaim {
  deviceId: string;
  publicKey: string;
  displayName?: string;
  platform?: string;
  deviceFamily?: string;
  clientId: string;
  clientMode: string;
  role: ProtocolRole;
  scopes: string[];
  remoteIp?: string;
}

export interface PairingRequest extends Omit<DeviceClaim, 'role'> {
  requestId: string;
  role: ProtocolRole;
  roles: ProtocolRole[];
  silent: boolean;
  /** The device was paired before and asks for more, or anew. */
  isRepair: boolean;
  /** epoch ms */
  ts: number;
}

export type PairingReason = 'not-paired' | 'role-upgrade' | 'scope-upgrade' | 'metadata-upgrade';

export interface Devices {
  get(deviceId: string): PairedDevice | undefined;
  list(): PairedDevice[];
  /** What must be approved before this claim may connect; undefined: nothing. */
  missing(claim: DeviceClaim): PairingReason | undefined;
  /** Grants what the claim asks for, beside what was granted before. */
  approve(claim: DeviceClaim): PairedDevice;
  /** Records that somebody has to decide. The same question again keeps its request. */
  request(claim: DeviceClaim): { request: PairingRequest; created: boolean };
  hasPending(deviceId: string): boolean;
  /** The role's present token, or a new one when there is none that covers the scopes. */
  issueToken(deviceId: string, role: ProtocolRole, scopes: readonly string[]): DeviceToken;
  checkToken(params: { deviceId: string; token: string; role: ProtocolRole; scopes: readonly string[] }): boolean;
}

const NAMESPACE = 'gateway.devices';
const PENDING_MS = 300_000;
const MAX_PENDING = 200;

export function createDevices(state: Pick<State, 'kv'>, now: () => number = Date.now): Devices {
  const pending = new Map<string, PairingRequest>();
  const get = (deviceId: string) => state.kv.get(NAMESPACE, deviceId) as PairedDevice | undefined;
  const put = (device: PairedDevice) => state.kv.set(NAMESPACE, device.deviceId, device);
  const dropExpired = () => {
    const oldest = now() - PENDING_MS;
    for (const [id, request] of pending) if (request.ts < oldest || pending.size > MAX_PENDING) pending.delete(id);
  };
  const pendingOf = (deviceId: string) => {
    dropExpired();
    return [...pending.values()].find((request) => request.deviceId === deviceId);
  };

  return {
    get,
    list: () => state.kv.list(NAMESPACE).map(({ value }) => value as PairedDevice),
    missing(claim) {
      const device = get(claim.deviceId);
      if (device === undefined || device.publicKey !== claim.publicKey) return 'not-paired';
      const token = device.tokens[claim.role];
      if (!device.roles.includes(claim.role) || token?.revokedAtMs !== undefined) return 'role-upgrade';
      if (!covers(claim.role, device.scopes, claim.scopes)) return 'scope-upgrade';
      const isChanged = (pinned: string | undefined, claimed: string | undefined) => pinned !== undefined && metadataField(pinned) !== metadataField(claimed);
      return isChanged(device.platform, claim.platform) || isChanged(device.deviceFamily, claim.deviceFamily) ? 'metadata-upgrade' : undefined;
    },
    approve(claim) {
      const before = get(claim.deviceId);
      const kept = before?.publicKey === claim.publicKey ? before : undefined;
      const { role, scopes, ...description } = claim;
      const tokens = { ...kept?.tokens };
      if (tokens[role]?.revokedAtMs !== undefined) delete tokens[role];
      const device: PairedDevice = {
        ...description,
        roles: [...new Set([...(kept?.roles ?? []), role])],
        scopes: normalizeScopes('operator', [...(kept?.scopes ?? []), ...scopes]),
        createdAtMs: kept?.createdAtMs ?? now(),
        approvedAtMs: now(),
        tokens,
      };
      put(device);
      for (const [id, request] of pending) if (request.deviceId === claim.deviceId) pending.delete(id);
      return device;
    },
    request(claim) {
      const present = pendingOf(claim.deviceId);
      if (present !== undefined && isSameQuestion(present, claim)) {
        present.ts = now();
        return { request: present, created: false };
      }
      if (present !== undefined) pending.delete(present.requestId);
      const request: PairingRequest = {
        requestId: randomUUID(),
        ...claim,
        roles: [...new Set([...(present?.roles ?? []), claim.role])],
        scopes: [...new Set([...(present?.scopes ?? []), ...claim.scopes])],
        silent: false,
        isRepair: get(claim.deviceId) !== undefined,
        ts: now(),
      };
      pending.set(request.requestId, request);
      return { request, created: true };
    },
    hasPending: (deviceId) => pendingOf(deviceId) !== undefined,
    issueToken(deviceId, role, scopes) {
      const device = get(deviceId);
      if (device === undefined) throw new Error(`device ${deviceId} is not paired`);
      const present = device.tokens[role];
      if (present !== undefined && present.revokedAtMs === undefined && covers(role, present.scopes, scopes)) return present;
      const issued: DeviceToken = {
        token: randomBytes(32).toString('base64url'),
        role,
        scopes: normalizeScopes(role, [...(present?.scopes ?? []), ...scopes]),
        createdAtMs: present?.createdAtMs ?? now(),
        ...(present === undefined ? {} : { rotatedAtMs: now() }),
      };
      put({ ...device, tokens: { ...device.tokens, [role]: issued } });
      return issued;
    },
    checkToken({ deviceId, token, role, scopes }) {
      const device = get(deviceId);
      const entry = device?.tokens[role];
      if (device === undefined || entry === undefined || entry.revokedAtMs !== undefined) return false;
      return isSameSecret(token, entry.token) && covers(role, device.scopes, entry.scopes) && covers(role, entry.scopes, scopes);
    },
  };
}

/** base64url of the raw 32 bytes, from that form, its padded or plain base64 forms, or a PEM. undefined: not such a key. */
export function normalizePublicKey(text: string): string | undefined {
  if (text.includes('BEGIN')) {
    try {
      return createPublicKey(text).export({ format: 'jwk' }).x;
    } catch {
      return undefined;
    }
  }
  const plain = text.trim().replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  return /^[\w-]{43}$/.test(plain) ? plain : undefined;
}

/** The id of a key: lower-case hex SHA-256 of its raw bytes. */
export function deviceIdOf(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('hex');
}

/** True when the signature fits the preferred or the older payload. */
export function verifyDeviceSignature(publicKey: string, signature: string, fields: DeviceAuthFields): boolean {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
  const bytes = Buffer.from(signature, 'base64url');
  return [deviceAuthPayloadV3, deviceAuthPayloadV2].some((payload) => verify(null, Buffer.from(payload(fields)), key, bytes));
}

function covers(role: ProtocolRole, held: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((scope) => hasScope(role, held, scope));
}

function isSameQuestion(request: PairingRequest, claim: DeviceClaim): boolean {
  return (
    request.publicKey === claim.publicKey &&
    request.role === claim.role &&
    request.scopes.length === claim.scopes.length &&
    claim.scopes.every((scope) => request.scopes.includes(scope))
  );
}
