import type { Duplex } from 'node:stream';
import { LIMITS } from '../../sdk/protocol/version.ts';

/** Counts the sockets that have not authenticated yet, by address. */
export interface Admission {
  /** Returns what gives the place back (once, however often it is called); undefined when the address has no place left. */
  enter(ip: string): (() => void) | undefined;
}

const MAX_PER_ADDRESS = 32;
/** Framing and control frames beside the payload that an unauthenticated socket may send. */
const SLACK_BYTES = 2048;

export function createAdmission(limit: number = MAX_PER_ADDRESS): Admission {
  const counts = new Map<string, number>();
  return {
    enter(ip) {
      const present = counts.get(ip) ?? 0;
      if (present >= limit) return undefined;
      counts.set(ip, present + 1);
      let isInside = true;
      return () => {
        if (!isInside) return;
        isInside = false;
        const left = (counts.get(ip) ?? 1) - 1;
        if (left > 0) counts.set(ip, left);
        else counts.delete(ip);
      };
    },
  };
}

/** Watches what an unauthenticated socket sends, as the library's own limit is that of an accepted one. Returns what ends the watch. */
export function meter(raw: Duplex, exceeded: () => void): () => void {
  let bytes = 0;
  const take = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= LIMITS.maxPreauthPayload + SLACK_BYTES) return;
    stop();
    exceeded();
  };
  const stop = () => raw.removeListener('data', take);
  raw.on('data', take);
  return stop;
}

/** Answers an upgrade with 503 instead. */
export function refuseUpgrade(raw: Duplex, text: string): void {
  // Not left to the other side: it could keep its half open for ever.
  raw.once('finish', () => raw.destroy());
  raw.end(`HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`);
}
