import type { SessionRecord, StoredEntry } from '../../sdk/index.ts';
import { displayMessage } from './display.ts';
import type { GatewaySessions } from './options.ts';

export interface HistoryOptions {
  /** How many messages at most, the newest ones. */
  limit: number;
  /** Longer texts are cut. Absent: the messages as they are stored. */
  maxChars?: number;
}

export type WireMessage = Record<string, unknown>;

/** Of one message, and of all together, as JSON in UTF-8. */
export const HISTORY_LIMITS = { messageBytes: 131_072, totalBytes: 6 * 1024 * 1024 } as const;

/** The newest messages of a session, oldest first, each with its place in the transcript. */
export async function readHistory(sessions: Pick<GatewaySessions, 'read'>, session: SessionRecord, options: HistoryOptions): Promise<WireMessage[]> {
  const { limit, maxChars } = options;
  const { lastSeq } = await sessions.read(session, { fromSeq: Number.MAX_SAFE_INTEGER, limit: 1 });
  const messages: WireMessage[] = [];
  let bytes = 0;
  for (let end = lastSeq; end > 0 && messages.length < limit; ) {
    const size = Math.min(end, limit);
    const { entries } = await sessions.read(session, { fromSeq: end - size + 1, limit: size });
    for (const entry of entries.reverse()) {
      if (entry.seq > end || messages.length >= limit) continue;
      const shown = maxChars === undefined ? storedEntry(entry) : displayEntry(entry, maxChars);
      if (shown === undefined) continue;
      bytes += sizeOf(shown);
      if (bytes > HISTORY_LIMITS.totalBytes) return messages.reverse();
      messages.push(shown);
    }
    end -= size;
  }
  return messages.reverse();
}

/** What a person should see of an entry, bounded; undefined: nothing. */
export function displayEntry(entry: StoredEntry, maxChars: number): WireMessage | undefined {
  if (entry.type !== 'message') return undefined;
  const { message, id, seq } = entry;
  const display = displayMessage(message, maxChars);
  if (display === undefined) return undefined;
  const shown = { ...display, __openclaw: { id, seq } };
  if (sizeOf(shown) <= HISTORY_LIMITS.messageBytes) return shown;
  return {
    role: message.role,
    timestamp: message.timestamp,
    content: [{ type: 'text', text: '[chat.history omitted: message too large]' }],
    __openclaw: { id, seq, truncated: true, reason: 'oversized' },
  };
}

function storedEntry(entry: StoredEntry): WireMessage | undefined {
  if (entry.type !== 'message') return undefined;
  return { ...entry.message, __openclaw: { id: entry.id, seq: entry.seq } };
}

function sizeOf(message: WireMessage): number {
  return Buffer.byteLength(JSON.stringify(message));
}
