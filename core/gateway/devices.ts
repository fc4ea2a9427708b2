import { randomBytes, randomUUID } from 'node:crypto';
import type { ProtocolRole } from '../../sdk/protocol/scopes.ts';
import type { Row, State } from '../state/state.ts';
import { isSameSecret } from './auth.ts';
import {
  covers,
  type DeviceClaim,
  type DeviceToken,
  includesClaim,
  missingApproval,
  type PairedDevice,
  type PairingReason,
  type PairingRequest,
  tokenScopes,
} from './device-record.ts';

export type { DeviceClaim, DeviceToken, PairedDevice, PairingReason, PairingRequest } from './device-record.ts';

/** The paired devices, their tokens and what waits for approval; all of it survives a restart. */
export interface Devices {
  get(deviceId: string): PairedDevice | undefined;
  /** Newest approval first. */
  list(): PairedDevice[];
  /** Newest first, expired ones left out. */
  pending(): PairingRequest[];
  /** What must be approved before this claim may connect; undefined: nothing. */
  missing(claim: DeviceClaim): PairingReason | undefined;
  /** Grants what the claim asks for, and `more`, beside what was granted before. */
  approve(claim: DeviceClaim, more?: { roles: readonly ProtocolRole[]; scopes: readonly string[] }): PairedDevice;
  /** Records that somebody has to decide. The same question again keeps its request. */
  request(claim: DeviceClaim): { request: PairingRequest; created: boolean };
  findRequest(requestId: string): PairingRequest | undefined;
  hasPending(deviceId: string): boolean;
  reject(requestId: string): void;
  /** False when there is no such device. */
  remove(deviceId: string): boolean;
  /** The role's present token, or a new one when there is none that covers the scopes; undefined when nobody approved the role and the scopes. */
  issueToken(deviceId: string, role: ProtocolRole, scopes: readonly string[]): DeviceToken | undefined;
  checkToken(params: { deviceId: string; token: string; role: ProtocolRole; scopes: readonly string[] }): boolean;
  /** Replaces a live token; undefined when pairing never granted that much. */
  rotateToken(params: { deviceId: string; role: ProtocolRole; scopes: readonly string[] }): DeviceToken | undefined;
  /** When it was revoked; undefined when there is no such token. */
  revokeToken(deviceId: string, role: ProtocolRole): number | undefined;
  /** Writes what is only in memory. */
  close(): void;
}

const PENDING_MS = 300_000;
const MAX_PENDING = 200;
/** Uses of tokens are written together, so that a connect costs no write. */
const USED_DELAY_MS = 10_000;

const STEPS = [
  `CREATE TABLE devices (device_id TEXT PRIMARY KEY, approved_at INTEGER NOT NULL, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE device_tokens (
     device_id TEXT NOT NULL REFERENCES devices ON DELETE CASCADE, role TEXT NOT NULL, token TEXT NOT NULL, scopes TEXT NOT NULL,
     created_at INTEGER NOT NULL, rotated_at INTEGER, revoked_at INTEGER, last_used_at INTEGER, PRIMARY KEY (device_id, role)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE device_requests (request_id TEXT PRIMARY KEY, device_id TEXT NOT NULL UNIQUE, ts INTEGER NOT NULL, record TEXT NOT NULL) STRICT, WITHOUT ROWID`,
];

export function createDevices({ db }: Pick<State, 'db'>, now: () => number = Date.now): Devices {
  db.migrate('devices', STEPS);
  const used = new Map<string, { deviceId: string; role: string; at: number }>();
  let flushing: NodeJS.Timeout | undefined;

  const flush = () => {
    clearTimeout(flushing);
    flushing = undefined;
    if (used.size === 0) return;
    db.transaction(() => {
      for (const { deviceId, role, at } of used.values())
        db.run('UPDATE device_tokens SET last_used_at = ? WHERE device_id = ? AND role = ?', at, deviceId, role);
    });
    used.clear();
  };

  const readDevice = (row: Row): PairedDevice => {
    const record = JSON.parse(String(row.record)) as Omit<PairedDevice, 'tokens'>;
    const tokens: PairedDevice['tokens'] = {};
    for (const entry of db.all('SELECT * FROM device_tokens WHERE device_id = ?', record.deviceId)) {
      const token = readToken(entry);
      const at = used.get(`${record.deviceId}|${token.role}`)?.at;
      tokens[token.role] = at === undefined ? token : { ...token, lastUsedAtMs: at };
    }
    return { ...record, tokens };
  };

  const get = (deviceId: string) => {
    const row = db.get('SELECT record FROM devices WHERE device_id = ?', deviceId);
    return row === undefined ? undefined : readDevice(row);
  };

  const putToken = (deviceId: string, { role, token, scopes, createdAtMs, rotatedAtMs, lastUsedAtMs }: DeviceToken) => {
    db.run(
      `INSERT INTO device_tokens (device_id, role, token, scopes, created_at, rotated_at, last_used_at) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET token = excluded.token, scopes = excluded.scopes, rotated_at = excluded.rotated_at, revoked_at = NULL`,
      deviceId,
      role,
      token,
      JSON.stringify(scopes),
      createdAtMs,
      rotatedAtMs ?? null,
      lastUsedAtMs ?? null,
    );
  };

  const mint = (deviceId: string, role: ProtocolRole, scopes: string[], before: DeviceToken | undefined): DeviceToken => {
    const token: DeviceToken = {
      token: randomBytes(32).toString('base64url'),
      role,
      scopes,
      createdAtMs: before?.createdAtMs ?? now(),
      ...(before === undefined ? {} : { rotatedAtMs: now() }),
      ...(before?.lastUsedAtMs === undefined ? {} : { lastUsedAtMs: before.lastUsedAtMs }),
    };
    putToken(deviceId, token);
    return token;
  };

  const dropExpired = () => db.run('DELETE FROM device_requests WHERE ts < ?', now() - PENDING_MS);
  const readRequest = (row: Row | undefined) => (row === undefined ? undefined : ({ ...JSON.parse(String(row.record)), ts: Number(row.ts) } as PairingRequest));
  const requestOf = (deviceId: string) => {
    dropExpired();
    return readRequest(db.get('SELECT record, ts FROM device_requests WHERE device_id = ?', deviceId));
  };

  return {
    get,
    list: () => db.all('SELECT record FROM devices ORDER BY approved_at DESC, device_id').map(readDevice),
    pending() {
      dropExpired();
      return db.all('SELECT record, ts FROM device_requests ORDER BY ts DESC, request_id').map((row) => readRequest(row) as PairingRequest);
    },
    missing: (claim) => missingApproval(get(claim.deviceId), claim),
    approve(claim, more = { roles: [], scopes: [] }) {
      const before = get(claim.deviceId);
      const kept = before?.publicKey === claim.publicKey ? before : undefined;
      const { deviceId, publicKey, displayName, platform, deviceFamily, clientId, clientMode, remoteIp, role } = claim;
      const granted = [...new Set([...more.roles, role])];
      const record: Omit<PairedDevice, 'tokens'> = {
        deviceId,
        publicKey,
        ...(displayName === undefined ? {} : { displayName }),
        ...(platform === undefined ? {} : { platform }),
        ...(deviceFamily === undefined ? {} : { deviceFamily }),
        clientId,
        clientMode,
        role,
        roles: [...new Set([...(kept?.roles ?? []), ...granted])],
        scopes: [...new Set([...(kept?.scopes ?? []), ...claim.scopes, ...more.scopes])],
        ...(remoteIp === undefined ? {} : { remoteIp }),
        createdAtMs: kept?.createdAtMs ?? now(),
        approvedAtMs: now(),
      };
      db.transaction(() => {
        if (kept === undefined) db.run('DELETE FROM devices WHERE device_id = ?', deviceId);
        db.run(
          'INSERT INTO devices (device_id, approved_at, record) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET approved_at = excluded.approved_at, record = excluded.record',
          deviceId,
          record.approvedAtMs,
          JSON.stringify(record),
        );
        for (const one of granted) {
          const token = kept?.tokens[one];
          const scopes = tokenScopes(one, [...(token?.scopes ?? []), ...claim.scopes, ...more.scopes]);
          if (token === undefined || token.revokedAtMs !== undefined || !covers(one, token.scopes, scopes)) mint(deviceId, one, scopes, token);
        }
        db.run('DELETE FROM device_requests WHERE device_id = ?', deviceId);
      });
      return get(deviceId) as PairedDevice;
    },
    request(claim) {
      const present = requestOf(claim.deviceId);
      if (present !== undefined && includesClaim(present, claim)) {
        const ts = now();
        db.run('UPDATE device_requests SET ts = ? WHERE request_id = ?', ts, present.requestId);
        return { request: { ...present, ts }, created: false };
      }
      const kept = present?.publicKey === claim.publicKey ? present : undefined;
      const request: PairingRequest = {
        requestId: randomUUID(),
        ...claim,
        roles: [...new Set([...(kept?.roles ?? []), claim.role])],
        scopes: [...new Set([...(kept?.scopes ?? []), ...claim.scopes])],
        silent: false,
        isRepair: get(claim.deviceId) !== undefined,
        ts: now(),
      };
      db.transaction(() => {
        db.run('DELETE FROM device_requests WHERE device_id = ?', claim.deviceId);
        db.run('DELETE FROM device_requests WHERE request_id IN (SELECT request_id FROM device_requests ORDER BY ts DESC LIMIT -1 OFFSET ?)', MAX_PENDING - 1);
        const { requestId, deviceId, ts } = request;
        db.run('INSERT INTO device_requests (request_id, device_id, ts, record) VALUES (?, ?, ?, ?)', requestId, deviceId, ts, JSON.stringify(request));
      });
      return { request, created: true };
    },
    findRequest(requestId) {
      dropExpired();
      return readRequest(db.get('SELECT record, ts FROM device_requests WHERE request_id = ?', requestId));
    },
    hasPending: (deviceId) => requestOf(deviceId) !== undefined,
    reject: (requestId) => void db.run('DELETE FROM device_requests WHERE request_id = ?', requestId),
    remove(deviceId) {
      return db.transaction(() => {
        db.run('DELETE FROM device_requests WHERE device_id = ?', deviceId);
        return db.run('DELETE FROM devices WHERE device_id = ?', deviceId) > 0;
      });
    },
    issueToken(deviceId, role, scopes) {
      const device = get(deviceId);
      const present = device?.tokens[role];
      if (device === undefined || !device.roles.includes(role) || present?.revokedAtMs !== undefined || !covers(role, device.scopes, scopes)) return undefined;
      if (present !== undefined && covers(role, present.scopes, scopes)) return present;
      return mint(deviceId, role, tokenScopes(role, [...(present?.scopes ?? []), ...scopes]), present);
    },
    checkToken({ deviceId, token, role, scopes }) {
      const device = get(deviceId);
      const entry = device?.tokens[role];
      if (device === undefined || entry === undefined || entry.revokedAtMs !== undefined) return false;
      const isValid = isSameSecret(token, entry.token) && covers(role, device.scopes, entry.scopes) && covers(role, entry.scopes, scopes);
      if (!isValid) return false;
      used.set(`${deviceId}|${role}`, { deviceId, role, at: now() });
      flushing ??= setTimeout(flush, USED_DELAY_MS).unref();
      return true;
    },
    rotateToken({ deviceId, role, scopes }) {
      const device = get(deviceId);
      const present = device?.tokens[role];
      if (device === undefined || present === undefined || present.revokedAtMs !== undefined) return undefined;
      if (!device.roles.includes(role) || !covers(role, device.scopes, scopes)) return undefined;
      return mint(deviceId, role, tokenScopes(role, scopes), present);
    },
    revokeToken(deviceId, role) {
      const at = now();
      return db.run('UPDATE device_tokens SET revoked_at = ? WHERE device_id = ? AND role = ?', at, deviceId, role) > 0 ? at : undefined;
    },
    close: flush,
  };
}

function readToken(row: Row): DeviceToken {
  return {
    token: String(row.token),
    role: row.role as ProtocolRole,
    scopes: JSON.parse(String(row.scopes)) as string[],
    createdAtMs: Number(row.created_at),
    ...(row.rotated_at === null ? {} : { rotatedAtMs: Number(row.rotated_at) }),
    ...(row.revoked_at === null ? {} : { revokedAtMs: Number(row.revoked_at) }),
    ...(row.last_used_at === null ? {} : { lastUsedAtMs: Number(row.last_used_at) }),
  };
}
