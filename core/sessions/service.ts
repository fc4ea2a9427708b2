import type { AgentMessage, EntryBody, SessionListParams, SessionPatch, SessionRecord, StoredEntry } from '../../sdk/index.ts';

/** One session's row with its canonical key. */
export interface OpenSession {
  session: SessionRecord;
  created: boolean;
}

export interface TranscriptUpdate {
  sessionKey: string;
  sessionId: string;
  entries: StoredEntry[];
}

/** Sessions for the rooms above: canonical keys, minted entry ids, the one place that writes transcripts. */
export interface SessionService {
  /** `main`, `agent:main:main`, `dm` aliases, bare names -> the canonical key. Throws `DUR_SESSION_KEY`. */
  canonicalKey(key: string | undefined, agentId?: string): string;
  open(params: { key: string; agentId?: string; cwd?: string; create?: Partial<SessionRecord> }): Promise<OpenSession>;
  get(key: string): Promise<SessionRecord | undefined>;
  getById(sessionId: string): Promise<SessionRecord | undefined>;
  list(params: SessionListParams): Promise<{ sessions: SessionRecord[]; total: number }>;
  patch(key: string, fields: SessionPatch, options?: { touch?: boolean }): Promise<SessionRecord>;
  /** Mints ids and timestamps, appends all or none, tells the listeners. */
  append(session: SessionRecord, bodies: EntryBody[]): Promise<StoredEntry[]>;
  read(session: SessionRecord, options?: { fromSeq?: number; limit?: number }): Promise<{ entries: StoredEntry[]; lastSeq: number }>;
  /** The messages a model would see, after the last compaction: its summary as a user message first, then what it kept. Cached per session while it is in use. */
  context(session: SessionRecord): Promise<{ messages: AgentMessage[]; entryIds: string[]; lastSeq: number }>;
  /** Closes what a crash left open: a tool call without a result gets the error result `interrupted by restart`. Once per session and process. */
  repair(session: SessionRecord): Promise<{ repaired: number }>;
  reset(key: string, reason: 'new' | 'reset'): Promise<SessionRecord>;
  delete(key: string, options?: { deleteTranscript?: boolean }): Promise<{ deleted: boolean; archived: string[] }>;
  sessionFile(session: SessionRecord): Promise<string | undefined>;
  onUpdate(listener: (update: TranscriptUpdate) => void): () => void;
}
