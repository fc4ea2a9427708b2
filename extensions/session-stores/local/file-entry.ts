import { durarError, type NewEntry, type StoredEntry } from 'Durar/plugin-sdk/core';
import { randomBytes } from 'node:crypto';
import { entryLine, type FileEntry } from './entry-line.ts';
import type { Layout } from './layout.ts';

/**
 * After a rewrite an entry has two ids: the one it was written under, by which everybody outside knows it, and that of the line that now
 * stands for it. Ids within the file (parents, what a compaction kept, what a label names) are those of lines on the same path.
 */
type Names = Pick<Layout, 'lines' | 'entryIds' | 'fileIds' | 'lastId'>;

/** New entries, to go behind the last line. */
export function toFile({ fileIds, lastId }: Names, entries: readonly NewEntry[]): FileEntry[] {
  let parentId = lastId;
  return entries.map((entry) => {
    const next = rename({ ...entry, parentId }, (id) => fileIds.get(id) ?? id);
    parentId = entry.id;
    return next;
  });
}

/** An entry of the file, as the store gives it out. */
export function toStored({ entryIds }: Names, { standsFor, ...entry }: FileEntry, seq: number): StoredEntry {
  const named = rename(entry, (id) => entryIds.get(id) ?? id);
  const parentId = entry.parentId === null ? null : (entryIds.get(entry.parentId) ?? entry.parentId);
  const entryId = entryIds.get(entry.id);
  return entryId === undefined ? { ...named, parentId, seq } : { ...named, id: entryId, parentId, seq, fileId: entry.id };
}

/** The end of a path once more, under ids of its own, from the same parent on; each entry as `change` leaves it. */
export function branchOff({ lines, entryIds }: Names, old: readonly FileEntry[], change: (entry: FileEntry, index: number) => FileEntry): FileEntry[] {
  const ids = new Map<string, string>();
  const taken = new Set<string>();
  for (const { id } of old) {
    const fresh = freeId((candidate) => lines.has(candidate) || taken.has(candidate));
    taken.add(fresh);
    ids.set(id, fresh);
  }
  let parentId = old[0]?.parentId ?? null;
  return old.map((entry, index) => {
    const id = ids.get(entry.id) ?? entry.id;
    const fresh = rename({ ...change(entry, index), id, parentId, standsFor: entryIds.get(entry.id) ?? entry.id }, (name) => ids.get(name) ?? name);
    parentId = id;
    return fresh;
  });
}

/** The lines of one batch. */
export function encode(file: string, entries: readonly FileEntry[]): Buffer[] {
  return entries.map((entry, index) => {
    try {
      const { parentId, ...rest } = entry;
      return Buffer.from(entryLine(rest, parentId, index < entries.length - 1));
    } catch (error) {
      throw durarError(
        'DUR_SESSION_TRANSCRIPT',
        { file, reason: `entry '${entry.id}' is not plain data` },
        { owner: { file }, cause: error, hint: 'Store JSON values only; nothing was written.' },
      );
    }
  });
}

/** Changes the ids of other entries that an entry speaks of. */
function rename(entry: FileEntry, name: (id: string) => string): FileEntry {
  if (entry.type === 'compaction') return { ...entry, firstKeptEntryId: name(entry.firstKeptEntryId) };
  return entry.type === 'label' ? { ...entry, targetId: name(entry.targetId) } : entry;
}

function freeId(isTaken: (id: string) => boolean): string {
  for (;;) {
    const id = randomBytes(4).toString('hex');
    if (!isTaken(id)) return id;
  }
}
