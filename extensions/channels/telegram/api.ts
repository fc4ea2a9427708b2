import { type RetryPolicy, withRetry } from 'Durar/plugin-sdk/retry';
import type { InputFile, RawApi } from 'grammy';
import { failureOf, judge, TelegramError } from './failure.ts';
import { createTransport, type Transport } from './transport.ts';

export interface ApiOptions {
  token: string;
  apiRoot: string;
  proxy?: string;
  timeoutMs: number;
  retry: RetryPolicy;
  /** Told of each try that failed and is made again. */
  onRetry?(error: TelegramError, delayMs: number): void;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Of one try; default that of the account. */
  timeoutMs?: number;
  /** Only one try. */
  once?: boolean;
  /** Told of each try that failed and may have been carried out. */
  onUncertain?: (() => void) | undefined;
}

/** Methods without parameters. */
type PlainMethod = 'getMe' | 'getWebhookInfo';
export type Method = Exclude<keyof RawApi, 'toString'>;
export type Payload<Name extends Method> = Name extends PlainMethod ? object : Parameters<RawApi[Name]>[0] & object;
export type Result<Name extends Method> = Awaited<ReturnType<RawApi[Name]>>;

/** The Bot API of one bot. Every method throws `TelegramError` only. */
export interface TelegramApi {
  /** Sends one request; tries it again as the account's policy says. */
  call<Name extends Method>(method: Name, payload: Payload<Name>, options?: CallOptions): Promise<Result<Name>>;
  /** Fetches a file that somebody sent. */
  download(fileId: string, options: { maxBytes: number; signal?: AbortSignal }): Promise<Uint8Array>;
  /** A file to send. It may be sent more than once. */
  file(bytes: Uint8Array, name: string): Promise<InputFile>;
}

/** Longest answer of a method. */
const ANSWER_BYTES = 32 * 1024 * 1024;
/** The library's own limit; ours is shorter. */
const NO_LIMIT_SECONDS = 86_400;
/** Files take this many times as long as other requests. */
const FILE_TIME = 5;

export function createApi(options: ApiOptions): TelegramApi {
  const { token, timeoutMs, retry } = options;
  const apiRoot = options.apiRoot.replace(/\/+$/, '');
  const transport = createTransport(options.proxy);
  let loaded: Promise<Grammy> | undefined;
  const grammy = () => (loaded ??= loadGrammy(token, apiRoot, transport));

  /** One request with the account's policy around it; what it throws is translated. */
  function tried<Value>(method: string, request: (signal: AbortSignal) => Promise<Value>, { signal, once, onUncertain, ...call }: CallOptions): Promise<Value> {
    const limit = call.timeoutMs ?? timeoutMs;
    return withRetry(
      async () => {
        const timeout = AbortSignal.timeout(limit);
        try {
          return await request(signal === undefined ? timeout : AbortSignal.any([timeout, signal]));
        } catch (error) {
          const failure = failureOf(error, { method, token, timedOut: timeout.aborted, aborted: signal?.aborted === true });
          if (failure.open) onUncertain?.();
          throw failure;
        }
      },
      {
        policy: once === true ? { ...retry, attempts: 1 } : retry,
        judge,
        signal,
        onRetry: ({ error, delayMs }) => options.onRetry?.(error as TelegramError, delayMs),
      },
    );
  }

  return {
    async call<Name extends Method>(method: Name, payload: Payload<Name>, call: CallOptions = {}): Promise<Result<Name>> {
      const { raw } = await grammy();
      return (await tried(
        method,
        // grammY gives methods without parameters no payload
        (signal) => (PLAIN_METHODS.has(method) ? raw[method]?.(signal) : raw[method]?.(payload, signal)) ?? Promise.reject(new Error(`no method ${method}`)),
        call,
      )) as Result<Name>;
    },
    async download(fileId, { maxBytes, signal }) {
      const file = await this.call('getFile', { file_id: fileId }, { signal });
      if (file.file_path === undefined) throw new TelegramError('TELEGRAM_FILE', 'getFile: Telegram does not hand the file out');
      if ((file.file_size ?? 0) > maxBytes) throw tooLarge(maxBytes);
      const url = `${apiRoot}/file/bot${token}/${file.file_path.split('/').map(encodeURIComponent).join('/')}`;
      const fetched = async (inner: AbortSignal) => {
        const { status, body } = await transport(url, { signal: inner, maxBytes });
        if (status !== 200) throw Object.assign(new Error('no file'), { error_code: status, description: 'the file cannot be fetched' });
        return body;
      };
      return tried('download', fetched, { signal, timeoutMs: timeoutMs * FILE_TIME });
    },
    async file(bytes, name) {
      const { InputFile } = await grammy();
      return new InputFile(bytes, name.replaceAll(/["\r\n;]/g, '_'));
    },
  };
}

/** Time for a request that carries a file. */
export function fileTimeout(timeoutMs: number): number {
  return timeoutMs * FILE_TIME;
}

const PLAIN_METHODS: ReadonlySet<string> = new Set<PlainMethod>(['getMe', 'getWebhookInfo']);

interface Grammy {
  raw: Record<string, ((...args: unknown[]) => Promise<unknown>) | undefined>;
  InputFile: typeof InputFile;
}

/** What grammY's client asks of `fetch`. */
interface WireOptions {
  method: string;
  headers: Record<string, string>;
  body: string | AsyncIterable<Uint8Array>;
  signal: AbortSignal;
}

/** The library is loaded with the first request: a bot that is only configured costs nothing. Its build without `node-fetch`, as we bring the transport. */
async function loadGrammy(token: string, apiRoot: string, transport: Transport): Promise<Grammy> {
  const { Api, InputFile } = await import('grammy/web');
  const fetch = async (url: string, { method, headers, body, signal }: WireOptions) => {
    const { connection: _, ...sent } = headers;
    const answer = await transport(url, { method, headers: sent, body, signal, maxBytes: ANSWER_BYTES });
    return { json: async () => readAnswer(answer.status, answer.body.toString('utf8')) };
  };
  const { raw } = new Api(token, { apiRoot, timeoutSeconds: NO_LIMIT_SECONDS, fetch: fetch as unknown as typeof globalThis.fetch });
  return { raw: raw as unknown as Grammy['raw'], InputFile };
}

/** A proxy on the way may answer with a page instead of JSON. */
function readAnswer(status: number, text: string): unknown {
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer === 'object' && answer !== null && 'ok' in answer) return answer;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { ok: false, error_code: status, description: `the answer does not come from a Bot API server` };
}

export function tooLarge(maxBytes: number): TelegramError {
  return new TelegramError('TELEGRAM_FILE_SIZE', `the file is larger than ${Math.round((maxBytes / 1024 / 1024) * 10) / 10} MB`, {
    hint: 'Raise channels.telegram.mediaMaxMb, or send a smaller file.',
  });
}
