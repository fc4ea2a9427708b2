import { errorCode } from 'Durar/plugin-sdk/core';
import { closeSync, constants, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { entryLine, type Header, headerLine, parseLine } from './entry-line.ts';
import { flaw } from './layout.ts';
import { readLines } from './lines.ts';

const BUFFER_CHARS = 1024 * 1024;

/** Now, as part of a file name. */
export function fileTimestamp(): string {
  return new Date().toISOString().replaceAll(':', '-');
}

/** Keeps a copy beside the file (sharing its blocks where the file system can) and returns its path. */
export async function keepCopy(file: string, kind: 'torn' | 'damaged'): Promise<string> {
  const name = `${file}.${kind}.${fileTimestamp()}`;
  for (let count = 1; ; count++) {
    const copy = count === 1 ? name : `${name}-${count}`;
    try {
      await copyFile(file, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      return copy;
    } catch (error) {
      // an earlier copy of the same millisecond
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
}

/** Writes all of it; one system call unless the kernel takes less. */
export function writeAll(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

/**
 * Writes the transcript anew with its good lines only: foreign lines and repeated ids are left out, an entry whose parent is missing
 * continues from the entry before it. The file changes in one step. The caller keeps a copy before and opens the file again after.
 */
export async function rewriteTranscript(file: string, fd: number, header: Header): Promise<void> {
  const fresh = `${file}.new`;
  const out = openSync(fresh, 'w', 0o600);
  try {
    await copyGoodLines(fd, out, header);
    fsyncSync(out);
    renameSync(fresh, file);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  } finally {
    closeSync(out);
  }
}

async function copyGoodLines(fd: number, out: number, header: Header): Promise<void> {
  const seen = new Set<string>();
  let previous: string | null = null;
  let pending = headerLine(header);
  for await (const lines of readLines(fd)) {
    for (const line of lines) {
      const content = parseLine(line.bytes);
      if (content.kind !== 'entry' || seen.has(content.entry.id)) continue;
      const { parentId: _lost, ...entry } = content.entry;
      pending += flaw(seen, content.entry) === undefined ? `${line.bytes.toString('utf8')}\n` : entryLine(entry, previous, content.more);
      seen.add(entry.id);
      previous = entry.id;
    }
    if (pending.length < BUFFER_CHARS) continue;
    writeAll(out, Buffer.from(pending));
    pending = '';
  }
  writeAll(out, Buffer.from(pending));
}
