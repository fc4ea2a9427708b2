import type { IncomingMessage, ServerResponse } from 'node:http';
import { reportError } from '../../sdk/errors.ts';
import type { Contribution } from '../kernel/generation.ts';
import type { Access } from './access.ts';
import type { GatewayContext } from './context.ts';
import type { GatewayOptions } from './options.ts';

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Answers what is not a socket: liveness, readiness, the routes of extensions, and 404. */
export function createHttpHandler(context: Pick<GatewayContext, 'source' | 'log' | 'access'>, isStopping: () => boolean): HttpHandler {
  const serve = async (request: IncomingMessage, response: ServerResponse, path: string) => {
    const route = await findRoute(context, path);
    if (route === undefined) return sendJson(response, 404, { error: { code: 'NOT_FOUND', message: `no such path: ${path}` } });
    if (route.value.auth === 'gateway' && !isAuthorized(context.access, request, response)) return;
    const lease = context.source.lease();
    try {
      const isHandled = await route.value.handler(request, response);
      if (!isHandled && !response.headersSent) sendJson(response, 404, { error: { code: 'NOT_FOUND', message: `no such path: ${path}` } });
    } finally {
      lease.release();
    }
  };

  return (request, response) => {
    const path = pathOf(request.url);
    if (path === '/health' || path === '/healthz') return sendJson(response, 200, { ok: true, status: 'live' });
    if (path === '/ready') return sendJson(response, isStopping() ? 503 : 200, { ok: !isStopping(), ready: !isStopping() });
    serve(request, response, path).catch((error) => {
      const report = reportError(error);
      context.log.error('an HTTP route failed', { path, code: report.code, reason: report.message, extension: report.owner.extension });
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { error: { code: report.code, message: 'the route failed; see the log of the gateway' } });
    });
  };
}

/** The most exact route of the path. Those that could fit are loaded, longest path first. */
async function findRoute(context: Pick<GatewayOptions, 'source'>, path: string): Promise<Contribution<'httpRoute'> | undefined> {
  const generation = context.source.current();
  const candidates = generation
    .declared('httpRoute')
    .filter(({ key }) => path === key || path.startsWith(key.endsWith('/') ? key : `${key}/`))
    .sort((a, b) => b.key.length - a.key.length);
  for (const { key } of candidates) {
    const found = await generation.contribution('httpRoute', key);
    if (found !== undefined && (path === key || found.value.match === 'prefix')) return found;
  }
  return undefined;
}

function isAuthorized({ auth, peerOf }: Access, request: IncomingMessage, response: ServerResponse): boolean {
  const result = auth.checkBearer(request.headers.authorization, peerOf(request));
  if (result === 'accepted') return true;
  if (result === 'locked') {
    response.setHeader('retry-after', String(Math.ceil(auth.lockoutMs / 1000)));
    sendJson(response, 429, { error: { code: 'RATE_LIMITED', message: 'too many failed authentication attempts' } });
  } else {
    response.setHeader('www-authenticate', 'Bearer');
    sendJson(response, 401, { error: { code: 'UNAUTHORIZED', message: 'unauthorized' } });
  }
  return false;
}

/** The path alone, decoded separators left as they came. */
function pathOf(url: string | undefined): string {
  return (url ?? '/').split('?', 1)[0] ?? '/';
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(response.req.method === 'HEAD' ? undefined : JSON.stringify(body));
}
