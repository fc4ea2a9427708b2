import { durarError, errorCode, errorText, type NewEntry, type PluginLogger, type StoredEntry } from 'Durar/plugin-sdk/core';
import { closeSync, fchmodSync, fstatSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { entryLine, type Header, headerLine, TRANSCRIPT_VERSION } from './entry-line.ts';
import { addEntry, type Layout, scanLayout } from './layout.ts';
import { readRange } from './lines.ts';
import { keepCopy, rewriteTranscript, writeAll } from './repair.ts';

const WINDOW_BYTES = 4 * 1024 * 1024;

/** One open transcript. `append` is synchronous and all or none; only one process may have it open. */
export interface Transcript {
  readonly lastSeq: number;
  readonly lastTimestamp: string | undefined;
  /** After a `DUR_STATE_UNWRITABLE` the transcript must be closed and opened again. */
  append(entries: NewEntry[]): Array<{ id: string; seq: number }>;
  read(options: { fromSeq?: number; limit?: number }): Promise<{ entries: StoredEntry[]; lastSeq: number }>;
  close(): void;
}

export interface TranscriptOptions {
  file: string;
  /** Written when the file has none. */
  header: Header;
  log: PluginLogger;
}

/** Opens or creates the file, repairing what a crash or another program did to it after a copy was kept. */
export async function openTranscript(options: TranscriptOptions): Promise<Transcript> {
  const { fd, layout } = await openSound(options, 0);
  return createTranscript(options.file, fd, layout);
}

/** Creates the file of a new session with its header line. */
export function createTranscriptFile(file: string, header: Header): void {
  const fd = openPrivate(file);
  try {
    if (fstatSync(fd).size === 0) writeAll(fd, Buffer.from(headerLine(header)));
  } catch (error) {
    throw unwritable(file, error);
  } finally {
    closeSync(fd);
  }
}

function createTranscript(file: string, fd: number, layout: Layout): Transcript {
  /** Every entry continues the one before it, so that the path from the root is the whole file. */
  let linear = layout.parents.every((parent, index) => parent === index);
  let branch: number[] | undefined;

  const path = (): number[] => {
    if (branch !== undefined) return branch;
    branch = [];
    for (let seq = layout.offsets.length; seq > 0; seq = layout.parents[seq - 1] ?? 0) branch.push(seq);
    return branch.reverse();
  };

  const known = (entries: NewEntry[]): Array<{ id: string; seq: number }> => {
    const found: Array<{ id: string; seq: number }> = [];
    for (const { id } of entries) {
      const seq = layout.seqs.get(id);
      if (seq !== undefined) found.push({ id, seq });
    }
    return found;
  };

  const select = (fromSeq: number | undefined, limit: number): number[] => {
    const last = layout.offsets.length;
    if (!linear) {
      const from = path().filter((seq) => seq >= (fromSeq ?? 1));
      return fromSeq === undefined ? from.slice(Math.max(0, from.length - limit)) : from.slice(0, limit);
    }
    const first = Math.max(1, fromSeq ?? last - limit + 1);
    return Array.from({ length: Math.max(0, Math.min(last - first + 1, limit)) }, (_none, index) => first + index);
  };

  const endOf = (seq: number) => layout.offsets[seq] ?? layout.size;
  const startOf = (seq: number) => layout.offsets[seq - 1] ?? layout.size;

  return {
    get lastSeq() {
      return layout.offsets.length;
    },
    get lastTimestamp() {
      return layout.lastTimestamp;
    },
    append(entries) {
      const there = known(entries);
      if (there.length > 0 && there.length === entries.length) return there;
      const repeated = there[0]?.id ?? firstRepeated(entries);
      if (repeated !== undefined) throw durarError('DUR_SESSION_ENTRY_ID', { session: layout.header?.id, id: repeated }, { owner: { file } });
      const lines = encode(file, entries, layout.lastId);
      appendOrUndo(file, fd, Buffer.concat(lines), layout.size);
      return entries.map((entry, index) => {
        const seq = addEntry(layout, { ...entry, parentId: layout.lastId }, layout.size);
        layout.size += lines[index]?.length ?? 0;
        linear &&= layout.parents[seq - 1] === seq - 1;
        branch?.push(seq);
        return { id: entry.id, seq };
      });
    },
    async read({ fromSeq, limit = Number.POSITIVE_INFINITY }) {
      const lastSeq = layout.offsets.length;
      const seqs = select(fromSeq, limit);
      const entries: StoredEntry[] = [];
      for (let next = 0; next < seqs.length; ) {
        const start = startOf(seqs[next] ?? 0);
        let stop = next + 1;
        while (stop < seqs.length && endOf(seqs[stop] ?? 0) - start <= WINDOW_BYTES) stop++;
        const window = seqs.slice(next, stop);
        const ranges = window.map((seq) => ({ seq, from: startOf(seq) - start, to: endOf(seq) - start }));
        const bytes = await readRange(fd, start, start + (ranges.at(-1)?.to ?? 0));
        for (const { seq, from, to } of ranges) entries.push(decode(file, bytes.subarray(from, to), seq));
        next = stop;
      }
      return { entries, lastSeq };
    },
    close: () => closeSync(fd),
  };
}

function encode(file: string, entries: NewEntry[], lastId: string | null): Buffer[] {
  let parent = lastId;
  return entries.map((entry, index) => {
    try {
      return Buffer.from(entryLine(entry, parent, index < entries.length - 1));
    } catch (error) {
      throw durarError(
        'DUR_SESSION_TRANSCRIPT',
        { file, reason: `entry '${entry.id}' is not plain data` },
        { owner: { file }, cause: error, hint: 'Store JSON values only; nothing was written.' },
      );
    } finally {
      parent = entry.id;
    }
  });
}

/** A write that fails half-way is taken back. If that fails too, the caller's next opening finds and removes it. */
function appendOrUndo(file: string, fd: number, bytes: Buffer, size: number): void {
  try {
    writeAll(fd, bytes);
  } catch (error) {
    try {
      ftruncateSync(fd, size);
    } catch (second) {
      throw unwritable(file, new AggregateError([error, second], errorText(error)));
    }
    throw unwritable(file, error);
  }
}

function decode(file: string, bytes: Buffer, seq: number): StoredEntry {
  try {
    return { ...JSON.parse(bytes.toString('utf8')), seq };
  } catch (error) {
    throw durarError(
      'DUR_SESSION_TRANSCRIPT',
      { file, reason: `entry ${seq} changed on disk` },
      { owner: { file }, cause: error, hint: 'Restart the gateway: it repairs the transcript when it opens it.' },
    );
  }
}

function firstRepeated(entries: NewEntry[]): string | undefined {
  if (entries.length < 2) return undefined;
  const seen = new Set<string>();
  for (const { id } of entries) {
    if (seen.has(id)) return id;
    seen.add(id);
  }
  return undefined;
}

/** Each repair ends in a new look at the file; three rounds are one for each kind of damage. */
async function openSound(options: TranscriptOptions, round: number): Promise<{ fd: number; layout: Layout }> {
  const { file, header, log } = options;
  const fd = openPrivate(file);
  try {
    const layout = await scanLayout(fd);
    if (layout.header !== undefined && layout.header.version !== TRANSCRIPT_VERSION) {
      throw durarError('DUR_SESSION_TRANSCRIPT', { file, reason: `it has version ${layout.header.version}, not ${TRANSCRIPT_VERSION}` }, { owner: { file } });
    }
    if (layout.size === 0) {
      writeAll(fd, Buffer.from(headerLine(header)));
      return { fd, layout: await scanLayout(fd) };
    }
    const reasons = layout.damage.map(({ offset, reason }) => `byte ${offset}: ${reason}`);
    if (layout.header === undefined) reasons.unshift('byte 0: no header');
    if (reasons.length === 0 && layout.tornAt === undefined) {
      if (layout.unfinished) {
        writeAll(fd, Buffer.from('\n'));
        layout.size += 1;
      }
      return { fd, layout };
    }
    if (round > 2) throw durarError('DUR_SESSION_TRANSCRIPT', { file, reason: reasons[0] ?? 'it changes while it is read' }, { owner: { file } });
    if (reasons.length > 0) {
      const copy = await keepCopy(file, 'damaged');
      await rewriteTranscript(file, fd, layout.header ?? header);
      log.warn('a damaged transcript was repaired', { file, copy, lines: reasons.length, reasons: reasons.slice(0, 5) });
    } else {
      const copy = await keepCopy(file, 'torn');
      ftruncateSync(fd, layout.tornAt);
      log.warn('a write that a crash cut short was removed from a transcript', { file, copy, atByte: layout.tornAt });
    }
  } catch (error) {
    closeSync(fd);
    throw errorCode(error)?.startsWith('DUR_') ? error : unwritable(file, error);
  }
  closeSync(fd);
  return openSound(options, round + 1);
}

function openPrivate(file: string): number {
  try {
    const fd = openOrMakeFolder(file);
    if ((fstatSync(fd).mode & 0o777) !== 0o600) fchmodSync(fd, 0o600);
    return fd;
  } catch (error) {
    throw unwritable(file, error);
  }
}

function openOrMakeFolder(file: string): number {
  try {
    return openSync(file, 'a+', 0o600);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    return openSync(file, 'a+', 0o600);
  }
}

function unwritable(file: string, error: unknown): Error {
  return durarError('DUR_STATE_UNWRITABLE', { dir: dirname(file), reason: errorText(error) }, { owner: { extension: 'local', file }, cause: error });
}
