import { randomBytes } from 'node:crypto';
import type { EntryBody, NewEntry, SessionStore, StoredEntry } from '../../sdk/index.ts';
import { type LiveContext, messageChars } from './context-cache.ts';
import { buildContext, contextStart, entryMessage } from './transcript.ts';

const FIRST_PAGE = 256;
const LARGEST_PAGE = 4096;

export function emptyContext(): LiveContext {
  return { messages: [], entryIds: [], seqs: [], lastSeq: 0, leafId: null, chars: 0 };
}

/** Reads a session's end backwards as far as its context goes, so that the cost does not grow with what was compacted away. */
export async function readContext(store: SessionStore, sessionId: string): Promise<LiveContext> {
  let { entries, lastSeq } = await store.read({ sessionId, limit: FIRST_PAGE });
  for (let page = FIRST_PAGE * 2; contextStart(entries) === undefined; page = Math.min(page * 2, LARGEST_PAGE)) {
    const firstSeq = entries[0]?.seq ?? 1;
    if (firstSeq <= 1) break;
    const fromSeq = Math.max(1, firstSeq - page);
    const earlier = await store.read({ sessionId, fromSeq, limit: firstSeq - fromSeq });
    const added = earlier.entries.filter((entry) => entry.seq < firstSeq);
    // a branch may skip a whole page, and its first entry need not be the log's
    if (added.length === 0 && entries[0]?.parentId === null) break;
    entries = [...added, ...entries];
  }
  const context = buildContext(entries);
  return { ...context, lastSeq, leafId: entries.at(-1)?.id ?? null, chars: sum(context.messages.map(messageChars)) };
}

/**
 * Gives bodies their ids and times. An id is 8 hex digits: the low 16 bits of the sequence number it will get, then 16 random bits, which
 * keeps ids apart without knowing the earlier ones; what little can still collide, the store refuses.
 */
export function mintEntries(bodies: readonly EntryBody[], lastSeq: number, now: number): NewEntry[] {
  const timestamp = new Date(now).toISOString();
  return bodies.map((body, index) => {
    const place = ((lastSeq + 1 + index) & 0xffff).toString(16).padStart(4, '0');
    return { ...body, id: place + randomBytes(2).toString('hex'), timestamp };
  });
}

/** Takes new entries into the context. false: it must be read anew, for what the compaction kept is not in it. */
export function advanceContext(context: LiveContext, entries: readonly StoredEntry[]): boolean {
  for (const entry of entries) {
    if (entry.type === 'compaction' && !compact(context, entry.firstKeptEntryId)) return false;
    const message = entryMessage(entry);
    if (message !== undefined) {
      // a summary goes first, all else last
      const at = entry.type === 'compaction' ? 0 : context.messages.length;
      context.messages.splice(at, 0, message);
      context.entryIds.splice(at, 0, entry.id);
      context.seqs.splice(at, 0, entry.seq);
      context.chars += messageChars(message);
    }
    context.lastSeq = entry.seq;
    context.leafId = entry.id;
  }
  return true;
}

/** At the first place may stand an older summary, which is not kept; that rare case is read anew. */
function compact(context: LiveContext, firstKeptEntryId: string): boolean {
  const start = context.entryIds.indexOf(firstKeptEntryId);
  if (start <= 0) return false;
  context.messages = context.messages.slice(start);
  context.entryIds = context.entryIds.slice(start);
  context.seqs = context.seqs.slice(start);
  context.chars = sum(context.messages.map(messageChars));
  return true;
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
