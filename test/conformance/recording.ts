/** The recordings in `frames/`, and how they are told again to a gateway of ours. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectParamsFor, newDevice, type TestDevice } from './harness.ts';

export interface Recorded {
  dir: 'gateway->client' | 'client->gateway' | 'close';
  frame?: { type: string; id?: string; event?: string; method?: string; params?: Record<string, unknown>; ok?: boolean; error?: unknown; payload?: unknown };
  code?: number;
  reason?: string;
}

const folder = join(import.meta.dirname, 'frames');

export function recording(number: string): Recorded[] {
  const file = readdirSync(folder).find((name) => name.startsWith(`${number}-`)) ?? '';
  return (JSON.parse(readFileSync(join(folder, file), 'utf8')) as { frames: Recorded[] }).frames;
}

/** A recording in its handshakes, each from challenge to challenge. */
export function handshakes(number: string): Recorded[][] {
  const groups: Recorded[][] = [];
  for (const item of recording(number)) {
    if (item.frame?.event === 'connect.challenge') groups.push([]);
    groups.at(-1)?.push(item);
  }
  return groups;
}

/** The recorded params with a key, a time and a nonce of ours; what was wrong in them stays wrong. `changes` go in before signing. */
export function retold(group: Recorded[], nonce: string, own: TestDevice = newDevice(), changes: Record<string, unknown> = {}): Record<string, unknown> {
  const challenge = group[0]?.frame?.payload as { nonce: string; ts: number };
  const { device, ...params } = (group[1]?.frame?.params ?? {}) as {
    device?: { id: string; publicKey: string; signature: string; signedAt: number; nonce: string };
  };
  if (device === undefined) return params;
  const isOwnId = createHash('sha256').update(Buffer.from(device.publicKey, 'base64url')).digest('hex') === device.id;
  return connectParamsFor(nonce, {
    device: own,
    params: { ...params, ...changes },
    signedAt: Date.now() + device.signedAt - challenge.ts,
    tamper: {
      ...(device.nonce === challenge.nonce ? {} : { nonce: device.nonce }),
      ...(isOwnId ? {} : { id: device.id }),
      ...(device.signature.length < 80 ? { signature: device.signature } : {}),
    },
  });
}

/** The paths of a value with their types; list members share one path. */
export function shapeOf(value: unknown, path = ''): Set<string> {
  if (Array.isArray(value)) return new Set([`${path}:array`, ...value.flatMap((member) => [...shapeOf(member, `${path}[]`)])]);
  if (typeof value !== 'object' || value === null) return new Set([`${path}:${value === null ? 'null' : typeof value}`]);
  const members = Object.entries(value).flatMap(([key, member]) => [...shapeOf(member, path === '' ? key : `${path}.${key}`)]);
  return new Set([`${path}:object`, ...members]);
}
