import {
  type AgentMessage,
  durarError,
  type EntryBody,
  errorCode,
  errorText,
  type SessionListParams,
  type SessionPatch,
  type SessionRecord,
  type SessionStore,
  type StoredEntry,
} from '../../sdk/index.ts';
import { createSerial } from '../../sdk/serial.ts';
import type { Generation, GenerationSource } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import { createContextCache, type LiveContext } from './context-cache.ts';
import { agentOfKey, canonicalKey, defaultAgentId } from './keys.ts';
import { advanceContext, emptyContext, mintEntries, readContext } from './live-context.ts';
import { type Replacement, rewriteEntries } from './rewrite.ts';
import { interruptedResults } from './transcript.ts';

export { DEFAULT_AGENT_ID, defaultAgentId } from './keys.ts';
export { INTERRUPTED } from './transcript.ts';

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
  /**
   * Puts other messages in the place of some; their entries keep ids and places. All or none. Throws `DUR_SESSION_REWRITE` for what is not a message
   * of the session, and for one that would change a role or part a tool call from its result.
   */
  rewrite(session: SessionRecord, replacements: readonly Replacement[]): Promise<{ rewrittenEntries: number; bytesFreed: number }>;
  read(session: SessionRecord, options?: { fromSeq?: number; limit?: number }): Promise<{ entries: StoredEntry[]; lastSeq: number }>;
  /**
   * The messages a model would see, after the last compaction: its summary as a user message first, then what it kept. Cached per session
   * while it is in use; the arrays are the caller's, the messages are shared and frozen.
   */
  context(session: SessionRecord): Promise<{ messages: AgentMessage[]; entryIds: string[]; seqs: number[]; lastSeq: number }>;
  /**
   * Closes what a crash left open: a tool call without a result gets the error result `interrupted by restart`. Done once per session and
   * process, here or before the first `append` or `context`, whichever is first; the first call tells how many results were added.
   */
  repair(session: SessionRecord): Promise<{ repaired: number }>;
  reset(key: string, reason: 'new' | 'reset'): Promise<SessionRecord>;
  delete(key: string, options?: { deleteTranscript?: boolean }): Promise<{ deleted: boolean; archived: string[] }>;
  sessionFile(session: SessionRecord): Promise<string | undefined>;
  onUpdate(listener: (update: TranscriptUpdate) => void): () => void;
}

/** An id that is already taken is drawn again; more often than this it is no accident. */
const ID_ATTEMPTS = 3;

/** Sessions in the store that the slot `sessionStore` selects. All appends of the process go through one service. */
export function createSessionService(options: { source: GenerationSource; log: Logger }): SessionService {
  const { source, log } = options;
  const startedAt = Date.now();
  const cache = createContextCache();
  const serial = createSerial();
  const listeners = new Set<(update: TranscriptUpdate) => void>();
  /** Sessions that were looked at for open calls in this process, and the results added that nobody was told of yet. */
  const repaired = new Map<string, number>();
  const findStore = createStoreFinder(source, () => {
    cache.clear();
    repaired.clear();
  });

  function canonical(key: string | undefined, agentId?: string): string {
    return canonicalKey(key, agentId ?? defaultAgentId(source.current().config));
  }

  /** A run that began before this process did not survive the one it began in. */
  function asOfNow(session: SessionRecord): SessionRecord {
    if (session.status !== 'running' || (session.startedAt ?? 0) >= startedAt) return session;
    return { ...session, status: 'killed', abortedLastRun: true };
  }

  function tell({ key: sessionKey, sessionId }: SessionRecord, entries: StoredEntry[]): void {
    for (const listener of listeners) {
      try {
        listener({ sessionKey, sessionId, entries });
      } catch (error) {
        log.error('a listener of transcript updates failed', { sessionKey, error: errorText(error) });
      }
    }
  }

  /** Only inside the session's lane. */
  async function write(store: SessionStore, session: SessionRecord, context: LiveContext, bodies: EntryBody[]): Promise<StoredEntry[]> {
    let entries: StoredEntry[];
    try {
      entries = await appendMinted(store, session.sessionId, context, bodies);
    } catch (error) {
      // what the store kept of it is not known here
      cache.delete(session.sessionId);
      throw error;
    }
    if (advanceContext(context, entries)) cache.set(session.sessionId, context);
    else cache.delete(session.sessionId);
    tell(session, entries);
    return entries;
  }

  /** The context of a session, nothing left open by a crash. Only inside the session's lane. */
  async function load(store: SessionStore, session: SessionRecord): Promise<LiveContext> {
    const { sessionId } = session;
    let context = cache.get(sessionId);
    if (context === undefined) {
      context = await readContext(store, sessionId);
      cache.set(sessionId, context);
    }
    if (repaired.has(sessionId)) return context;
    const results = interruptedResults(context.messages, Date.now());
    if (results.length > 0) {
      const bodies = results.map((message): EntryBody => ({ type: 'message', message }));
      await write(store, session, context, bodies);
      log.warn('tool calls that a restart interrupted were closed', { sessionKey: session.key, calls: results.length });
    }
    repaired.set(sessionId, results.length);
    return context;
  }

  /** A session that this process just made has nothing to read and nothing to repair. */
  function startEmpty({ sessionId }: SessionRecord): void {
    if (repaired.has(sessionId)) return;
    cache.set(sessionId, emptyContext());
    repaired.set(sessionId, 0);
  }

  function forget({ sessionId }: SessionRecord): void {
    cache.delete(sessionId);
    repaired.delete(sessionId);
  }

  return {
    canonicalKey: canonical,
    async open({ key, agentId, cwd, create }) {
      const canonicalName = canonical(key, agentId);
      const owner = agentOfKey(canonicalName) ?? agentId ?? defaultAgentId(source.current().config);
      const store = await findStore();
      const opened = await store.open({
        key: canonicalName,
        agentId: owner,
        ...(cwd === undefined ? {} : { cwd }),
        ...(create === undefined ? {} : { create }),
      });
      if (opened.created) startEmpty(opened.session);
      return opened;
    },
    async get(key) {
      const session = await (await findStore()).get({ key: canonical(key) });
      return session === undefined ? undefined : asOfNow(session);
    },
    async getById(sessionId) {
      const session = await (await findStore()).get({ sessionId });
      return session === undefined ? undefined : asOfNow(session);
    },
    async list(params) {
      const { sessions, total } = await (await findStore()).list(params);
      return { sessions: sessions.map(asOfNow), total };
    },
    async patch(key, fields, { touch } = {}) {
      return (await findStore()).patch({ key: canonical(key), fields, ...(touch === undefined ? {} : { touch }) });
    },
    append(session, bodies) {
      return serial.run(session.sessionId, async () => {
        if (bodies.length === 0) return [];
        const store = await findStore();
        return write(store, session, await load(store, session), bodies);
      });
    },
    rewrite({ sessionId }, replacements) {
      return serial.run(sessionId, async () => {
        const store = await findStore();
        try {
          return await rewriteEntries(store, sessionId, replacements);
        } finally {
          cache.delete(sessionId);
        }
      });
    },
    async read({ sessionId }, range = {}) {
      return (await findStore()).read({ sessionId, ...range });
    },
    async context(session) {
      const { sessionId } = session;
      const store = await findStore();
      const cached = repaired.has(sessionId) ? cache.get(sessionId) : undefined;
      const context = cached ?? (await serial.run(sessionId, () => load(store, session)));
      return { messages: [...context.messages], entryIds: [...context.entryIds], seqs: [...context.seqs], lastSeq: context.lastSeq };
    },
    async repair(session) {
      const store = await findStore();
      await serial.run(session.sessionId, () => load(store, session));
      const count = repaired.get(session.sessionId) ?? 0;
      repaired.set(session.sessionId, 0);
      return { repaired: count };
    },
    async reset(key, reason) {
      const store = await findStore();
      const old = await store.get({ key: canonical(key) });
      if (old === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key });
      return serial.run(old.sessionId, async () => {
        const session = await store.reset({ key: old.key, reason });
        forget(old);
        startEmpty(session);
        return session;
      });
    },
    async delete(key, { deleteTranscript } = {}) {
      const store = await findStore();
      const session = await store.get({ key: canonical(key) });
      if (session === undefined) return { deleted: false, archived: [] };
      return serial.run(session.sessionId, async () => {
        forget(session);
        return store.delete({ key: session.key, ...(deleteTranscript === undefined ? {} : { deleteTranscript }) });
      });
    },
    async sessionFile({ sessionId }) {
      return (await findStore()).sessionFile?.({ sessionId });
    },
    onUpdate(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The store of the current generation, asked for once per generation. `onChange` is told when another store serves than before. */
function createStoreFinder(source: GenerationSource, onChange: () => void): () => Promise<SessionStore> {
  let known: { generation: Generation; store: Promise<SessionStore> } | undefined;
  let latest: SessionStore | undefined;

  async function ask(generation: Generation): Promise<SessionStore> {
    const occupant = await generation.slot('sessionStore');
    if (occupant === undefined) throw durarError('DUR_SLOT_EMPTY', { slot: 'sessionStore', key: 'none' });
    // the kernel has checked the shape of what the slot's factory made
    const store = occupant.instance as SessionStore;
    if (latest !== undefined && latest !== store) onChange();
    latest = store;
    return store;
  }

  return () => {
    const generation = source.current();
    if (known?.generation === generation) return known.store;
    const store = ask(generation);
    known = { generation, store };
    store.catch(() => {
      // a slot that failed is asked again, for it can heal within a generation
      if (known?.store === store) known = undefined;
    });
    return store;
  };
}

async function appendMinted(store: SessionStore, sessionId: string, context: LiveContext, bodies: readonly EntryBody[]): Promise<StoredEntry[]> {
  for (let attempt = 1; ; attempt++) {
    const entries = mintEntries(bodies, context.lastSeq, Date.now());
    let refused: unknown;
    try {
      const { entries: places } = await store.append({ sessionId, entries });
      // ids that were there already: the store kept its old entries and wrote nothing
      if ((places[0]?.seq ?? 0) > context.lastSeq) {
        return entries.map((entry, index) => ({ ...entry, parentId: entries[index - 1]?.id ?? context.leafId, seq: places[index]?.seq ?? 0 }));
      }
    } catch (error) {
      if (errorCode(error) !== 'DUR_SESSION_ENTRY_ID') throw error;
      refused = error;
    }
    if (attempt === ID_ATTEMPTS) throw refused ?? durarError('DUR_SESSION_ENTRY_ID', { session: sessionId, id: entries[0]?.id });
  }
}
