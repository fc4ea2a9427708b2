import type { AgentMessage } from '../messages.ts';

/**
 * Port: session store. Keeps the index of sessions and their transcripts. One store, chosen by `plugins.slots.sessionStore`.
 * All methods are async, take one object and return plain data. The host never assumes local files: `sessionFile` is optional.
 *
 * Promises a store makes:
 * - `append` is durable against the death of the process when it resolves, and atomic: all entries or none.
 * - `seq` starts at 1 per session and has no gaps; entry ids are unique in the session; an append with ids that are already there
 *   changes nothing and returns their sequence numbers; one of which only a part is there is refused with `DUR_SESSION_ENTRY_ID`.
 * - reads see every append that resolved before them. Damaged data is repaired on open after a copy was kept, and reported, not hidden.
 */
export interface SessionStore {
  readonly id: string;
  /** Opens or creates the session of `key`. Never makes two for one key. */
  open(params: { key: string; agentId: string; cwd?: string; create?: Partial<SessionRecord> }): Promise<{ session: SessionRecord; created: boolean }>;
  get(params: { key: string } | { sessionId: string }): Promise<SessionRecord | undefined>;
  /** Newest first. */
  list(params: SessionListParams): Promise<{ sessions: SessionRecord[]; total: number }>;
  /** `null` clears a field. Sets `updatedAt` unless `touch` is false. */
  patch(params: { key: string; fields: SessionPatch; touch?: boolean }): Promise<SessionRecord>;
  append(params: { sessionId: string; entries: NewEntry[] }): Promise<{ entries: Array<{ id: string; seq: number }> }>;
  /** The path from the root to the newest leaf, oldest first. `limit` counts from `fromSeq` on; without `fromSeq` it takes the newest. */
  read(params: { sessionId: string; fromSeq?: number; limit?: number }): Promise<{ entries: StoredEntry[]; lastSeq: number }>;
  /**
   * Puts other messages in the place of some, all or none, durable and atomic as `append`. The entries keep their ids and sequence numbers,
   * also those behind them; what was written before is kept where it is. An id that no message of the path has is refused with `DUR_SESSION_REWRITE`.
   */
  rewrite?(params: { sessionId: string; replacements: Array<{ id: string; message: AgentMessage }> }): Promise<{ rewritten: number }>;
  /** Gives the key a new, empty session; the old transcript is kept as an archive. */
  reset(params: { key: string; reason: 'new' | 'reset' }): Promise<SessionRecord>;
  delete(params: { key: string; deleteTranscript?: boolean }): Promise<{ deleted: boolean; archived: string[] }>;
  /** Local path of the transcript, for stores that keep one. */
  sessionFile?(params: { sessionId: string }): Promise<string | undefined>;
  close(): Promise<void>;
}

export type SessionStoreFactory = () => SessionStore | Promise<SessionStore>;

export interface SessionListParams {
  agentId?: string;
  /** Only sessions touched since (epoch ms). */
  activeSince?: number;
  search?: string;
  label?: string;
  spawnedBy?: string;
  limit?: number;
  offset?: number;
}

export type SessionStatus = 'running' | 'done' | 'failed' | 'killed' | 'timeout';

/** One row of the index. Names are those of the protocol's session row. Times are epoch milliseconds. */
export interface SessionRecord {
  key: string;
  sessionId: string;
  agentId: string;
  createdAt: number;
  updatedAt: number;
  status?: SessionStatus;
  startedAt?: number;
  endedAt?: number;
  label?: string;
  displayName?: string;
  channel?: string;
  chatType?: 'direct' | 'group' | 'channel';
  inputTokens?: number;
  outputTokens?: number;
  totalTokens?: number;
  contextTokens?: number;
  estimatedCostUsd?: number;
  modelProvider?: string;
  model?: string;
  modelOverride?: string;
  thinkingLevel?: string;
  verboseLevel?: string;
  reasoningLevel?: string;
  abortedLastRun?: boolean;
  compactionCount?: number;
  spawnedBy?: string;
  parentSessionKey?: string;
  lastChannel?: string;
  lastTo?: string;
  lastAccountId?: string;
  /** Everything else a row may carry; stored as it is. */
  extra?: Record<string, unknown>;
}

export type SessionPatch = { [Field in keyof Omit<SessionRecord, 'key' | 'sessionId' | 'agentId' | 'createdAt'>]?: SessionRecord[Field] | null };

/** An entry of the transcript as the host hands it over. `id` is minted by the host: 8 hex digits. */
export type NewEntry = { id: string; timestamp: string } & EntryBody;

export type EntryBody =
  | { type: 'message'; message: AgentMessage }
  | { type: 'model_change'; provider: string; modelId: string }
  | { type: 'thinking_level_change'; thinkingLevel: string }
  | { type: 'compaction'; summary: string; firstKeptEntryId: string; tokensBefore: number; details?: unknown; fromHook?: boolean }
  | { type: 'branch_summary'; fromId: string; summary: string; details?: unknown; fromHook?: boolean }
  | { type: 'custom'; customType: string; data?: unknown }
  | { type: 'custom_message'; customType: string; content: string | Array<{ type: 'text'; text: string }>; details?: unknown; display: boolean }
  | { type: 'label'; targetId: string; label?: string }
  | { type: 'session_info'; name?: string };

/** An entry as the store gives it back. */
export type StoredEntry = NewEntry & {
  parentId: string | null;
  seq: number;
  /** The id that it has in the transcript's file, where a rewrite gave it another one there. */
  fileId?: string;
};
