import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorCode } from '../../sdk/errors.ts';
import type { LogsTailParams, LogsTailResult } from '../../sdk/protocol/generated/types.ts';

const LINES = 500;
const BYTES = 250_000;
const NEWLINE = 0x0a;
const DAILY = /^Durar-\d{4}-\d{2}-\d{2}\.log$/;

/** The last lines of a log file, or those behind a cursor. A line that is still being written is left for the next call. */
export async function tailLog(file: string, { cursor, limit = LINES, maxBytes = BYTES }: LogsTailParams): Promise<LogsTailResult> {
  const path = await newest(file);
  const handle = await open(path, 'r').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return { file: path, cursor: 0, size: 0, lines: [], truncated: false, reset: false };
  try {
    const { size } = await handle.stat();
    const isFollowing = cursor !== undefined && cursor <= size && size - cursor <= maxBytes;
    const start = isFollowing ? cursor : Math.max(0, size - maxBytes);
    const window = await readRange(handle, start, size);
    const isLineStart = isFollowing || start === 0 || (await readRange(handle, start - 1, start))[0] === NEWLINE;
    const lines = linesOf(window, isLineStart ? 0 : window.indexOf(NEWLINE) + 1);
    // Behind a cursor nothing is skipped: what exceeds the limit comes with the next call.
    const shown = isFollowing ? lines.slice(0, limit) : lines.slice(-limit);
    // A line that fills the whole window is passed over, or the cursor would never move.
    const rest = lines.length === 0 && window.length >= maxBytes ? window.length : 0;
    return {
      file: path,
      cursor: start + (shown.at(-1)?.end ?? rest),
      size,
      lines: shown.flatMap(({ begin, end }) => (end - begin > 1 ? [window.toString('utf8', begin, end - 1)] : [])),
      truncated: (start > 0 && !isFollowing) || shown.length < lines.length,
      reset: cursor !== undefined && !isFollowing,
    };
  } finally {
    await handle.close();
  }
}

async function readRange(handle: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.alloc(to - from);
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, from);
  return bytes.subarray(0, bytesRead);
}

/** The whole lines from an offset on; `end` is behind the line break. */
function linesOf(bytes: Buffer, from: number): Array<{ begin: number; end: number }> {
  const lines: Array<{ begin: number; end: number }> = [];
  for (let begin = from; ; ) {
    const at = bytes.indexOf(NEWLINE, begin);
    if (at < 0) return lines;
    lines.push({ begin, end: at + 1 });
    begin = at + 1;
  }
}

/** The file itself; before the first line of a day the last daily file beside it. */
async function newest(file: string): Promise<string> {
  if (!DAILY.test(basename(file)) || (await exists(file))) return file;
  const names = await readdir(dirname(file)).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const last = names
    .filter((name) => DAILY.test(name))
    .sort()
    .at(-1);
  return last === undefined ? file : join(dirname(file), last);
}

async function exists(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
