import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { ReadEntry } from 'tar';
import { durarError, errorText } from '../../sdk/errors.ts';

/** What one extension may unpack to, its dependencies not counted. */
export const LIMITS = { files: 20_000, bytes: 256 * 1024 * 1024 } as const;

export interface ArchiveDigest {
  integrity: string;
  shasum: string;
}

/** The two digests that npm records of a tarball. */
export async function digestArchive(file: string): Promise<ArchiveDigest> {
  const sha512 = createHash('sha512');
  const sha1 = createHash('sha1');
  for await (const chunk of createReadStream(file)) {
    sha512.update(chunk);
    sha1.update(chunk);
  }
  return { integrity: `sha512-${sha512.digest('base64')}`, shasum: sha1.digest('hex') };
}

/**
 * Unpacks a tar archive (gzipped or not) into an existing folder. A single top folder, as `npm pack` makes it, is dropped. Everything is
 * checked before the first file is written; `file` must not change meanwhile. Throws `DUR_INSTALL_ARCHIVE`.
 */
export async function extractArchive(file: string, into: string, limits: { files: number; bytes: number } = LIMITS): Promise<void> {
  const tar = await import('tar');
  const refuse = (reason: string, cause?: unknown) => durarError('DUR_INSTALL_ARCHIVE', { file, reason }, { cause, owner: { file } });
  const tops = new Set<string>();
  let isFlat = false;
  let files = 0;
  let bytes = 0;
  let problem: string | undefined;

  const inspect = (entry: ReadEntry): string | undefined => {
    files += 1;
    bytes += entry.size;
    if (files > limits.files) return `it holds more than ${limits.files} files`;
    if (bytes > limits.bytes) return `it unpacks to more than ${Math.floor(limits.bytes / 1024 / 1024)} MB`;
    const isFolder = entry.type === 'Directory' || entry.type === 'GNUDumpDir';
    if (!isFolder && entry.type !== 'File' && entry.type !== 'OldFile' && entry.type !== 'ContiguousFile')
      return `'${entry.path}' is not a plain file (${entry.type})`;
    const parts = entry.path.split(/[\\/]/).filter((part) => part !== '' && part !== '.');
    if (/^[\\/]|^[A-Za-z]:/.test(entry.path) || parts.includes('..')) return `'${entry.path}' leads out of the archive`;
    if (parts[0] !== undefined) tops.add(parts[0]);
    if (!isFolder && parts.length === 1) isFlat = true;
    return undefined;
  };

  const stop = new AbortController();
  const parser = new tar.Parser({
    strict: true,
    onReadEntry(entry) {
      problem ??= inspect(entry);
      if (problem !== undefined) stop.abort();
      entry.resume();
    },
  });
  try {
    await pipeline(createReadStream(file), parser as unknown as NodeJS.WritableStream, { signal: stop.signal });
  } catch (cause) {
    if (problem === undefined) throw refuse(errorText(cause), cause);
  }
  if (problem !== undefined) throw refuse(problem);
  if (files === 0) throw refuse('it is empty');
  await tar.extract({
    file,
    cwd: into,
    strip: tops.size === 1 && !isFlat ? 1 : 0,
    strict: true,
    noMtime: true,
    filter(_path, entry) {
      // The set-id bits and everybody else's write permission stay in the archive.
      if ('type' in entry) entry.mode = entry.type === 'Directory' ? 0o755 : ((entry.mode ?? 0) & 0o755) | 0o600;
      return true;
    },
  });
}
