import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { durarError, type NewEntry, type SessionListParams, type SessionRecord, type SessionStore, type StoredEntry } from 'Durar/plugin-sdk/core';
import { writePrivateFile } from 'Durar/plugin-sdk/private-file';

/** One session as its file holds it. */
interface Session {
  record: SessionRecord;
  entries: StoredEntry[];
}

/** What a new session of the same key takes over from the old one. */
const KEPT = ['label', 'displayName', 'channel', 'chatType', 'modelOverride', 'thinkingLevel', 'verboseLevel', 'reasoningLevel'] as const;

/**
 * Every session is one JSON file that is replaced as a whole, so a reader finds the old state or the new one. All are kept in memory:
 * good for hundreds of short sessions. A store for more of them appends instead.
 */
export async function createStore(id: string, folder: string): Promise<SessionStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const byKey = new Map<string, Session>();
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.json')) continue;
    const session = JSON.parse(await readFile(join(folder, name), 'utf8')) as Session;
    byKey.set(session.record.key, session);
  }
  let last: Promise<unknown> = Promise.resolve();
  /** Changes run one after the other; reads need not wait, because memory changes only after the file did. */
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
  const fileOf = (sessionId: string) => join(folder, `${sessionId}.json`);
  const find = (sessionId: string) => [...byKey.values()].find(({ record }) => record.sessionId === sessionId);
  const ofKey = (key: string) => byKey.get(key) ?? unknown(key);

  async function save(session: Session): Promise<void> {
    await writePrivateFile(fileOf(session.record.sessionId), JSON.stringify(session));
    byKey.set(session.record.key, session);
  }

  function newRecord(key: string, agentId: string, more: Partial<SessionRecord> = {}): SessionRecord {
    const now = Date.now();
    return { createdAt: now, updatedAt: now, ...more, key, agentId, sessionId: randomUUID() };
  }

  return {
    id,
    open: ({ key, agentId, create }) =>
      inTurn(async () => {
        const present = byKey.get(key);
        if (present !== undefined) return { session: structuredClone(present.record), created: false };
        const record = newRecord(key, agentId, create);
        await save({ record, entries: [] });
        return { session: structuredClone(record), created: true };
      }),
    async get(params) {
      const found = 'key' in params ? byKey.get(params.key) : find(params.sessionId);
      return structuredClone(found?.record);
    },
    async list(params) {
      const matching = [...byKey.values()].map(({ record }) => record).filter((record) => matches(record, params));
      matching.sort((left, right) => right.updatedAt - left.updatedAt);
      const { offset = 0, limit = matching.length } = params;
      return { sessions: structuredClone(matching.slice(offset, offset + limit)), total: matching.length };
    },
    patch: ({ key, fields, touch = true }) =>
      inTurn(async () => {
        const { record, entries } = ofKey(key);
        const merged = { ...record, ...(touch ? { updatedAt: Date.now() } : {}), ...fields };
        const next = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null && value !== undefined)) as unknown as SessionRecord;
        await save({ record: next, entries });
        return structuredClone(next);
      }),
    append: ({ sessionId, entries }) =>
      inTurn(async () => {
        const session = find(sessionId) ?? unknown(sessionId);
        const known = new Map(session.entries.map((entry) => [entry.id, entry.seq]));
        if (isRepeat(entries, known, sessionId)) return { entries: entries.map((entry) => ({ id: entry.id, seq: known.get(entry.id) ?? 0 })) };
        const stored: StoredEntry[] = [];
        for (const entry of entries) {
          const before = stored.at(-1) ?? session.entries.at(-1);
          stored.push({ ...structuredClone(entry), parentId: before?.id ?? null, seq: (before?.seq ?? 0) + 1 });
        }
        await save({ record: { ...session.record, updatedAt: Date.now() }, entries: [...session.entries, ...stored] });
        return { entries: stored.map((entry) => ({ id: entry.id, seq: entry.seq })) };
      }),
    async read({ sessionId, fromSeq, limit }) {
      const { entries } = find(sessionId) ?? unknown(sessionId);
      const from = entries.slice(fromSeq === undefined ? 0 : Math.max(0, fromSeq - 1));
      const part = limit === undefined ? from : fromSeq === undefined ? from.slice(-limit) : from.slice(0, limit);
      return { entries: structuredClone(part), lastSeq: entries.length };
    },
    reset: ({ key }) =>
      inTurn(async () => {
        const { record: old } = ofKey(key);
        const kept = Object.fromEntries(KEPT.flatMap((name) => (old[name] === undefined ? [] : [[name, old[name]]])));
        const record = newRecord(key, old.agentId, kept);
        await save({ record, entries: [] });
        await rename(fileOf(old.sessionId), `${fileOf(old.sessionId)}.reset`);
        return structuredClone(record);
      }),
    delete: ({ key, deleteTranscript = false }) =>
      inTurn(async () => {
        const session = byKey.get(key);
        if (session === undefined) return { deleted: false, archived: [] };
        const file = fileOf(session.record.sessionId);
        if (deleteTranscript) await rm(file);
        else await rename(file, `${file}.deleted`);
        byKey.delete(key);
        return { deleted: true, archived: deleteTranscript ? [] : [`${file}.deleted`] };
      }),
    sessionFile: async ({ sessionId }) => (find(sessionId) === undefined ? undefined : fileOf(sessionId)),
    close: async () => void (await last),
  };
}

/** True when all of them are there already; some of them, or one twice, is a mistake of the caller. */
function isRepeat(entries: readonly NewEntry[], known: ReadonlyMap<string, number>, sessionId: string): boolean {
  const repeated = entries.filter((entry) => known.has(entry.id));
  const isMixed = repeated.length > 0 && repeated.length < entries.length;
  const twice = entries.find(({ id }, place) => entries.findIndex((other) => other.id === id) < place);
  if (isMixed || twice !== undefined) throw durarError('DUR_SESSION_ENTRY_ID', { session: sessionId, id: (twice ?? repeated[0])?.id });
  return entries.length > 0 && repeated.length === entries.length;
}

function matches(record: SessionRecord, { agentId, activeSince, search, label, spawnedBy }: SessionListParams): boolean {
  if (agentId !== undefined && record.agentId !== agentId) return false;
  if (activeSince !== undefined && record.updatedAt < activeSince) return false;
  if (label !== undefined && record.label !== label) return false;
  if (spawnedBy !== undefined && record.spawnedBy !== spawnedBy) return false;
  return search === undefined || `${record.key}\n${record.label ?? ''}\n${record.displayName ?? ''}`.toLowerCase().includes(search.toLowerCase());
}

function unknown(key: string): never {
  throw durarError('DUR_SESSION_UNKNOWN', { key });
}
