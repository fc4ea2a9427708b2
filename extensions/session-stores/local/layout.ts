import { type FileEntry, type Header, parseLine } from './entry-line.ts';
import { type Line, readLines } from './lines.ts';

/** Where the entries of a transcript are and how they hang together. Line 1 is the first behind the header; the arrays begin with it. */
export interface Layout {
  header: Header | undefined;
  offsets: number[];
  /** The line of each entry's parent; 0: none. */
  parents: number[];
  /** Sequence numbers. A line that stands for an earlier entry has that one's. */
  seqs: number[];
  /** By the ids in the file. */
  lines: Map<string, number>;
  /** For the lines that stand for others: the id of the entry, and back, the newest line of it. */
  entryIds: Map<string, string>;
  fileIds: Map<string, string>;
  lastSeq: number;
  /** Id of the last line. */
  lastId: string | null;
  lastTimestamp: string | undefined;
  /** Where the next line goes. */
  size: number;
  /** Foreign lines, repeated ids, and entries whose parent is missing: the file must be written anew. */
  damage: Array<{ offset: number; reason: string }>;
  /** From here on a write was cut short. */
  tornAt: number | undefined;
  /** The last line is whole but has no newline. */
  unfinished: boolean;
}

/** Reads a transcript once, by chunks, and tells what is wrong with it. */
export async function scanLayout(fd: number): Promise<Layout> {
  const layout: Layout = {
    header: undefined,
    offsets: [],
    parents: [],
    seqs: [],
    lines: new Map(),
    entryIds: new Map(),
    fileIds: new Map(),
    lastSeq: 0,
    lastId: null,
    lastTimestamp: undefined,
    size: 0,
    damage: [],
    tornAt: undefined,
    unfinished: false,
  };
  for await (const lines of readLines(fd)) for (const line of lines) addLine(layout, line);
  return layout;
}

/** Enters an entry that is (or was just put) in the file at `offset`; returns its line. */
export function addEntry(layout: Layout, entry: Pick<FileEntry, 'id' | 'parentId' | 'timestamp' | 'standsFor'>, offset: number): number {
  const { id, parentId, standsFor } = entry;
  const earlier = standsFor === undefined ? undefined : layout.lines.get(standsFor);
  layout.offsets.push(offset);
  layout.parents.push(parentId === null ? 0 : (layout.lines.get(parentId) ?? 0));
  const line = layout.offsets.length;
  layout.lines.set(id, line);
  layout.seqs.push(earlier === undefined ? layout.lastSeq + 1 : (layout.seqs[earlier - 1] ?? 0));
  if (standsFor === undefined || earlier === undefined) layout.lastSeq += 1;
  else {
    layout.entryIds.set(id, standsFor);
    layout.fileIds.set(standsFor, id);
  }
  layout.lastId = id;
  layout.lastTimestamp = entry.timestamp;
  return line;
}

/** Why an entry cannot stay as it is; undefined: it can. */
export function flaw(known: { has(id: string): boolean }, entry: { id: string; parentId: string | null }): string | undefined {
  if (known.has(entry.id)) return 'the id of an earlier entry';
  if (entry.parentId !== null && !known.has(entry.parentId)) return 'its parent is missing';
  return undefined;
}

/** `layout.tornAt` stands for the batch that is open so far; what is left of it at the end of the file is torn. */
function addLine(layout: Layout, line: Line): void {
  const content = parseLine(line.bytes);
  layout.size = line.offset + line.bytes.length + (line.terminated ? 1 : 0);
  if (content.kind === 'header' && line.offset === 0) {
    layout.header = content.header;
    layout.unfinished = !line.terminated;
    return;
  }
  if (!line.terminated && content.kind !== 'entry') {
    layout.tornAt ??= line.offset;
    return;
  }
  if (content.kind !== 'entry') {
    layout.damage.push({ offset: line.offset, reason: content.kind === 'foreign' ? content.reason : 'a second header' });
    return;
  }
  const reason = flaw(layout.lines, content.entry);
  if (reason !== undefined) layout.damage.push({ offset: line.offset, reason });
  layout.tornAt = content.more ? (layout.tornAt ?? line.offset) : undefined;
  layout.unfinished = !line.terminated;
  if (!layout.lines.has(content.entry.id)) addEntry(layout, content.entry, line.offset);
}
