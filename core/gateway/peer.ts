import type { IncomingMessage } from 'node:http';

/** Where a socket comes from, as far as the transport can tell. */
export interface Peer {
  ip: string;
  /** The TCP peer is this machine and no proxy speaks for somebody else. */
  local: boolean;
  origin: string | undefined;
  host: string | undefined;
}

const FORWARDED_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-real-ip'];

export function peerOf(request: IncomingMessage): Peer {
  const ip = request.socket.remoteAddress ?? '';
  return {
    ip,
    local: isLoopback(ip) && !FORWARDED_HEADERS.some((name) => request.headers[name] !== undefined),
    origin: request.headers.origin,
    host: request.headers.host,
  };
}

/** Loopback addresses and names; IPv4 mapped into IPv6 included. */
export function isLoopback(host: string): boolean {
  const plain = host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/^::ffff:/, '');
  return plain === 'localhost' || plain === '::1' || /^127(\.\d{1,3}){3}$/.test(plain);
}
