import type { FileHandle } from 'node:fs/promises';
import { TextDecoder } from 'node:util';

export interface LineRange {
  /** First line, from 1. */
  from: number;
  maxLines: number;
  maxChars: number;
}

export interface Lines {
  text: string;
  /** Lines in `text`. */
  count: number;
  /** Number of the first line after it; undefined at the end of the file. */
  next?: number;
  /** The last line of `text` is a beginning only. */
  cutLine: boolean;
}

const CHUNK_BYTES = 64 * 1024;

/** Reads lines without holding more than what is returned. Throws when the file is not UTF-8 text. */
export async function readLines(handle: FileHandle, range: LineRange, signal?: AbortSignal): Promise<Lines> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let text = '';
  let line = 1;
  let count = 0;
  let position = 0;
  /** Characters of the present line were kept. */
  let inLine = false;
  for (;;) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, position);
    position += bytesRead;
    const isEnd = bytesRead === 0;
    const chunk = decodeText(decoder, buffer.subarray(0, bytesRead), !isEnd);
    let at = 0;
    while (at < chunk.length) {
      const newline = chunk.indexOf('\n', at);
      const stop = newline === -1 ? chunk.length : newline + 1;
      if (line >= range.from) {
        if (count === range.maxLines && !inLine) return { text, count, next: line, cutLine: false };
        if (!inLine) count += 1;
        inLine = newline === -1;
        const piece = chunk.slice(at, stop);
        const free = range.maxChars - text.length;
        if (piece.length > free) return full(text, piece.slice(0, free), line, count, text.endsWith('\n') || text === '');
        text += piece;
      }
      if (newline !== -1) line += 1;
      at = stop;
    }
    if (isEnd) return { text, count, cutLine: false };
  }
}

/** The limit of characters is reached: whole lines are kept, unless the first one alone is too long. */
function full(text: string, piece: string, line: number, count: number, atLineStart: boolean): Lines {
  const kept = atLineStart ? text : text.slice(0, text.lastIndexOf('\n') + 1);
  if (kept !== '') return { text: kept, count: count - 1, next: line, cutLine: false };
  return { text: text + piece, count, next: line + 1, cutLine: true };
}

function decodeText(decoder: TextDecoder, bytes: Buffer, stream: boolean): string {
  if (bytes.includes(0)) throw new NotText();
  try {
    return decoder.decode(bytes, { stream });
  } catch (error) {
    if (error instanceof TypeError) throw new NotText({ cause: error });
    throw error;
  }
}

export class NotText extends Error {
  constructor(options?: ErrorOptions) {
    super('not UTF-8 text', options);
  }
}
