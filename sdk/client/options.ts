import type { EventFrame, EventTypes, HelloOk, MethodTypes } from '../protocol/generated/types.ts';
import type { ConnectOptions } from './connect-request.ts';
import type { GatewayState } from './refresh.ts';

/** The part of a browser's `WebSocket` that the client uses. */
export interface ClientSocket {
  onopen: ((event: unknown) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: { message?: string }) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export interface GatewayClientOptions extends ConnectOptions {
  /** `ws://` or `wss://` */
  url: string;
  socketFactory(url: string): ClientSocket | Promise<ClientSocket>;
  /** Every event, in order. */
  onEvent?(event: EventFrame): void;
  /** Events were missed; they are never sent again. A client with few scopes sees gaps where others got events that it may not hear. */
  onGap?(gap: EventGap): void;
  /** The state after a gap or a reconnect. When this is given, the client asks for it by itself, at most once a second. */
  onRefresh?(state: GatewayState): void;
  onConnected?(hello: HelloOk): void;
  /** The connection is gone; with `reconnect` it is being made again. */
  onDisconnected?(close: { code: number; reason: string }): void;
  /** Comes back after a lost connection, after 1 s doubling to 30 s; default false. */
  reconnect?: boolean;
  /** The client does not come back any more: the gateway refuses it for a reason that stays until somebody acts. */
  onStopped?(error: Error): void;
  /** First and longest delay; for tests. */
  backoffMs?: { first: number; longest: number };
  /** How long opening, the challenge and the answer to `connect` may take together; default 10000 ms. */
  connectTimeoutMs?: number;
  /** Default of `request`; 30000 ms. */
  requestTimeoutMs?: number;
}

/** The number that was due, and the one that came. */
export interface EventGap {
  expected: number;
  received: number;
}

export interface RequestOptions {
  timeoutMs?: number;
  /** Skip the `accepted` answer and wait for the final one. */
  expectFinal?: boolean;
  /** Called with the `accepted` answer. */
  onAccepted?(payload: unknown): void;
}

export interface GatewayClient {
  /** Resolves when the gateway said `hello-ok`. Throws `DUR_GATEWAY_UNREACHABLE`, `DUR_GATEWAY_REFUSED`, `DUR_GATEWAY_TIMEOUT`. */
  connect(): Promise<HelloOk>;
  /** Throws `DUR_GATEWAY_RPC` with the error of the gateway as `details`, `DUR_GATEWAY_TIMEOUT`, `DUR_GATEWAY_CLOSED`. */
  request<Name extends keyof MethodTypes>(method: Name, params: MethodTypes[Name]['params'], options?: RequestOptions): Promise<MethodTypes[Name]['result']>;
  /** A method of an extension. */
  request<Name extends string>(
    method: Name extends keyof MethodTypes ? never : Name,
    params?: Record<string, unknown>,
    options?: RequestOptions,
  ): Promise<unknown>;
  /** The events from now on, until the client is closed. A reader that falls behind by more than `limit` events loses the oldest. */
  events(options?: { limit?: number }): AsyncIterableIterator<EventFrame>;
  on<Name extends keyof EventTypes>(event: Name, listener: (payload: EventTypes[Name]) => void): () => void;
  on<Name extends string>(event: Name extends keyof EventTypes ? never : Name, listener: (payload: unknown) => void): () => void;
  /** Health and, where the gateway offers it, who is present. */
  refresh(): Promise<GatewayState>;
  readonly hello: HelloOk | undefined;
  /** Requests under way fail. A second call does nothing. */
  close(): void;
}
