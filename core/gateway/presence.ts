import { hostname, networkInterfaces, release, type } from 'node:os';
import { isCommandLine } from '../../sdk/protocol/clients.ts';
import type { PresenceEntry } from '../../sdk/protocol/generated/types.ts';
import type { ConnectedClient } from './connection.ts';

/** Who is here: the gateway's own row and one row per device. Rows live in memory only. */
export interface Presence {
  readonly version: number;
  connected(client: ConnectedClient): void;
  /** Returns true when a row changed. */
  disconnected(client: ConnectedClient): boolean;
  /** Newest first, expired rows left out. */
  entries(): PresenceEntry[];
}

const EXPIRES_MS = 300_000;
const MAX_ROWS = 200;

interface Row {
  entry: PresenceEntry;
  connections: Set<string>;
}

export function createPresence(params: { version: string; now?: () => number }): Presence {
  const now = params.now ?? Date.now;
  const rows = new Map<string, Row>();
  const self = describeSelf(params.version);
  let version = 1;

  const keyOf = (client: ConnectedClient) => (client.deviceId ?? client.info.instanceId ?? client.connId).toLowerCase();

  return {
    get version() {
      return version;
    },
    connected(client) {
      if (isCommandLine(client.info)) return;
      const key = keyOf(client);
      const before = rows.get(key);
      const { info, deviceId } = client;
      const host = info.displayName ?? info.id;
      const instanceId = deviceId ?? info.instanceId;
      const ip = client.peer.local ? before?.entry.ip : client.peer.ip;
      const entry: PresenceEntry = {
        ...before?.entry,
        host,
        version: info.version,
        platform: info.platform,
        mode: info.mode,
        reason: client.role === 'node' ? 'node-connected' : 'connect',
        text: `Node: ${host} · mode ${info.mode}`,
        ts: now(),
        roles: union(before?.entry.roles, [client.role]),
        scopes: union(before?.entry.scopes, client.scopes),
        ...(ip ? { ip } : {}),
        ...(info.deviceFamily === undefined ? {} : { deviceFamily: info.deviceFamily }),
        ...(info.modelIdentifier === undefined ? {} : { modelIdentifier: info.modelIdentifier }),
        ...(deviceId === undefined ? {} : { deviceId }),
        ...(instanceId === undefined ? {} : { instanceId }),
      };
      rows.delete(key);
      rows.set(key, { entry, connections: (before?.connections ?? new Set<string>()).add(client.connId) });
      const oldest = rows.size > MAX_ROWS - 1 ? rows.keys().next().value : undefined;
      if (oldest !== undefined && oldest !== key) rows.delete(oldest);
      version += 1;
    },
    disconnected(client) {
      const row = rows.get(keyOf(client));
      if (row === undefined || !row.connections.delete(client.connId)) return false;
      if (row.connections.size === 0) row.entry = { ...row.entry, reason: 'disconnect', ts: now() };
      version += 1;
      return true;
    },
    entries() {
      const time = now();
      for (const [key, row] of rows) {
        if (row.connections.size > 0) row.entry.ts = time;
        else if (time - row.entry.ts > EXPIRES_MS) rows.delete(key);
      }
      return [{ ...self, ts: time }, ...[...rows.values()].map((row) => row.entry).sort((a, b) => b.ts - a.ts)];
    },
  };
}

function describeSelf(version: string): Omit<PresenceEntry, 'ts'> {
  const host = hostname();
  const ip = Object.values(networkInterfaces())
    .flat()
    .find((address) => address !== undefined && !address.internal && address.family === 'IPv4')?.address;
  return {
    host,
    ...(ip === undefined ? {} : { ip }),
    version,
    platform: `${process.platform} ${release()}`,
    deviceFamily: type(),
    modelIdentifier: process.arch,
    mode: 'gateway',
    reason: 'self',
    text: `Gateway: ${host}${ip === undefined ? '' : ` (${ip})`} · app ${version} · mode gateway · reason self`,
  };
}

function union(before: readonly string[] | undefined, added: readonly string[]): string[] {
  return [...new Set([...(before ?? []), ...added])];
}
