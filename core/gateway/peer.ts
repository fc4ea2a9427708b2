import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { AuthReason } from './auth-refusal.ts';

/** Who Tailscale Serve says the caller is, confirmed by `whois`; or why it does not count. */
export type TailscaleVerdict = { user: string } | { reason: AuthReason };

/** Where a socket comes from, as far as the transport can tell. */
export interface Peer {
  /** Address of the client: that of the TCP peer, or what a trusted proxy says of its own client. */
  ip: string;
  /** The TCP peer is this machine and no proxy speaks for somebody else. */
  local: boolean;
  origin: string | undefined;
  host: string | undefined;
  /** It came by TLS, to this process or to a trusted proxy. */
  secure?: true;
  /** A proxy speaks for somebody else; `trusted` when it is one of `gateway.trustedProxies`. */
  forwarded?: 'trusted' | 'untrusted';
  /** What a trusted proxy sent; absent for everybody else. */
  proxyHeaders?: IncomingHttpHeaders;
  /** Who Tailscale says this is, where that was asked. */
  tailscale?: TailscaleVerdict;
}

export type PeerReader = (request: IncomingMessage) => Peer;

const FORWARDED_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-real-ip'];

/** `trustedProxies`: addresses and networks (`10.0.0.0/8`) whose forwarded headers are believed. */
export function createPeerReader(
  settings: { trustedProxies?: readonly string[]; allowRealIpFallback?: boolean; auth?: { trustedProxy?: { userHeader?: string } } } = {},
): PeerReader {
  const isTrusted = createAddressTest(settings.trustedProxies ?? []);
  const userHeader = settings.auth?.trustedProxy?.userHeader?.toLowerCase();
  return ({ headers, socket }) => {
    const address = plainAddress(socket.remoteAddress ?? '');
    const isForwarded = FORWARDED_HEADERS.some((name) => headers[name] !== undefined);
    const isProxy = isTrusted(address);
    // A proxy of this machine that names a user speaks for somebody else, whatever else it leaves out.
    const isVouched = isProxy && userHeader !== undefined && headers[userHeader] !== undefined;
    const client = isProxy ? (forwardedClient(headers, isTrusted) ?? (settings.allowRealIpFallback ? realIp(headers) : undefined)) : undefined;
    return {
      ip: client ?? address,
      local: isLoopback(address) && !isForwarded && !isVouched,
      origin: headers.origin,
      host: headers.host,
      ...(('encrypted' in socket && socket.encrypted === true) || (isProxy && headers['x-forwarded-proto'] === 'https') ? { secure: true } : {}),
      ...(isForwarded ? { forwarded: isProxy ? 'trusted' : 'untrusted' } : {}),
      ...(isProxy ? { proxyHeaders: headers } : {}),
    };
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

/** The client that the proxies name: the last hop of `X-Forwarded-For` that is no trusted proxy itself. Hops before it are the client's own claim. */
export function forwardedClient(headers: IncomingHttpHeaders, isTrusted: (address: string) => boolean): string | undefined {
  const hops = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',').map(plainAddress);
  const client = hops.findLast((hop) => !isTrusted(hop)) ?? hops[0];
  return client !== undefined && isIP(client) !== 0 ? client : undefined;
}

/** Entries that are no address are passed over; the configuration says which are wrong. */
function createAddressTest(entries: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const entry of entries) {
    const [text = '', bits] = entry.trim().split('/');
    const family = isIP(text);
    if (family === 0) continue;
    const type = family === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(text, type);
    else if (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32)) list.addSubnet(text, Number(bits), type);
  }
  return (address) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };
}

function realIp(headers: IncomingHttpHeaders): string | undefined {
  const address = plainAddress([headers['x-real-ip'] ?? ''].flat()[0] ?? '');
  return isIP(address) === 0 ? undefined : address;
}

/** Without brackets, port, and the prefix of a mapped IPv4 address. */
function plainAddress(text: string): string {
  const bare = text.trim().replace(/^"|"$/g, '');
  const host = /^\[([^\]]+)\](?::\d+)?$/.exec(bare)?.[1] ?? /^([\d.]+):\d+$/.exec(bare)?.[1] ?? bare;
  return host.replace(/^::ffff:(?=\d+\.)/i, '');
}
