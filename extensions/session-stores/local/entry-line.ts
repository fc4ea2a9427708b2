import type { NewEntry } from 'Durar/plugin-sdk/core';

export const TRANSCRIPT_VERSION = 3;

/** The first line of a transcript. `key` is ours: it lets a lost index be made anew. */
export interface Header {
  type: 'session';
  version: number;
  id: string;
  timestamp: string;
  cwd: string;
  key?: string;
}

/** An entry as the file has it. `standsFor`: a rewrite put it in the place of the entry of that id. */
export type FileEntry = NewEntry & { parentId: string | null; standsFor?: string };

/** What a line is. `more`: the batch it was written in goes on in the next line. */
export type LineContent = { kind: 'header'; header: Header } | { kind: 'entry'; entry: FileEntry; more: boolean } | { kind: 'foreign'; reason: string };

const SPACE = 0x20;

export function headerLine(header: Header): string {
  return `${JSON.stringify(header)}\n`;
}

/**
 * One entry as a line. A leading space says that the batch goes on in the next line, so that a batch cut short by a crash can be told
 * from a whole one; readers of JSON Lines do not see it.
 */
export function entryLine(entry: NewEntry, parentId: string | null, more: boolean): string {
  const { type, id, timestamp, ...rest } = entry;
  return `${more ? ' ' : ''}${JSON.stringify({ type, id, parentId, timestamp, ...rest })}\n`;
}

/** Reads one line. Never throws. Entry types of newer versions are entries. */
export function parseLine(bytes: Buffer): LineContent {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    return { kind: 'foreign', reason: error instanceof SyntaxError ? 'not JSON' : String(error) };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { kind: 'foreign', reason: 'not an object' };
  if (isHeader(value)) return { kind: 'header', header: { ...value, version: typeof value.version === 'number' ? value.version : 1 } };
  if (isEntry(value)) return { kind: 'entry', entry: value, more: bytes[0] === SPACE };
  return { kind: 'foreign', reason: 'not an entry' };
}

function isHeader(value: object): value is Header {
  return 'type' in value && value.type === 'session' && 'id' in value && typeof value.id === 'string';
}

/** Checks what the tree needs; the rest of an entry is the writer's. */
function isEntry(value: object): value is FileEntry {
  return (
    'type' in value &&
    typeof value.type === 'string' &&
    value.type !== 'session' &&
    'id' in value &&
    typeof value.id === 'string' &&
    value.id !== '' &&
    'parentId' in value &&
    (value.parentId === null || typeof value.parentId === 'string') &&
    (value.type !== 'message' || ('message' in value && typeof value.message === 'object' && value.message !== null))
  );
}
