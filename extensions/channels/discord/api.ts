import { type RetryPolicy, withRetry } from 'Durar/plugin-sdk/retry';
import { setTimeout as sleep } from 'node:timers/promises';
import type { REST } from 'discord.js';
import { type DiscordError, failureOf, judge, rateLimited } from './failure.ts';
import { loadRest } from './library.ts';

export interface ApiOptions {
  token: string;
  apiRoot: string;
  timeoutMs: number;
  retry: RetryPolicy;
  /** Told of each try that failed and is made again. */
  onRetry?(text: string): void;
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Route = `/${string}`;

export interface CallOptions {
  body?: unknown;
  query?: Record<string, string>;
  files?: ReadonlyArray<{ name: string; data: Uint8Array }>;
  signal?: AbortSignal | undefined;
  /** Of one try; default that of the account. */
  timeoutMs?: number;
  /** Only one try. */
  once?: boolean;
}

/** Discord's REST API for one bot. Everything throws `DiscordError` only. */
export interface DiscordApi {
  /** Sends one request; tries it again as the account's policy says. */
  call<Result = unknown>(method: HttpMethod, route: Route, options?: CallOptions): Promise<Result>;
}

/** Files take this many times as long as other requests. */
const FILE_TIME = 5;
/** The library's own limit; ours is shorter. */
const NO_LIMIT_MS = 86_400_000;

/** discord.js sends the requests and keeps within the limits that Discord announces; what a refusal means is decided by our policy. */
export function createApi({ token, apiRoot, timeoutMs, retry, onRetry }: ApiOptions): DiscordApi {
  let loaded: REST | undefined;
  /** Until then Discord refuses everything; epoch ms. */
  let closedUntil = 0;

  /** The library is loaded with the first request: a bot that is only configured costs nothing. */
  function load(): REST {
    const { REST, DefaultRestOptions } = loadRest();
    return new REST({
      api: apiRoot,
      version: '10',
      retries: 0,
      timeout: NO_LIMIT_MS,
      // asked before a request that an announced limit forbids; a refusal never comes so far
      rejectOnRateLimit: () => true,
      async makeRequest(url, init) {
        const answer = await DefaultRestOptions.makeRequest(url, init);
        if (answer.status !== 429) return answer;
        throw refused(new URL(url).pathname, init.method ?? 'GET', answer.headers, await answer.text());
      },
    });
  }

  function refused(path: string, method: string, headers: { get(name: string): string | null; has(name: string): boolean }, body: string): DiscordError {
    const { retry_after: said, global } = readRefusal(body);
    const seconds = said ?? Number(headers.get('retry-after') ?? Number.NaN);
    const afterMs = Number.isFinite(seconds) ? Math.ceil(seconds * 1000) : undefined;
    const isGlobal = global === true || headers.has('x-ratelimit-global');
    if (isGlobal) closedUntil = Date.now() + Math.min(afterMs ?? retry.minDelayMs, retry.maxDelayMs);
    return rateLimited(`${method} ${path.replace(/^.*\/v10(?=\/)/, '')}`, afterMs, isGlobal);
  }

  /** Waits out what Discord announced. No request was made, so this is no try. */
  async function paced<Value>(signal: AbortSignal | undefined, request: () => Promise<Value>): Promise<Value> {
    for (;;) {
      const pause = closedUntil - Date.now();
      if (pause > 0) await sleep(pause, undefined, signal === undefined ? {} : { signal });
      try {
        return await request();
      } catch (error) {
        const { name, timeToReset } = error as { name?: unknown; timeToReset?: unknown };
        if (!String(name).startsWith('RateLimitError') || typeof timeToReset !== 'number') throw error;
        await sleep(Math.min(Math.max(timeToReset, 1), retry.maxDelayMs), undefined, signal === undefined ? {} : { signal });
      }
    }
  }

  return {
    async call<Result>(method: HttpMethod, route: Route, options: CallOptions = {}): Promise<Result> {
      const { body, query, files, signal, once } = options;
      loaded ??= load();
      const rest = loaded;
      const limit = options.timeoutMs ?? (files === undefined ? timeoutMs : timeoutMs * FILE_TIME);
      const request = `${method} ${route}`;
      let timeout: AbortSignal | undefined;
      const send = () => {
        timeout = AbortSignal.timeout(limit);
        // it forgets the token when Discord refuses it once
        rest.setToken(token);
        return rest.request({
          fullRoute: route,
          method: method as never,
          signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
          ...(body === undefined ? {} : { body }),
          ...(query === undefined ? {} : { query: new URLSearchParams(query) }),
          ...(files === undefined ? {} : { files: files.map(({ name, data }) => ({ name, data })) }),
        });
      };
      const attempt = async () => {
        try {
          return (await paced(signal, send)) as Result;
        } catch (error) {
          throw failureOf(error, { request, token, timedOut: timeout?.aborted === true, aborted: signal?.aborted === true });
        }
      };
      return withRetry(attempt, {
        policy: once === true ? { ...retry, attempts: 1 } : retry,
        judge,
        signal,
        onRetry: ({ error, delayMs }) => onRetry?.(`${(error as DiscordError).message}; tried again in ${delayMs} ms`),
      });
    },
  };
}

/** Something on the way may answer with a page instead of JSON. */
function readRefusal(body: string): { retry_after?: number; global?: boolean } {
  try {
    const { retry_after, global } = JSON.parse(body) as { retry_after?: unknown; global?: unknown };
    return { ...(typeof retry_after === 'number' ? { retry_after } : {}), global: global === true };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}
