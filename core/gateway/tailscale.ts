import type { IncomingMessage } from 'node:http';
import { forwardedClient, isLoopback, type TailscaleVerdict } from './peer.ts';

/** The login of who is at an address of the tailnet; undefined when Tailscale does not know. May throw. */
export type TailscaleWhois = (ip: string) => Promise<string | undefined>;

const PROXY_HEADERS = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'];
const KNOWN_MS = 60_000;
const MAX_KNOWN = 200;
const WHOIS_MS = 5000;

/** What a request says of its Tailscale identity; undefined: it did not come that way at all. */
export type TailscaleReader = (request: IncomingMessage) => Promise<TailscaleVerdict | undefined>;

/** Reads the identity headers of Tailscale Serve. */
export function createTailscale(whois: TailscaleWhois = askCommand, now: () => number = Date.now): TailscaleReader {
  const known = new Map<string, { user: string; until: number }>();

  const lookUp = async (ip: string): Promise<string | undefined> => {
    const present = known.get(ip);
    if (present !== undefined && present.until > now()) return present.user;
    const user = await whois(ip).catch(() => undefined);
    known.delete(ip);
    if (user === undefined) return undefined;
    known.set(ip, { user, until: now() + KNOWN_MS });
    const oldest = known.size > MAX_KNOWN ? known.keys().next().value : undefined;
    if (oldest !== undefined) known.delete(oldest);
    return user;
  };

  return async ({ headers, socket }) => {
    const login = [headers['tailscale-user-login'] ?? ''].flat()[0]?.trim() ?? '';
    const isServed = isLoopback(socket.remoteAddress ?? '') && PROXY_HEADERS.every((name) => headers[name] !== undefined);
    if (!isServed) return login === '' ? undefined : { reason: 'tailscale_proxy_missing' };
    if (login === '') return { reason: 'tailscale_user_missing' };
    const ip = forwardedClient(headers, isLoopback);
    const user = ip === undefined ? undefined : await lookUp(ip);
    if (user === undefined) return { reason: 'tailscale_whois_failed' };
    return user.toLowerCase() === login.toLowerCase() ? { user } : { reason: 'tailscale_user_mismatch' };
  };
}

/** Asks the `tailscale` command of this machine. */
async function askCommand(ip: string): Promise<string | undefined> {
  const { execFile } = process.getBuiltinModule('node:child_process');
  const text = await new Promise<string>((resolve, reject) => {
    execFile('tailscale', ['whois', '--json', ip], { timeout: WHOIS_MS, maxBuffer: 1_000_000 }, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
  const answer = JSON.parse(text) as { UserProfile?: { LoginName?: unknown } };
  const login = answer.UserProfile?.LoginName;
  return typeof login === 'string' && login !== '' ? login : undefined;
}
