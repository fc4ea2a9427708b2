import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { type ProtocolErrorBody, validationText } from '../../sdk/protocol/errors.ts';
import type { ConnectClient, ConnectParams } from '../../sdk/protocol/generated/types.ts';
import { requestFrame } from '../../sdk/protocol/generated/validators.js';
import { hasScope, type ProtocolRole } from '../../sdk/protocol/scopes.ts';
import { LIMITS } from '../../sdk/protocol/version.ts';
import type { WsLog } from '../logging/ws-log.ts';
import type { AuthMethod } from './auth.ts';
import type { Peer } from './peer.ts';

/** Who is at the other end, once the handshake accepted it. */
export interface ConnectedClient {
  readonly connId: string;
  readonly role: ProtocolRole;
  readonly scopes: readonly string[];
  readonly info: ConnectClient;
  readonly caps: ReadonlySet<string>;
  /** What a node says that it can do. */
  readonly claims: { readonly commands: readonly string[]; readonly permissions?: Readonly<Record<string, boolean>>; readonly pathEnv?: string };
  /** epoch ms */
  readonly connectedAt: number;
  readonly deviceId?: string;
  /** What let it in. */
  readonly method: AuthMethod;
  readonly peer: Peer;
  /** Refusals by role in a row. */
  roleRefusals: number;
  can(scope: string): boolean;
}

export function connectedClient(params: {
  connId: string;
  role: ProtocolRole;
  scopes: readonly string[];
  connect: ConnectParams;
  deviceId: string | undefined;
  /** Default: what it sent. */
  info?: ConnectClient;
  /** Default: the shared token. */
  method?: AuthMethod;
  peer: Peer;
}): ConnectedClient {
  const held = new Set(params.scopes);
  const { commands = [], permissions, pathEnv } = params.connect;
  return {
    connId: params.connId,
    role: params.role,
    scopes: params.scopes,
    info: params.info ?? params.connect.client,
    caps: new Set(params.connect.caps ?? []),
    claims: { commands, ...(permissions === undefined ? {} : { permissions }), ...(pathEnv === undefined ? {} : { pathEnv }) },
    connectedAt: Date.now(),
    ...(params.deviceId === undefined ? {} : { deviceId: params.deviceId }),
    method: params.method ?? 'token',
    peer: params.peer,
    roleRefusals: 0,
    can: (scope) => hasScope(params.role, held, scope),
  };
}

/** One socket. Before the handshake it has no client and may send one small request. */
export interface Connection {
  readonly id: string;
  readonly nonce: string;
  readonly peer: Peer;
  /** undefined until the handshake accepted it. */
  readonly client: ConnectedClient | undefined;
  /** Aborted when the socket is gone. */
  readonly signal: AbortSignal;
  respond(id: string, payload: unknown): void;
  fail(id: string, error: ProtocolErrorBody, payload?: unknown): void;
  send(bytes: Buffer | string, options?: { binary: boolean }): void;
  bufferedBytes(): number;
  /** The library cuts the socket when the other side does not answer in time. */
  close(code: number, reason: string): void;
}

export interface Request {
  id: string;
  method: string;
  params?: unknown;
}

export interface ConnectionParams {
  socket: WebSocket;
  /** The stream under the socket. */
  raw: Duplex;
  peer: Peer;
  handshakeMs: number;
  /** Answers that wait beyond this close the socket: who does not read may not ask either. */
  maxBufferedBytes: number;
  /** Decides on the first request; the client when it is accepted, undefined when it was refused and the socket closed. */
  handshake(connection: Connection, request: Request): ConnectedClient | undefined;
  dispatch(connection: Connection, client: ConnectedClient, request: Request): void;
  failed(connection: Connection, error: Error): void;
  wsLog?: WsLog | undefined;
  /** Called once, when the socket is gone. */
  closed(connection: Connection): void;
}

/** Close reasons may have at most this many bytes. */
const MAX_REASON_BYTES = 123;

/** Takes over an open socket: sends the challenge, then reads frames until it closes. */
export function openConnection(params: ConnectionParams): Connection {
  const { socket, peer, raw, wsLog } = params;
  const gone = new AbortController();
  let client: ConnectedClient | undefined;
  const deadline = setTimeout(() => socket.close(1000), params.handshakeMs);

  const connection: Connection = {
    id: randomUUID(),
    nonce: randomUUID(),
    peer,
    get client() {
      return client;
    },
    signal: gone.signal,
    respond(id, payload) {
      const body = payload === undefined ? '' : `,"payload":${JSON.stringify(payload)}`;
      answer(id, `{"type":"res","id":${JSON.stringify(id)},"ok":true${body}}`);
    },
    fail(id, error, payload) {
      const body = payload === undefined ? '' : `,"payload":${JSON.stringify(payload)}`;
      answer(id, `{"type":"res","id":${JSON.stringify(id)},"ok":false${body},"error":${JSON.stringify(error)}}`, error);
    },
    send(bytes, options) {
      if (socket.readyState !== socket.OPEN) return;
      if (options === undefined) socket.send(bytes);
      else socket.send(bytes, options);
      if (wsLog?.wantsEvents === true && typeof bytes !== 'string') wsLog.event(connection.id, bytes);
    },
    bufferedBytes: () => socket.bufferedAmount,
    close(code, reason) {
      socket.close(code, cutReason(reason));
    },
  };

  const answer = (id: string, text: string, error?: ProtocolErrorBody) => {
    wsLog?.response(connection.id, id, error, text.length);
    if (socket.bufferedAmount > params.maxBufferedBytes) connection.close(1008, 'slow consumer');
    else connection.send(text);
  };

  const first = (data: RawData, isBinary: boolean) => {
    const bytes = data as Buffer;
    if (bytes.length > LIMITS.maxPreauthPayload) return connection.close(1009, 'preauth payload too large');
    if (isBinary) return connection.close(1008, 'invalid request frame');
    const frame = parse(bytes);
    if (frame === undefined) {
      wsLog?.unreadable(connection.id, 'not JSON', bytes.length);
      return socket.close(1000);
    }
    if (!requestFrame(frame)) return connection.close(1008, 'invalid request frame');
    wsLog?.request(connection.id, frame as Request, bytes.length);
    client = params.handshake(connection, frame as Request);
    if (client !== undefined) clearTimeout(deadline);
  };

  const next = (accepted: ConnectedClient, data: RawData, isBinary: boolean) => {
    const frame = isBinary ? undefined : parse(data as Buffer);
    if (frame === undefined) {
      wsLog?.unreadable(connection.id, isBinary ? 'binary' : 'not JSON', (data as Buffer).length);
      return;
    }
    if (!requestFrame(frame)) {
      accepted.roleRefusals = 0;
      const id = (frame as { id?: unknown } | null)?.id;
      connection.fail(typeof id === 'string' && id !== '' ? id : 'invalid', {
        code: 'INVALID_REQUEST',
        message: `invalid request frame: ${validationText(requestFrame.errors)}`,
      });
      return;
    }
    wsLog?.request(connection.id, frame as Request, (data as Buffer).length);
    params.dispatch(connection, accepted, frame as Request);
  };

  // Answers to requests that came together leave together.
  let isCorked = false;
  const uncork = () => {
    isCorked = false;
    raw.uncork();
  };
  const cork = () => {
    if (isCorked) return;
    isCorked = true;
    raw.cork();
    process.nextTick(uncork);
  };

  socket.on('message', (data, isBinary) => {
    // Whoever is being closed has nothing to ask any more, however long it takes him to go.
    if (socket.readyState !== socket.OPEN) return;
    cork();
    if (client !== undefined) next(client, data, isBinary);
    else first(data, isBinary);
  });
  // A broken or too large frame, or a reset: the library closes the socket with the fitting code, and `close` follows.
  socket.on('error', (error) => params.failed(connection, error));
  socket.on('close', () => {
    clearTimeout(deadline);
    wsLog?.closed(connection.id);
    gone.abort();
    params.closed(connection);
  });

  const challenge = { type: 'event', event: 'connect.challenge', payload: { nonce: connection.nonce, ts: Date.now() } };
  connection.send(JSON.stringify(challenge));
  return connection;
}

/** The object or other value of a text; undefined when it is not JSON. */
function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString()) ?? null;
  } catch {
    return undefined;
  }
}

function cutReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  let end = MAX_REASON_BYTES;
  // Not in the middle of a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString();
}
