import { type AgentMessage, durarError, errorCode, errorText, type NewEntry, type PluginLogger, type StoredEntry } from 'Durar/plugin-sdk/core';
import { closeSync, fchmodSync, fstatSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { type FileEntry, type Header, headerLine, TRANSCRIPT_VERSION } from './entry-line.ts';
import { branchOff, encode, toFile, toStored } from './file-entry.ts';
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
  /** The path anew from the first of these entries on, as a branch; throws `DUR_SESSION_REWRITE` for an id that no message of the path has. */
  rewrite(replacements: ReadonlyArray<{ id: string; message: AgentMessage }>): Promise<number>;
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
  /** Lines of the path, once it was asked for. */
  let branch: number[] | undefined;

  const path = (): number[] => {
    if (branch !== undefined) return branch;
    branch = [];
    for (let line = layout.offsets.length; line > 0; line = layout.parents[line - 1] ?? 0) branch.push(line);
    return branch.reverse();
  };
  const seqOf = (line: number | undefined): number => layout.seqs[(line ?? 0) - 1] ?? 0;

  const known = (entries: NewEntry[]): Array<{ id: string; seq: number }> => {
    const found: Array<{ id: string; seq: number }> = [];
    for (const { id } of entries) {
      const line = layout.lines.get(id);
      if (line !== undefined) found.push({ id, seq: seqOf(line) });
    }
    return found;
  };

  /** Place in the path of the first entry from that number on. */
  const placeOf = (lines: readonly number[], fromSeq: number): number => {
    let low = 0;
    for (let high = lines.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (seqOf(lines[middle]) < fromSeq) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const select = (fromSeq: number | undefined, limit: number): number[] => {
    const last = layout.offsets.length;
    if (!linear) {
      const lines = path();
      const first = fromSeq === undefined ? Math.max(0, lines.length - limit) : placeOf(lines, fromSeq);
      return lines.slice(first, first + limit);
    }
    const first = Math.max(1, fromSeq ?? last - limit + 1);
    return Array.from({ length: Math.max(0, Math.min(last - first + 1, limit)) }, (_none, index) => first + index);
  };

  const endOf = (line: number) => layout.offsets[line] ?? layout.size;
  const startOf = (line: number) => layout.offsets[line - 1] ?? layout.size;

  /** The entries of these lines, in windows of the file. */
  const load = async (lines: readonly number[]): Promise<FileEntry[]> => {
    const entries: FileEntry[] = [];
    for (let next = 0; next < lines.length; ) {
      const start = startOf(lines[next] ?? 0);
      let stop = next + 1;
      while (stop < lines.length && endOf(lines[stop] ?? 0) - start <= WINDOW_BYTES) stop++;
      const window = lines.slice(next, stop);
      const ranges = window.map((line) => ({ line, from: startOf(line) - start, to: endOf(line) - start }));
      const bytes = await readRange(fd, start, start + (ranges.at(-1)?.to ?? 0));
      for (const { line, from, to } of ranges) entries.push(decode(file, bytes.subarray(from, to), line));
      next = stop;
    }
    return entries;
  };

  /** All or none; returns their lines. */
  const write = (entries: readonly FileEntry[]): number[] => {
    const encoded = encode(file, entries);
    appendOrUndo(file, fd, Buffer.concat(encoded), layout.size);
    return entries.map((entry, index) => {
      const line = addEntry(layout, entry, layout.size);
      layout.size += encoded[index]?.length ?? 0;
      linear &&= layout.parents[line - 1] === line - 1;
      return line;
    });
  };

  return {
    get lastSeq() {
      return layout.lastSeq;
    },
    get lastTimestamp() {
      return layout.lastTimestamp;
    },
    append(entries) {
      const there = known(entries);
      if (there.length > 0 && there.length === entries.length) return there;
      const repeated = there[0]?.id ?? firstRepeated(entries);
      if (repeated !== undefined) throw durarError('DUR_SESSION_ENTRY_ID', { session: layout.header?.id, id: repeated }, { owner: { file } });
      const lines = write(toFile(layout, entries));
      branch?.push(...lines);
      return entries.map(({ id }, index) => ({ id, seq: seqOf(lines[index]) }));
    },
    async read({ fromSeq, limit = Number.POSITIVE_INFINITY }) {
      const { lastSeq } = layout;
      const lines = select(fromSeq, limit);
      const entries = await load(lines);
      return { entries: entries.map((entry, index) => toStored(layout, entry, seqOf(lines[index]))), lastSeq };
    },
    async rewrite(replacements) {
      for (;;) {
        const { lastId } = layout;
        const lines = path();
        const messages = new Map<number, AgentMessage>();
        for (const { id, message } of replacements) {
          const seq = seqOf(layout.lines.get(id));
          const at = placeOf(lines, seq);
          if (seq === 0 || seqOf(lines[at]) !== seq) throw notReplaceable(layout, id);
          messages.set(at, message);
        }
        if (messages.size === 0) return 0;
        const first = Math.min(...messages.keys());
        const old = await load(lines.slice(first));
        // what was appended meanwhile belongs into the branch as well
        if (layout.lastId !== lastId) continue;
        const fresh = branchOff(layout, old, (entry, index) => {
          const message = messages.get(first + index);
          if (message === undefined) return entry;
          if (entry.type !== 'message') throw notReplaceable(layout, entry.id);
          return { ...entry, message };
        });
        branch = [...lines.slice(0, first), ...write(fresh)];
        return messages.size;
      }
    },
    close: () => closeSync(fd),
  };
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

function decode(file: string, bytes: Buffer, line: number): FileEntry {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw durarError(
      'DUR_SESSION_TRANSCRIPT',
      { file, reason: `entry ${line} changed on disk` },
      { owner: { file }, cause: error, hint: 'Restart the gateway: it repairs the transcript when it opens it.' },
    );
  }
}

function notReplaceable({ header }: Layout, id: string): Error {
  return durarError('DUR_SESSION_REWRITE', { session: header?.id, reason: `'${id}' is no message of its conversation` }, { owner: { extension: 'local' } });
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
