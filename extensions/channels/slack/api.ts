import { type RetryPolicy, withRetry } from 'Durar/plugin-sdk/retry';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Logger, WebClient, WebClientOptions } from '@slack/web-api';
import { judge, refusal, SlackError, statusFailure } from './failure.ts';
import { exchange } from './transport.ts';

export interface ApiOptions {
  token: string;
  apiUrl: string;
  timeoutMs: number;
  retry: RetryPolicy;
  /** Told of each try that failed and is made again. */
  onRetry?(error: SlackError, delayMs: number): void;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Of one try; default that of the account. */
  timeoutMs?: number;
  /** Only one try. */
  once?: boolean;
  /** Asked when a request may have been carried out, before it is made again; what it gives stands for the answer. */
  recover?(): Promise<Answer | undefined>;
}

export type Answer = Record<string, unknown>;

/** Slack's Web API under one token. It throws `SlackError` only. */
export interface SlackApi {
  /** Sends one request; tries it again as the account's policy says. */
  call(method: string, payload: Answer, options?: CallOptions): Promise<Answer>;
  /** Sends the content of a file to the address that Slack gave for it. */
  upload(url: string, bytes: Uint8Array, options?: CallOptions): Promise<void>;
  /** Fetches a file that somebody sent. */
  download(url: string, options: { maxBytes: number; signal?: AbortSignal }): Promise<Uint8Array>;
}

/** Longest answer of a method. */
const ANSWER_BYTES = 16 * 1024 * 1024;
/** Files take this many times as long as other requests. */
const FILE_TIME = 5;
const REDIRECTS = 3;

export function createApi({ token, apiUrl, timeoutMs, retry, onRetry }: ApiOptions): SlackApi {
  let loaded: Promise<WebClient> | undefined;
  const client = () => (loaded ??= loadClient(token, apiUrl, timeoutMs));

  /** One request with the account's policy around it. */
  function tried<Value>(request: (attempt: number) => Promise<Value>, { once, signal }: CallOptions): Promise<Value> {
    const policy = once === true ? { ...retry, attempts: 1 } : retry;
    return withRetry(request, { policy, judge, signal, onRetry: ({ error, delayMs }) => onRetry?.(error as SlackError, delayMs) });
  }

  return {
    async call(method, payload, options = {}) {
      const { signal, recover, timeoutMs: limit = timeoutMs } = options;
      const slack = await client();
      let isUnsure = false;
      return tried(async () => {
        const done = isUnsure ? await recover?.() : undefined;
        if (done !== undefined) return done;
        try {
          return await ask(slack, method, payload, { signal, timeoutMs: limit });
        } catch (error) {
          const failure = error as SlackError;
          isUnsure ||= failure.unsure;
          const found = failure.code === 'SLACK_ANSWER_LOST' ? await recovered(recover) : undefined;
          if (found === undefined) throw error;
          return found;
        }
      }, options);
    },
    async upload(url, bytes, options = {}) {
      const init = { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: bytes as Uint8Array<ArrayBuffer> };
      const request = { method: 'upload', timeoutMs: timeoutMs * FILE_TIME, signal: options.signal, maxBytes: ANSWER_BYTES };
      await tried(async () => {
        const answer = await exchange(url, init, request);
        if (answer.status !== 200) throw statusFailure('upload', answer.status, null);
      }, options);
    },
    download(url, { maxBytes, signal }) {
      return tried(() => download(url, { token, apiUrl, maxBytes, timeoutMs: timeoutMs * FILE_TIME, signal }), { signal });
    },
  };
}

/** What became of a request that succeeded; it is not made again, even where nobody can tell. */
async function recovered(recover: CallOptions['recover']): Promise<Answer | undefined> {
  try {
    return await recover?.();
  } catch (error) {
    if (error instanceof SlackError) return undefined;
    throw error;
  }
}

export interface Wire {
  method: string;
  timeoutMs: number;
  signal: AbortSignal | undefined;
  /** What the answer said of waiting. */
  retryAfter?: string | null;
}

/** The library hands no signal and no time limit through to its transport. */
const wires = new AsyncLocalStorage<Wire>();

/** Requests that the library makes within `work` belong to that wire. */
export function inWire<Value>(wire: Wire, work: () => Promise<Value>): Promise<Value> {
  return wires.run(wire, work);
}

/** One request through the library. */
async function ask(client: WebClient, method: string, payload: Answer, facts: Omit<Wire, 'method'>): Promise<Answer> {
  const wire: Wire = { ...facts, method };
  try {
    return (await inWire(wire, () => client.apiCall(method, payload))) as unknown as Answer;
  } catch (error) {
    throw failureOf(method, error, wire.retryAfter);
  }
}

/** What the library throws, in our words: our transport's own error, or Slack's refusal. */
export function failureOf(method: string, error: unknown, retryAfter?: string | null): SlackError {
  if (error instanceof SlackError) return error;
  const { original, data } = (error ?? {}) as { original?: unknown; data?: Answer };
  if (original instanceof SlackError) return original;
  if (data !== undefined) return refusal(method, data, retryAfter);
  return new SlackError('SLACK_LIBRARY', `${method} failed before it was sent`, { retryable: true, hint: 'Please report this with the log of the gateway.' });
}

/** What makes the library's client leave retries, logs and the connection to us. */
export function clientOptions(apiUrl: string, timeoutMs: number): WebClientOptions {
  return {
    slackApiUrl: apiUrl,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    // requests that wait in the library's queue would lose what belongs to them
    maxRequestConcurrency: Number.POSITIVE_INFINITY,
    logger: SILENT,
    async fetch(url, init) {
      const wire = wires.getStore() ?? { method: String(url).slice(apiUrl.length), timeoutMs, signal: undefined };
      const answer = await exchange(String(url), init as RequestInit, { ...wire, maxBytes: ANSWER_BYTES });
      if (answer.status !== 200) throw statusFailure(wire.method, answer.status, null);
      wire.retryAfter = answer.headers.get('retry-after');
      return answer;
    },
  };
}

/** The library is loaded with the first request: an account that is only configured costs nothing. */
async function loadClient(token: string, apiUrl: string, timeoutMs: number): Promise<WebClient> {
  const { WebClient } = await import('@slack/web-api');
  return new WebClient(token, clientOptions(apiUrl, timeoutMs));
}

/** The library's own lines may hold what people wrote. */
export const SILENT = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  setLevel() {},
  setName() {},
  getLevel: () => 'error',
} as unknown as Logger;

interface DownloadOptions {
  token: string;
  apiUrl: string;
  maxBytes: number;
  timeoutMs: number;
  signal: AbortSignal | undefined;
}

/** Goes where Slack sends it, to Slack's own hosts alone; only they see the token. */
async function download(address: string, { token, apiUrl, ...options }: DownloadOptions): Promise<Uint8Array> {
  let url = URL.parse(address);
  for (let hop = 0; hop <= REDIRECTS; hop += 1) {
    if (url === null || !isSlack(url, apiUrl)) throw new SlackError('SLACK_FILE', 'the file is not at an address of Slack');
    const answer = await exchange(url.href, { headers: { authorization: `Bearer ${token}` } }, { method: 'download', ...options });
    const next = answer.headers.get('location');
    if (answer.status >= 300 && next !== null) {
      url = URL.parse(next, url.href);
      continue;
    }
    // who may not see a file is sent to a page where one signs in
    if (/^text\/html/i.test(answer.headers.get('content-type') ?? '') && !/\.html?$/i.test(url.pathname)) break;
    return new Uint8Array(await answer.arrayBuffer());
  }
  throw new SlackError('SLACK_FILE', 'Slack does not hand the file out', { hint: 'Give the app the scope files:read and install it again.' });
}

function isSlack(url: URL, apiUrl: string): boolean {
  if (url.origin === URL.parse(apiUrl)?.origin) return true;
  return url.protocol === 'https:' && url.port === '' && /(?:^|\.)(?:slack\.com|slack-files\.com|slack-edge\.com)$/.test(url.hostname);
}
