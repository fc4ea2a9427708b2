import { durarError } from '../errors.ts';
import type { EventFrame, HelloOk, ResponseFrame } from '../protocol/generated/types.ts';
import { connectRequest, isTrustedGateway, keepTokens } from './connect-request.ts';
import { createEventQueue, type EventQueue } from './event-queue.ts';
import { isFinalRefusal, isTokenRefused, mayRetryWithDeviceToken, refused, rpcError } from './failure.ts';
import type { ClientSocket, GatewayClient, GatewayClientOptions, RequestOptions } from './options.ts';
import { createRefresh } from './refresh.ts';

export type { ConnectOptions, DeviceIdentity, StoredToken, TokenStore } from './connect-request.ts';
export type { ClientSocket, EventGap, GatewayClient, GatewayClientOptions, RequestOptions } from './options.ts';
export type { GatewayState } from './refresh.ts';

interface Pending {
  method: string;
  resolve(payload: unknown): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
  options: RequestOptions;
}

const CONNECT_MS = 10_000;
const REQUEST_MS = 30_000;
/** Close codes of this client; browsers allow only those from 3000. */
const CONNECT_FAILED = 4008;
const TICK_TIMEOUT = 4000;
const CLOSED = { code: 1000, reason: 'closed by the client' };
const BACKOFF = { first: 1000, longest: 30_000 };
/** Clients that lost the same gateway do not all come back at once. */
const JITTER = 0.25;

/** Makes a client of one gateway. It runs in a browser as well: socket, key and token store are given to it. */
export function createGatewayClient(options: GatewayClientOptions): GatewayClient {
  const pending = new Map<string, Pending>();
  const queues = new Set<EventQueue>();
  const listeners = new Map<string, Set<(payload: unknown) => void>>();
  const backoff = options.backoffMs ?? BACKOFF;
  let socket: ClientSocket | undefined;
  let hello: HelloOk | undefined;
  let isClosed = false;
  let wasConnected = false;
  let nextId = 1;
  let lastSeq: number | undefined;
  let heardAt = 0;
  let watchdog: ReturnType<typeof setInterval> | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let delay = backoff.first;
  let opened: Promise<HelloOk> | undefined;

  const send = (method: string, params: unknown, requestOptions: RequestOptions): Promise<unknown> => {
    const open = socket;
    if (open === undefined) return Promise.reject(durarError('DUR_GATEWAY_CLOSED', { code: 1006, reason: 'not connected' }));
    const id = String(nextId++);
    const ms = requestOptions.timeoutMs ?? options.requestTimeoutMs ?? REQUEST_MS;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        pending.delete(id);
        reject(durarError('DUR_GATEWAY_TIMEOUT', { method, ms }));
      }, ms);
      pending.set(id, { method, resolve, reject, timer, options: requestOptions });
      open.send(JSON.stringify(params === undefined ? { type: 'req', id, method } : { type: 'req', id, method, params }));
    });
  };

  const answer = (frame: ResponseFrame) => {
    const call = pending.get(frame.id);
    if (call === undefined) return;
    if (frame.ok && call.options.expectFinal === true && isAccepted(frame.payload)) {
      call.options.onAccepted?.(frame.payload);
      return;
    }
    pending.delete(frame.id);
    clearTimeout(call.timer);
    if (frame.ok) call.resolve(frame.payload);
    else call.reject(rpcError(call.method, frame));
  };

  const refresh = createRefresh({
    request: (method) => send(method, {}, {}),
    offers: (method) => hello?.features.methods.includes(method) === true,
    onRefresh: options.onRefresh,
  });

  const deliver = (frame: EventFrame) => {
    if (frame.seq !== undefined) {
      const expected = (lastSeq ?? frame.seq - 1) + 1;
      lastSeq = frame.seq;
      if (frame.seq > expected) {
        options.onGap?.({ expected, received: frame.seq });
        refresh.soon();
      }
    }
    options.onEvent?.(frame);
    for (const listener of listeners.get(frame.event) ?? []) listener(frame.payload);
    for (const queue of queues) queue.push(frame);
  };

  const lost = (close: { code: number; reason: string }) => {
    const wasUp = hello !== undefined;
    socket = undefined;
    hello = undefined;
    lastSeq = undefined;
    clearInterval(watchdog);
    refresh.cancel();
    for (const call of pending.values()) {
      clearTimeout(call.timer);
      call.reject(durarError('DUR_GATEWAY_CLOSED', close));
    }
    pending.clear();
    if (!wasUp) return;
    options.onDisconnected?.(close);
    if (isClosed || options.reconnect !== true) endQueues();
    else again();
  };

  const again = () => {
    retry = setTimeout(
      () => {
        delay = Math.min(delay * 2, backoff.longest);
        open().catch((error: unknown) => {
          if (isClosed) return;
          if (!isFinalRefusal(error)) return again();
          endQueues(error);
          options.onStopped?.(error as Error);
        });
      },
      delay * (1 + Math.random() * JITTER),
    );
  };

  const endQueues = (error?: unknown) => {
    for (const queue of queues) queue.end(error);
    queues.clear();
  };

  /** One attempt: socket, challenge, `connect`, `hello-ok`. */
  const attempt = async (withDeviceToken: boolean): Promise<HelloOk> => {
    if (isClosed) throw durarError('DUR_GATEWAY_CLOSED', CLOSED);
    const opening = await options.socketFactory(options.url);
    if (isClosed) {
      opening.onerror = () => {};
      opening.close();
      throw durarError('DUR_GATEWAY_CLOSED', CLOSED);
    }
    const ms = options.connectTimeoutMs ?? CONNECT_MS;
    return await new Promise<HelloOk>((resolve, reject) => {
      let failure = '';
      let isOpen = false;
      const fail = (error: Error) => {
        clearTimeout(timer);
        opening.onclose = null;
        opening.onmessage = null;
        opening.close(CONNECT_FAILED, 'connect failed');
        lost({ code: CONNECT_FAILED, reason: 'connect failed' });
        reject(error);
      };
      const timer = setTimeout(() => fail(durarError('DUR_GATEWAY_TIMEOUT', { method: 'connect', ms })), ms);
      const greet = async (nonce: string) => {
        const params = await connectRequest(options, nonce, withDeviceToken);
        const welcome = (await send('connect', params, { timeoutMs: ms })) as HelloOk;
        clearTimeout(timer);
        hello = welcome;
        delay = backoff.first;
        watch(welcome.policy.tickIntervalMs);
        keepTokens(options, params, welcome);
        options.onConnected?.(welcome);
        if (wasConnected) refresh.soon();
        wasConnected = true;
        return welcome;
      };
      opening.onopen = () => {
        isOpen = true;
      };
      opening.onerror = (event) => {
        failure = event.message ?? '';
      };
      opening.onmessage = (event) => {
        heardAt = Date.now();
        const frame = parse(event.data);
        if (frame === undefined) return;
        if (frame.type === 'res') return answer(frame);
        if (frame.event !== 'connect.challenge' || hello !== undefined) return deliver(frame);
        const nonce = (frame.payload as { nonce?: unknown } | null | undefined)?.nonce;
        if (typeof nonce !== 'string' || nonce === '') return fail(durarError('DUR_GATEWAY_REFUSED', { reason: 'connect challenge missing nonce' }));
        greet(nonce).then(resolve, (error: unknown) => {
          if (isTokenRefused(error)) options.tokens?.remove(options.role ?? 'operator');
          fail(refused(error));
        });
      };
      opening.onclose = ({ code, reason }) => {
        clearTimeout(timer);
        lost({ code, reason });
        if (isOpen) reject(durarError('DUR_GATEWAY_CLOSED', { code, reason }));
        else reject(durarError('DUR_GATEWAY_UNREACHABLE', { url: options.url }, failure === '' ? {} : { cause: new Error(failure) }));
      };
      socket = opening;
    });
  };

  const open = (): Promise<HelloOk> => {
    opened ??= attempts().finally(() => {
      opened = undefined;
    });
    return opened;
  };

  const attempts = async (): Promise<HelloOk> => {
    try {
      return await attempt(false);
    } catch (error) {
      const mayRetry = mayRetryWithDeviceToken(error) && isTrustedGateway(options);
      if (!mayRetry || options.tokens?.load(options.role ?? 'operator') === undefined) throw error;
      return await attempt(true);
    }
  };

  const watch = (tickIntervalMs: number) => {
    clearInterval(watchdog);
    watchdog = setInterval(() => {
      if (Date.now() - heardAt > 2 * tickIntervalMs) socket?.close(TICK_TIMEOUT, 'tick timeout');
    }, tickIntervalMs);
    (watchdog as { unref?: () => void }).unref?.();
  };

  return {
    connect: open,
    request: (method: string, params?: unknown, requestOptions: RequestOptions = {}) => send(method, params, requestOptions) as Promise<never>,
    events({ limit = 1000 } = {}) {
      const queue = createEventQueue(limit, () => queues.delete(queue));
      queues.add(queue);
      return queue.iterator;
    },
    on(event: string, listener: (payload: never) => void) {
      const set = listeners.get(event) ?? new Set();
      listeners.set(event, set.add(listener as (payload: unknown) => void));
      return () => void set.delete(listener as (payload: unknown) => void);
    },
    refresh: refresh.now,
    get hello() {
      return hello;
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      clearTimeout(retry);
      socket?.close(1000, '');
      lost(CLOSED);
      endQueues();
    },
  };
}

function parse(data: unknown): ResponseFrame | EventFrame | undefined {
  if (typeof data !== 'string') return undefined;
  try {
    const frame = JSON.parse(data) as ResponseFrame | EventFrame;
    return frame.type === 'res' || frame.type === 'event' ? frame : undefined;
  } catch {
    return undefined;
  }
}

function isAccepted(payload: unknown): boolean {
  return typeof payload === 'object' && payload !== null && 'status' in payload && payload.status === 'accepted';
}
