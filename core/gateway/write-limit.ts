import { ProtocolError } from '../../sdk/protocol/errors.ts';
import type { ConnectedClient } from './connection.ts';

/** Holds back callers that change the whole gateway again and again. One count for all such methods of one device and address. */
export interface WriteLimit {
  /** Counts this call. Throws `UNAVAILABLE` with the time to wait. */
  take(client: ConnectedClient, method: string): void;
}

const LIMIT = 3;
const WINDOW_MS = 60_000;
/** Bounded: the caller that was longest quiet is forgotten first. */
const MAX_CALLERS = 1000;

export function createWriteLimit(now: () => number = Date.now): WriteLimit {
  const callers = new Map<string, number[]>();
  return {
    take(client, method) {
      const key = `${client.deviceId ?? client.info.id}|${client.peer.ip}`;
      const time = now();
      const recent = (callers.get(key) ?? []).filter((at) => time - at < WINDOW_MS);
      const [first] = recent;
      if (first !== undefined && recent.length >= LIMIT) {
        const retryAfterMs = first + WINDOW_MS - time;
        throw new ProtocolError('UNAVAILABLE', `rate limit exceeded for ${method}; retry after ${Math.ceil(retryAfterMs / 1000)}s`, {
          retryable: true,
          retryAfterMs,
          details: { method, limit: `${LIMIT} per ${WINDOW_MS / 1000}s` },
        });
      }
      callers.delete(key);
      callers.set(key, [...recent, time]);
      const oldest = callers.size > MAX_CALLERS ? callers.keys().next().value : undefined;
      if (oldest !== undefined) callers.delete(oldest);
    },
  };
}
