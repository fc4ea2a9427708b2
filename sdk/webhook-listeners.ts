import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Where a webhook is listened for. */
export interface WebhookAddress {
  host: string;
  /** 0: any free one */
  port: number;
  /** `/telegram-webhook` */
  path: string;
}

/** Listeners of webhooks; accounts with the same host and port share one, each with a path of its own. */
export interface WebhookListeners<Route> {
  /** Resolves when it listens, with the port. Throws what `refusals` make. `close` lets requests that are being answered end. */
  open(address: WebhookAddress, route: Route): Promise<{ port: number; close(): Promise<void> }>;
}

/** How a channel says that an address cannot be had. */
export interface WebhookRefusals {
  pathTaken(address: WebhookAddress): Error;
  cannotListen(address: WebhookAddress, error: unknown): Error;
}

/** Answers one request; `routes` by path, empty when the listener is about to close. Must not reject. */
export type WebhookAnswer<Route> = (routes: ReadonlyMap<string, Route>, request: IncomingMessage, response: ServerResponse) => Promise<void>;

interface Listener<Route> {
  server: Server;
  routes: Map<string, Route>;
  listening: Promise<number>;
}

/** How long requests may take to end when a listener closes. */
const CLOSE_MS = 2000;

export function createWebhookListeners<Route>(answer: WebhookAnswer<Route>, refusals: WebhookRefusals): WebhookListeners<Route> {
  const known = new Map<string, Listener<Route>>();

  function listenerOf({ host, port }: WebhookAddress): Listener<Route> {
    const address = `${host}:${port}`;
    const old = known.get(address);
    if (old !== undefined) return old;
    const routes = new Map<string, Route>();
    const server = createServer((request, response) => void answer(routes, request, response));
    const listening = new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
    });
    const listener = { server, routes, listening };
    known.set(address, listener);
    return listener;
  }

  return {
    async open(address, route) {
      const { host, port, path } = address;
      const listener = listenerOf(address);
      const { server, routes, listening } = listener;
      if (routes.has(path)) throw refusals.pathTaken(address);
      routes.set(path, route);
      const leave = () => {
        routes.delete(path);
        if (routes.size === 0 && known.get(`${host}:${port}`) === listener) known.delete(`${host}:${port}`);
        return routes.size === 0;
      };
      try {
        return { port: await listening, close: async () => void (leave() && (await closeServer(server))) };
      } catch (error) {
        leave();
        throw refusals.cannotListen(address, error);
      }
    },
  };
}

/** The body of a request; undefined when it is larger than `maxBytes`. */
export async function readWebhookBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const limit = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
  await closed;
  clearTimeout(limit);
}
