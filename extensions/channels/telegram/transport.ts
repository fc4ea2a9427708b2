import { errorCode } from 'Durar/plugin-sdk/core';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { TOO_LARGE, TransportError } from './failure.ts';

export interface WireRequest {
  method?: string;
  headers?: Record<string, string>;
  body?: string | AsyncIterable<Uint8Array>;
  signal: AbortSignal;
  /** Longest body taken. */
  maxBytes: number;
}

export interface WireAnswer {
  status: number;
  body: Buffer;
}

/** Sends one HTTP request. Unlike `fetch` it goes through a proxy and says whether an answer had begun when the connection broke. */
export type Transport = (url: string, request: WireRequest) => Promise<WireAnswer>;

/** Connections are kept open between requests; `proxy` is the address of an HTTP proxy. */
export function createTransport(proxy?: string): Transport {
  const options = { keepAlive: true, ...(proxy === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } }) };
  const agents = { http: new HttpAgent(options), https: new HttpsAgent(options) };

  return (url, { method = 'GET', headers = {}, body, signal, maxBytes }) =>
    new Promise((resolve, reject) => {
      const isTls = url.startsWith('https:');
      const send = isTls ? httpsRequest : httpRequest;
      let status: number | undefined;
      const request = send(url, { method, headers, signal, agent: isTls ? agents.https : agents.http }, (answer) => {
        status = answer.statusCode;
        readBody(answer, maxBytes).then((read) => resolve({ status: answer.statusCode ?? 0, body: read }), reject);
      });
      request.on('error', (error) => reject(new TransportError(errorCode(error) ?? 'unknown reason', status)));
      if (body === undefined || typeof body === 'string') {
        request.end(body);
        return;
      }
      const source = Readable.from(body, { objectMode: false });
      source.on('error', (error) => request.destroy(error));
      request.on('close', () => source.destroy());
      source.pipe(request);
    });
}

async function readBody(answer: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of answer as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > maxBytes) {
        answer.destroy();
        throw new TransportError(TOO_LARGE, answer.statusCode);
      }
      parts.push(part);
    }
  } catch (error) {
    throw error instanceof TransportError ? error : new TransportError(errorCode(error) ?? 'unknown reason', answer.statusCode);
  }
  return Buffer.concat(parts);
}
