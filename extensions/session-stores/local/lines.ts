import { read as readCallback } from 'node:fs';
import { promisify } from 'node:util';

const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

const readAt = promisify(readCallback);

/** One line of a file without its newline. */
export interface Line {
  /** Valid until the next batch of lines is asked for. */
  bytes: Buffer;
  /** Where it starts in the file. */
  offset: number;
  /** false: the last line, which has no newline. */
  terminated: boolean;
}

/** The lines of an open file, a chunk's worth at a time: memory holds a chunk and the longest line, never the file. */
export async function* readLines(fd: number): AsyncGenerator<Line[]> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  /** Parts of a line that began in an earlier chunk. */
  let begun: Buffer[] = [];
  let offset = 0;
  for (let position = 0; ; ) {
    const { bytesRead } = await readAt(fd, chunk, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) break;
    const data = chunk.subarray(0, bytesRead);
    const lines: Line[] = [];
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end !== -1; end = data.indexOf(NEWLINE, start)) {
      const part = data.subarray(start, end);
      lines.push({ bytes: begun.length === 0 ? part : Buffer.concat([...begun, part]), offset, terminated: true });
      begun = [];
      start = end + 1;
      offset = position + start;
    }
    if (start < bytesRead) begun.push(Buffer.from(data.subarray(start)));
    position += bytesRead;
    if (lines.length > 0) yield lines;
  }
  if (begun.length > 0) yield [{ bytes: Buffer.concat(begun), offset, terminated: false }];
}

/** Reads exactly `[start, end)`; throws when the file ends before. */
export async function readRange(fd: number, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(end - start);
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await readAt(fd, bytes, done, bytes.length - done, start + done);
    if (bytesRead === 0) throw new Error(`the file ends at byte ${start + done}, before ${end}`);
    done += bytesRead;
  }
  return bytes;
}
