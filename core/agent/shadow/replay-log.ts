import { appendFileSync, writeFileSync } from 'node:fs';
import type { AgentMessage, StoredEntry } from '../../../sdk/index.ts';
import type { EnginesOptions } from '../engine/engine.ts';

/** A recorded session as one engine gets it again: its entries in order, and the summaries that were made for this engine. */
export interface ReplayLog {
  /** What stands for the session service. */
  readonly sessions: EnginesOptions['sessions'];
  readonly messages: readonly AgentMessage[];
  readonly entryIds: readonly string[];
  /** Adds a message and returns its entry, numbered anew. */
  append(id: string, timestamp: string, message: AgentMessage): StoredEntry;
  /** Puts a summary in the place of everything before one message of the context. */
  summarize(summary: string, keepFrom: number): void;
}

const SUMMARY_PREFIX = 'Summary of the conversation before this point:\n\n';

/** `file`: where the log is kept as a transcript, for engines that read one. */
export function createReplayLog(file: string): ReplayLog {
  const entries: StoredEntry[] = [];
  let messages: AgentMessage[] = [];
  let entryIds: string[] = [];
  let seqs: number[] = [];

  function add(entry: StoredEntry, message: AgentMessage, at: number): void {
    entries.push(entry);
    const { seq: _seq, ...line } = entry;
    appendFileSync(file, `${JSON.stringify(line)}\n`);
    messages.splice(at, 0, message);
    entryIds.splice(at, 0, entry.id);
    seqs.splice(at, 0, entry.seq);
  }

  writeFileSync(file, `${JSON.stringify({ type: 'session', version: 3, id: 'replay', timestamp: new Date(0).toISOString(), cwd: '/' })}\n`, { mode: 0o600 });
  const place = () => ({ parentId: entries.at(-1)?.id ?? null, seq: entries.length + 1 });

  return {
    sessions: {
      context: async () => ({ messages: [...messages], entryIds: [...entryIds], seqs: [...seqs], lastSeq: entries.length }),
      async read(_session, { fromSeq = 1, limit = entries.length } = {}) {
        return { entries: entries.slice(fromSeq - 1, fromSeq - 1 + limit), lastSeq: entries.length };
      },
      sessionFile: async () => file,
    },
    get messages() {
      return messages;
    },
    get entryIds() {
      return entryIds;
    },
    append(id, timestamp, message) {
      const entry: StoredEntry = { ...place(), type: 'message', id, timestamp, message };
      add(entry, message, messages.length);
      return entry;
    },
    summarize(summary, keepFrom) {
      const timestamp = new Date(messages.at(-1)?.timestamp ?? 0).toISOString();
      const firstKeptEntryId = entryIds[keepFrom] ?? '';
      const entry: StoredEntry = { ...place(), type: 'compaction', id: `summary-${entries.length + 1}`, timestamp, summary, firstKeptEntryId, tokensBefore: 0 };
      messages = messages.slice(keepFrom);
      entryIds = entryIds.slice(keepFrom);
      seqs = seqs.slice(keepFrom);
      add(entry, { role: 'user', content: SUMMARY_PREFIX + summary, timestamp: Date.parse(timestamp) }, 0);
    },
  };
}
