import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { durarError, errorCode } from '../../sdk/errors.ts';
import type { TlsFiles } from './tls.ts';

/** The one server of the port, plain or TLS. */
export function createListener(handler: RequestListener, tls: TlsFiles | undefined): Server {
  if (tls === undefined) return createServer(handler);
  const https = process.getBuiltinModule('node:https');
  return https.createServer({ ...tls, minVersion: 'TLSv1.2' }, handler);
}

/** Returns what cuts every connection of the server, also one that never spoke or has not finished its TLS handshake. */
export function trackConnections(server: Server): () => void {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return () => {
    for (const socket of open) socket.destroy();
  };
}

/** Resolves when it listens. Throws `DUR_GATEWAY_IN_USE`, `DUR_GATEWAY_BIND`. */
export async function listenOn(server: Server, { host, port, tls }: { host: string; port: number; tls?: TlsFiles }): Promise<{ port: number; url: string }> {
  const scheme = tls === undefined ? 'ws' : 'wss';
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => reject(bindError(error, scheme, host, port));
    server.once('error', fail);
    server.listen({ host, port }, () => {
      server.removeListener('error', fail);
      resolve();
    });
  });
  const bound = (server.address() as AddressInfo).port;
  return { port: bound, url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}` };
}

function bindError(error: Error, scheme: string, host: string, port: number): Error {
  if (errorCode(error) === 'EADDRINUSE') return durarError('DUR_GATEWAY_IN_USE', { scheme, host, port }, { cause: error });
  return durarError('DUR_GATEWAY_BIND', { host, port, reason: error.message }, { cause: error });
}
