/** A WebSocket client made of bytes: it can do what a proper one never does (split a frame anywhere, send broken ones, stop reading). */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export interface RawSocket {
  readonly tcp: Socket;
  /** Resolves when the bytes left. */
  write(bytes: Buffer): Promise<void>;
  /** The next text from the gateway; undefined when the connection ended before one came. */
  next(): Promise<string | undefined>;
  /** The close frame, or undefined when the connection ended without one. */
  readonly ended: Promise<{ code: number; reason: string } | undefined>;
  destroy(): void;
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** One frame as a client sends it. */
export function frame(payload: Buffer | string, options: { opcode?: number; fin?: boolean; masked?: boolean; claim?: number } = {}): Buffer {
  const { opcode = OPCODE.text, fin = true, masked = true } = options;
  const body = Buffer.from(payload);
  const length = options.claim ?? body.length;
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + size);
  head[0] = (fin ? 0x80 : 0) | opcode;
  head[1] = (masked ? 0x80 : 0) | (size === 0 ? length : size === 2 ? 126 : 127);
  if (size === 2) head.writeUInt16BE(length, 2);
  if (size === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([head, body]);
  const mask = randomBytes(4);
  for (let at = 0; at < body.length; at += 1) body[at] = (body[at] ?? 0) ^ (mask[at & 3] ?? 0);
  return Buffer.concat([head, mask, body]);
}

/** Opens a socket and does the upgrade. */
export async function openRaw(port: number): Promise<RawSocket> {
  const tcp = connect(port, '127.0.0.1');
  const texts: string[] = [];
  const readers: Array<(text: string | undefined) => void> = [];
  const ended = Promise.withResolvers<{ code: number; reason: string } | undefined>();
  const upgraded = Promise.withResolvers<void>();
  let buffer = Buffer.alloc(0);
  let isOpen = false;
  let isOver = false;
  let close: { code: number; reason: string } | undefined;

  const take = () => {
    if (!isOpen) {
      const end = buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      const status = buffer.subarray(0, end).toString().split('\r\n', 1)[0] ?? '';
      buffer = buffer.subarray(end + 4);
      isOpen = true;
      if (status.includes(' 101 ')) upgraded.resolve();
      else upgraded.reject(new Error(status));
    }
    for (;;) {
      const [first = 0, second = 0] = buffer;
      const short = second & 127;
      const size = short < 126 ? 0 : short === 126 ? 2 : 8;
      if (buffer.length < 2 + size) return;
      const length = size === 0 ? short : size === 2 ? buffer.readUInt16BE(2) : Number(buffer.readBigUInt64BE(2));
      if (buffer.length < 2 + size + length) return;
      const body = buffer.subarray(2 + size, 2 + size + length);
      buffer = buffer.subarray(2 + size + length);
      const opcode = first & 15;
      if (opcode === OPCODE.close) close = { code: body.length < 2 ? 1005 : body.readUInt16BE(0), reason: body.subarray(2).toString() };
      if (opcode !== OPCODE.text) continue;
      const reader = readers.shift();
      if (reader === undefined) texts.push(body.toString());
      else reader(body.toString());
    }
  };
  tcp.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    take();
  });
  tcp.on('error', () => tcp.destroy());
  tcp.on('close', () => {
    isOver = true;
    upgraded.reject(new Error('closed before the upgrade'));
    ended.resolve(close);
    for (const reader of readers.splice(0)) reader(undefined);
  });
  const key = randomBytes(16).toString('base64');
  tcp.write(
    `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  tcp.setNoDelay(true);
  await upgraded.promise;
  return {
    tcp,
    write: (bytes) =>
      new Promise((resolve) => {
        if (isOver || !tcp.writable) resolve();
        else tcp.write(bytes, () => resolve());
      }),
    next() {
      const text = texts.shift();
      if (text !== undefined || isOver) return Promise.resolve(text);
      return new Promise((resolve) => readers.push(resolve));
    },
    ended: ended.promise,
    destroy: () => tcp.destroy(),
  };
}
