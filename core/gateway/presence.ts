import { hostname, networkInterfaces, release, type } from 'node:os';
import { isCommandLine } from '../../sdk/protocol/clients.ts';
import type { PresenceEntry } from '../../sdk/protocol/generated/types.ts';
import type { ConnectedClient } from './connection.ts';

/** What a client tells of itself by `system-event`; absent members keep their value. */
export type Beacon = Partial<Omit<PresenceEntry, 'ts'>>;

/** Who is here: the gateway's own row and one row per device. Rows live in memory only. */
export interface Presence {
  readonly version: number;
  connected(client: ConnectedClient): void;
  /** Updates the row of the sender, or the one that the beacon names; never that of another device. */
  beacon(client: ConnectedClient, beacon: Beacon): void;
  /** Returns true when a row changed. */
  disconnected(client: ConnectedClient): boolean;
  /** Newest first, expired rows left out. */
  entries(): PresenceEntry[];
}

const EXPIRES_MS = 300_000;
/** The gateway's own row included. */
const MAX_ROWS = 200;
/** A device may come with a new instance id each time. */
const MAX_INSTANCES = 1000;

interface Row {
  entry: PresenceEntry;
  connections: Set<string>;
}

export function createPresence(params: { version: string; now?: () => number }): Presence {
  const now = params.now ?? Date.now;
  /** Oldest update first. */
  const rows = new Map<string, Row>();
  /** Instance ids of devices -> the device's key. An instance that another device uses stays with the first. */
  const instances = new Map<string, string>();
  const self = describeSelf(params.version);
  let version = 1;

  const keyOf = (client: ConnectedClient) => (client.deviceId ?? client.info.instanceId ?? client.connId).toLowerCase();

  const put = (key: string, entry: PresenceEntry, connections: Set<string>) => {
    rows.delete(key);
    rows.set(key, { entry: ordered(entry), connections });
    if (rows.size > MAX_ROWS - 1) {
      const idle = [...rows].find(([, row]) => row.connections.size === 0)?.[0];
      const oldest = idle ?? rows.keys().next().value;
      if (oldest !== undefined) rows.delete(oldest);
    }
    version += 1;
  };

  const remember = (instance: string, key: string) => {
    instances.delete(instance);
    instances.set(instance, key);
    const oldest = instances.size > MAX_INSTANCES ? instances.keys().next().value : undefined;
    if (oldest !== undefined) instances.delete(oldest);
  };

  const named = (client: ConnectedClient, beacon: Beacon): string => {
    const own = keyOf(client);
    const instance = beacon.instanceId?.toLowerCase();
    if (instance === undefined && rows.has(own)) return own;
    const key = (instance === undefined ? undefined : (instances.get(instance) ?? instance)) ?? (beacon.host ?? beacon.ip ?? own).toLowerCase();
    const holder = rows.get(key)?.entry.deviceId;
    return holder === undefined || holder === client.deviceId ? key : `${own}/${key}`;
  };

  return {
    get version() {
      return version;
    },
    connected(client) {
      if (isCommandLine(client.info)) return;
      const { info, deviceId } = client;
      const instance = info.instanceId?.toLowerCase();
      let key = keyOf(client);
      // Whoever has no device must not answer to the name of one.
      if (deviceId === undefined && (rows.get(key)?.entry.deviceId !== undefined || instances.has(key))) key = client.connId.toLowerCase();
      if (deviceId !== undefined && instance !== undefined && !rows.has(instances.get(instance) ?? '')) remember(instance, key);
      const before = rows.get(key);
      const host = info.displayName ?? info.id;
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
        ...lists(before?.entry, { roles: [client.role], scopes: [...client.scopes] }),
        ...(ip ? { ip } : {}),
        ...(info.deviceFamily === undefined ? {} : { deviceFamily: info.deviceFamily }),
        ...(info.modelIdentifier === undefined ? {} : { modelIdentifier: info.modelIdentifier }),
        ...(deviceId === undefined ? {} : { deviceId }),
        ...(info.instanceId === undefined ? {} : { instanceId: info.instanceId }),
      };
      put(key, entry, (before?.connections ?? new Set<string>()).add(client.connId));
    },
    beacon(client, { deviceId: claimed, roles, scopes, ...beacon }) {
      const key = named(client, beacon);
      const before = rows.get(key);
      const deviceId = claimed !== undefined && claimed === client.deviceId ? claimed : undefined;
      const entry: PresenceEntry = {
        ...before?.entry,
        ...beacon,
        ...(deviceId === undefined ? {} : { deviceId }),
        ...lists(before?.entry, { roles: roles ?? [], scopes: scopes ?? [] }),
        ts: now(),
      };
      put(key, entry, before?.connections ?? new Set());
    },
    disconnected(client) {
      const found = rowOf(rows, keyOf(client), client.connId);
      if (found === undefined) return false;
      const [key, row] = found;
      row.connections.delete(client.connId);
      const isGone = row.connections.size === 0;
      put(key, isGone ? { ...row.entry, reason: 'disconnect', ts: now() } : row.entry, row.connections);
      return true;
    },
    entries() {
      const time = now();
      for (const [key, row] of rows) {
        if (row.connections.size > 0) row.entry.ts = time;
        else if (time - row.entry.ts > EXPIRES_MS) rows.delete(key);
      }
      for (const [instance, key] of instances) if (!rows.has(key)) instances.delete(instance);
      return [{ ...self, ts: time }, ...[...rows.values()].map((row) => row.entry).sort((a, b) => b.ts - a.ts)];
    },
  };
}

/** A beacon's text, such as `Node: mac (10.0.0.5) · app 1.2.3 · last input 3s ago · mode ui · reason periodic`; undefined: it is no such text. */
export function parseBeacon(text: string): Beacon | undefined {
  const [, host, ip, rest] = /^Node:\s*([^·(]+?)\s*(?:\(([^)]+)\))?\s*(?:·(.*))?$/is.exec(text.trim()) ?? [];
  if (host === undefined) return undefined;
  const beacon: Beacon = { host, ...(ip === undefined ? {} : { ip }) };
  for (const part of (rest ?? '').split('·')) {
    const [, name, value] = /^\s*(app|mode|reason|last input)\s+(.+?)\s*$/i.exec(part) ?? [];
    if (name === undefined || value === undefined) continue;
    if (/^app$/i.test(name)) beacon.version = value;
    else if (/^mode$/i.test(name)) beacon.mode = value;
    else if (/^reason$/i.test(name)) beacon.reason = value;
    else if (/^\d+s ago$/i.test(value)) beacon.lastInputSeconds = Number.parseInt(value, 10);
  }
  return beacon;
}

const ORDER = [
  ...['host', 'ip', 'version', 'platform', 'deviceFamily', 'modelIdentifier', 'lastInputSeconds', 'mode'],
  ...['deviceId', 'roles', 'scopes', 'instanceId', 'tags', 'reason', 'text', 'ts'],
] as Array<keyof PresenceEntry>;

function ordered(entry: PresenceEntry): PresenceEntry {
  return Object.fromEntries(ORDER.flatMap((key) => (entry[key] === undefined ? [] : [[key, entry[key]]]))) as PresenceEntry;
}

/** Roles and scopes of all connections of a row together; empty lists are left out. */
function lists(before: PresenceEntry | undefined, added: { roles: readonly string[]; scopes: readonly string[] }): Pick<PresenceEntry, 'roles' | 'scopes'> {
  const roles = union(before?.roles, added.roles);
  const scopes = union(before?.scopes, added.scopes);
  return { ...(roles.length === 0 ? {} : { roles }), ...(scopes.length === 0 ? {} : { scopes }) };
}

function rowOf(rows: ReadonlyMap<string, Row>, key: string, connId: string): [string, Row] | undefined {
  for (const name of [key, connId.toLowerCase()]) {
    const row = rows.get(name);
    if (row?.connections.has(connId)) return [name, row];
  }
  return undefined;
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
