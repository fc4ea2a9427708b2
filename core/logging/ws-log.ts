import type { Logger } from './logger.ts';

export type WsLogStyle = 'auto' | 'compact' | 'full';

/** The traffic of the gateway's sockets as an operator follows it. Normally only errors, slow calls and unreadable frames; nothing of a payload. */
export interface WsLog {
  request(conn: string, frame: { id: string; method: string }, bytes: number): void;
  response(conn: string, id: string, error: { code: string; message: string } | undefined, bytes: number): void;
  event(conn: string, bytes: Uint8Array): void;
  unreadable(conn: string, reason: string, bytes: number): void;
  /** Forgets the calls that a socket left open. */
  closed(conn: string): void;
  /** Events are only worth a call when this is true. */
  readonly wantsEvents: boolean;
}

export interface WsLogOptions {
  log: Logger;
  /** `auto` is `compact`. */
  style?: WsLogStyle | undefined;
  /** All traffic. */
  verbose?: boolean | undefined;
  /** milliseconds */
  slowMs?: number;
  /** milliseconds */
  now?: () => number;
}

const SLOW_MS = 50;
const EVENT_NAME = /^\{"type":"event","event":"((?:[^"\\]|\\.)*)"/;
const HEAD_BYTES = 160;
const MAX_NAME = 80;
const MAX_MESSAGE = 500;

export function createWsLog({ log, style = 'auto', verbose = false, slowMs = SLOW_MS, now = () => performance.now() }: WsLogOptions): WsLog {
  const isFull = verbose && style === 'full';
  const open = new Map<string, Map<string, { method: string; at: number }>>();

  return {
    wantsEvents: isFull,
    request(conn, { id, method }, bytes) {
      let calls = open.get(conn);
      if (calls === undefined) {
        calls = new Map();
        open.set(conn, calls);
      }
      calls.set(id, { method, at: now() });
      if (isFull) log.info(`← req ${clip(method)}`, { conn: short(conn), id: clip(id), bytes });
    },
    response(conn, id, error, bytes) {
      const calls = open.get(conn);
      const call = calls?.get(id);
      calls?.delete(id);
      const ms = call === undefined ? undefined : Math.round(now() - call.at);
      if (!verbose && error === undefined && (ms === undefined || ms < slowMs)) return;
      const what = [isFull ? '→ res' : '⇄ res', error === undefined ? '✓' : '✗', call && clip(call.method), ms === undefined ? undefined : `${ms}ms`];
      const why = error === undefined ? {} : { errorCode: error.code, errorMessage: clip(error.message, MAX_MESSAGE) };
      log.info(what.filter((part) => part !== undefined).join(' '), { ...why, conn: short(conn), id: clip(id), ...(isFull ? { bytes } : {}) });
    },
    event(conn, bytes) {
      if (!isFull) return;
      const [, name = '?'] = EVENT_NAME.exec(Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, HEAD_BYTES)).toString()) ?? [];
      log.info(`→ event ${name}`, { conn: short(conn), bytes: bytes.byteLength });
    },
    unreadable(conn, reason, bytes) {
      log.info(`${isFull ? '←' : '⇄'} parse-error`, { reason, conn: short(conn), bytes });
    },
    closed: (conn) => void open.delete(conn),
  };
}

/** What a client chose may be megabytes long; a line of the log is not. */
function clip(text: string, most = MAX_NAME): string {
  return text.length <= most ? text : `${text.slice(0, most)}…`;
}

/** `76b42f52…29e5` */
function short(conn: string): string {
  return conn.length <= 13 ? conn : `${conn.slice(0, 8)}…${conn.slice(-4)}`;
}
