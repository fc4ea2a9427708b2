import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Server as TlsServer } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { durarError, errorCode } from '../../sdk/errors.ts';
import type { TlsFiles } from './tls.ts';

/** Where to listen. */
export interface Address {
  host: string;
  /** 0 lets the system choose. */
  port: number;
  tls?: TlsFiles | undefined;
}

export interface Bound {
  host: string;
  port: number;
  url: string;
}

/** Another address that is ready: the former one accepts too until one of the two methods is called. */
export interface Opening {
  readonly bound: Bound;
  /** False: the same address, though perhaps with another certificate. Then nobody has to connect anew. */
  readonly moves: boolean;
  /** The former address accepts nobody any more; who is connected to it stays. */
  keep(): void;
  /** Everything is as it was before `open`. */
  withdraw(): Promise<void>;
}

export interface ListenerOptions {
  handler: RequestListener;
  /** `isFormer` tells, at any later time, whether the connection came in at an address that was left since. */
  upgrade(request: IncomingMessage, raw: Duplex, head: Buffer, isFormer: () => boolean): void;
  failed(error: Error): void;
}

/** The one port, which can move while connections live on. */
export interface Listener {
  /** Throws `DUR_GATEWAY_IN_USE`, `DUR_GATEWAY_BIND`. */
  listen(address: Address): Promise<Bound>;
  /** Listens there beside the present address, or instead of it where both cannot be. Throws like `listen`, and the present one goes on. */
  open(next: Address): Promise<Opening>;
  /** Accepts nobody any more. Resolves when the last connection is gone. */
  close(): Promise<void>;
  /** Cuts every connection, also one that never spoke or has not finished its TLS handshake. */
  cut(): void;
}

interface Served {
  server: Server;
  address: Address;
  bound: Bound;
  sockets: Set<Socket>;
}

export function createListener({ handler, upgrade, failed }: ListenerOptions): Listener {
  let served: Served | undefined;
  /** Left, but not without connections yet; each with its end. */
  const former = new Map<Served, Promise<void>>();

  async function start(address: Address): Promise<Served> {
    const server = createHttp(handler, address.tls);
    const started: Served = { server, address, bound: { host: address.host, port: 0, url: '' }, sockets: new Set() };
    server.on('connection', (socket: Socket) => {
      started.sockets.add(socket);
      socket.once('close', () => started.sockets.delete(socket));
    });
    server.on('upgrade', (request, raw, head) => upgrade(request, raw, head, () => served !== started));
    started.bound = await listenOn(server, address);
    server.on('error', failed);
    return started;
  }

  function leave(left: Served): void {
    const gone = new Promise<void>((resolve) => left.server.close(() => resolve())).then(() => void former.delete(left));
    former.set(left, gone);
    left.server.closeIdleConnections();
  }

  return {
    async listen(address) {
      served = await start(address);
      return served.bound;
    },
    async open(next) {
      const present = served;
      if (present === undefined) throw durarError('DUR_HOST_STARTING', { room: 'listener' });
      const { address, bound } = present;
      const before = address.tls;
      if (next.host === address.host && next.port === address.port && (next.tls === undefined) === (before === undefined)) {
        if (!isDeepStrictEqual(next.tls, before)) certify(present, next.tls);
        return { bound, moves: false, keep: () => undefined, withdraw: async () => certify(present, before) };
      }
      let paused = false;
      const resume = async () => {
        if (paused) await listenOn(present.server, { ...address, port: bound.port });
      };
      const started = await start(next).catch(async (error: unknown) => {
        if (errorCode(error) !== 'DUR_GATEWAY_IN_USE' || next.port !== bound.port) throw error;
        // It may be this very listener that holds the port, so it makes room; its connections stay.
        present.server.close();
        paused = true;
        return await start(next).catch(async (cause: unknown) => {
          await resume();
          throw cause;
        });
      });
      served = started;
      return {
        bound: started.bound,
        moves: true,
        keep: () => leave(present),
        async withdraw() {
          leave(started);
          served = present;
          await resume();
        },
      };
    },
    async close() {
      if (served !== undefined) leave(served);
      served = undefined;
      await Promise.all(former.values());
    },
    cut() {
      const all = served === undefined ? former.keys() : [...former.keys(), served];
      for (const { sockets } of all) for (const socket of sockets) socket.destroy();
    },
  };
}

function createHttp(handler: RequestListener, tls: TlsFiles | undefined): Server {
  if (tls === undefined) return createServer(handler);
  const https = process.getBuiltinModule('node:https');
  return https.createServer(secureOptions(tls), handler);
}

function certify(served: Served, tls: TlsFiles | undefined): void {
  if (tls === undefined) return;
  (served.server as unknown as TlsServer).setSecureContext(secureOptions(tls));
  served.address = { ...served.address, tls };
}

function secureOptions(tls: TlsFiles) {
  return { ...tls, minVersion: 'TLSv1.2' as const };
}

async function listenOn(server: Server, { host, port, tls }: Address): Promise<Bound> {
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
  return { host, port: bound, url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}` };
}

function bindError(error: Error, scheme: string, host: string, port: number): Error {
  if (errorCode(error) === 'EADDRINUSE') return durarError('DUR_GATEWAY_IN_USE', { scheme, host, port }, { cause: error });
  return durarError('DUR_GATEWAY_BIND', { host, port, reason: error.message }, { cause: error });
}
