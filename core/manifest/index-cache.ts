import { readFileSync, statSync } from 'node:fs';
import { errorCode } from '../../sdk/index.ts';
import { writePrivateFile } from '../../sdk/private-file.ts';
import type { CatalogEntry } from './catalog.ts';
import { type Candidate, type ReadResult, readExtension } from './read.ts';

/** Raised when records of an older build must not be used. */
const FORMAT = 1;

/** A file as it was when it was read. The change time is part of it: an edit may keep modification time and size. */
type Stamp = [path: string, mtimeMs: number, ctimeMs: number, size: number, inode: number];
interface IndexRecord {
  /** The folder first: a file added or removed in it changes its times. */
  stamps: Stamp[];
  /** What else the answer depends on. */
  asked: string;
  entries: CatalogEntry[];
}

export interface ManifestIndex {
  /** As `readExtension`, without opening a file whose folder and manifest did not change. */
  read(candidate: Candidate): ReadResult | undefined;
  /** How many folders were read anew. */
  readonly misses: number;
  /** Writes the index when something in it changed. Records of folders that were not asked for are dropped. */
  save(): Promise<void>;
}

/** Opens the index. A missing, damaged or older file is an empty index. `file` undefined: no cache. */
export function openManifestIndex(file: string | undefined, hostVersion: string): ManifestIndex {
  const build = `${FORMAT} ${hostVersion} ${statSync(import.meta.dirname).mtimeMs}`;
  const known = file === undefined ? {} : loadRecords(file, build);
  const used: Record<string, IndexRecord> = {};
  let misses = 0;
  let isNew = false;
  return {
    get misses() {
      return misses;
    },
    read(candidate) {
      const { path, origin, entry = '' } = candidate;
      const asked = `${origin} ${entry}`;
      const record = known[path];
      if (record?.asked === asked && record.stamps.every(isFresh)) {
        used[path] = record;
        return { entries: record.entries, files: [] };
      }
      misses += 1;
      // The folder is looked at before it is read: a change in between makes the record stale at once, never wrong for good.
      const folder = stampOf(path);
      const result = readExtension(candidate);
      if (result === undefined || result.broken !== undefined) return result;
      // The folder of an installed one is named by its content, so nothing in it is written again.
      const stamps = [folder, ...(origin === 'installed' ? [] : result.files.map(stampOf))];
      if (stamps.every(isSettled)) {
        used[path] = { stamps, asked, entries: result.entries };
        isNew = true;
      }
      return result;
    },
    async save() {
      if (file === undefined || (!isNew && Object.keys(used).length === Object.keys(known).length)) return;
      await writePrivateFile(file, JSON.stringify({ build, records: used }));
    },
  };
}

function loadRecords(file: string, build: string): Record<string, IndexRecord> {
  try {
    const stored = JSON.parse(readFileSync(file, 'utf8')) as { build?: string; records?: Record<string, IndexRecord> };
    return stored.build === build ? (stored.records ?? {}) : {};
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return {};
    throw error;
  }
}

function stampOf(path: string): Stamp | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : [path, stat.mtimeMs, stat.ctimeMs, stat.size, stat.ino];
}

function isFresh(stamp: Stamp): boolean {
  return stampOf(stamp[0])?.every((value, place) => value === stamp[place]) === true;
}

/** A file written within the clock's grain may change again without a new time, so it is not remembered yet. */
function isSettled(stamp: Stamp | undefined): stamp is Stamp {
  return stamp !== undefined && Date.now() - stamp[2] > 50;
}
