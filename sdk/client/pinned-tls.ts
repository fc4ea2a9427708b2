import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { durarError } from '../errors.ts';

const HANDSHAKE_MS = 10_000;

/** Opens TLS to the address and compares the certificate with the pin, before anything is sent. Throws `DUR_GATEWAY_TLS_PIN`, and what the connection fails with. */
export async function connectPinned(url: string, pin: string): Promise<TLSSocket> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({
    host,
    port: Number(port || 443),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // The pin says more than any authority could.
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  });
  socket.setTimeout(HANDSHAKE_MS, () => socket.destroy(new Error(`no TLS handshake within ${HANDSHAKE_MS} ms`)));
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  socket.setTimeout(0);
  socket.removeAllListeners('timeout');
  const actual = plainFingerprint(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
  if (actual !== '' && actual === plainFingerprint(pin)) return socket;
  socket.destroy();
  throw durarError('DUR_GATEWAY_TLS_PIN', { url, actual });
}

/** `sha256:AA:BB…`, `AA:BB…` and `aabb…` are the same. */
function plainFingerprint(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/^sha-?256[:=]/, '')
    .replace(/[:\s]/g, '');
}
