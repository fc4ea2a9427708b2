import { type Header, parseLine } from './entry-line.ts';
import { type Line, readLines } from './lines.ts';

/** Where the entries of a transcript are and how they hang together. Entry n of the arrays has the sequence number n + 1. */
export interface Layout {
  header: Header | undefined;
  offsets: number[];
  /** Sequence number of each entry's parent; 0: none. */
  parents: number[];
  seqs: Map<string, number>;
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
    seqs: new Map(),
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

/** Enters an entry that is (or was just put) in the file at `offset`; returns its sequence number. */
export function addEntry(layout: Layout, entry: { id: string; parentId: string | null; timestamp: string }, offset: number): number {
  layout.offsets.push(offset);
  layout.parents.push(entry.parentId === null ? 0 : (layout.seqs.get(entry.parentId) ?? 0));
  const seq = layout.offsets.length;
  layout.seqs.set(entry.id, seq);
  layout.lastId = entry.id;
  layout.lastTimestamp = entry.timestamp;
  return seq;
}

/** Why an entry cannot stay as it is; undefined: it can. */
export function flaw(seqs: { has(id: string): boolean }, entry: { id: string; parentId: string | null }): string | undefined {
  if (seqs.has(entry.id)) return 'the id of an earlier entry';
  if (entry.parentId !== null && !seqs.has(entry.parentId)) return 'its parent is missing';
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
  const reason = flaw(layout.seqs, content.entry);
  if (reason !== undefined) layout.damage.push({ offset: line.offset, reason });
  layout.tornAt = content.more ? (layout.tornAt ?? line.offset) : undefined;
  layout.unfinished = !line.terminated;
  if (!layout.seqs.has(content.entry.id)) addEntry(layout, content.entry, line.offset);
}
