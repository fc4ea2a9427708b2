import { describe, expect, it } from 'vitest';
import { durarError, errorCode } from '../errors.ts';
import type { NewEntry, SessionRecord, SessionStore } from '../ports/session-store.ts';
import { runContract } from './contract.ts';
import { type SessionStoreContext, sessionStoreContract } from './session-store.ts';

/** The least store that keeps all promises; `mutate` breaks one. */
function memoryStore(mutate: (store: SessionStore) => Partial<SessionStore> = () => ({})): SessionStoreContext {
  const rows = new Map<string, SessionRecord>();
  const logs = new Map<string, Array<NewEntry & { parentId: string | null; seq: number }>>();
  let count = 0;
  const log = (sessionId: string) => logs.get(sessionId) ?? raise(sessionId);
  const raise = (key: string): never => {
    throw durarError('DUR_SESSION_UNKNOWN', { key });
  };
  const row = (key: string) => rows.get(key) ?? raise(key);
  const create = (key: string, fields: Partial<SessionRecord>): SessionRecord => {
    const session = { agentId: '', createdAt: Date.now(), updatedAt: Date.now(), ...fields, key, sessionId: `s${++count}` };
    rows.set(key, session);
    logs.set(session.sessionId, []);
    return session;
  };
  const base: SessionStore = {
    id: 'memory',
    async open({ key, agentId, create: fields }) {
      const present = rows.get(key);
      return present === undefined ? { session: create(key, { ...fields, agentId }), created: true } : { session: present, created: false };
    },
    get: async (params) => ('key' in params ? rows.get(params.key) : [...rows.values()].find(({ sessionId }) => sessionId === params.sessionId)),
    async list({ agentId, activeSince = 0, label, spawnedBy, search, limit, offset = 0 }) {
      const found = [...rows.values()]
        .filter((each) => (agentId ?? each.agentId) === each.agentId && each.updatedAt >= activeSince)
        .filter((each) => (label ?? each.label) === each.label && (spawnedBy ?? each.spawnedBy) === each.spawnedBy)
        .filter((each) => [each.key, each.displayName ?? ''].some((text) => text.toLowerCase().includes((search ?? '').toLowerCase())))
        .sort((left, right) => right.updatedAt - left.updatedAt);
      return { sessions: found.slice(offset, limit === undefined ? undefined : offset + limit), total: found.length };
    },
    async patch({ key, fields, touch = true }) {
      const merged = Object.entries({ ...row(key), ...(touch ? { updatedAt: Date.now() } : {}), ...fields }).filter(([, value]) => value !== null);
      const session = Object.fromEntries(merged) as unknown as SessionRecord;
      rows.set(key, session);
      return session;
    },
    async append({ sessionId, entries }) {
      const stored = log(sessionId);
      const copy = structuredClone(JSON.parse(JSON.stringify(entries))) as NewEntry[];
      const seqs = new Map(stored.map(({ id, seq }) => [id, seq]));
      const there = copy.filter(({ id }) => seqs.has(id));
      if (there.length > 0 && there.length === copy.length) return { entries: copy.map(({ id }) => ({ id, seq: seqs.get(id) ?? 0 })) };
      const repeated = there[0]?.id ?? copy.find(({ id }, index) => copy.findIndex((other) => other.id === id) !== index)?.id;
      if (repeated !== undefined) throw durarError('DUR_SESSION_ENTRY_ID', { session: sessionId, id: repeated });
      for (const entry of copy) stored.push({ ...entry, parentId: stored.at(-1)?.id ?? null, seq: stored.length + 1 });
      for (const [key, session] of rows) if (session.sessionId === sessionId) rows.set(key, { ...session, updatedAt: Date.now() });
      return { entries: copy.map(({ id }, index) => ({ id, seq: stored.length - copy.length + index + 1 })) };
    },
    async read({ sessionId, fromSeq, limit = Number.POSITIVE_INFINITY }) {
      const stored = log(sessionId);
      const from = fromSeq ?? Math.max(1, stored.length - limit + 1);
      return { entries: stored.filter(({ seq }) => seq >= from).slice(0, limit), lastSeq: stored.length };
    },
    async reset({ key }) {
      const { sessionId, thinkingLevel, agentId } = row(key);
      logs.delete(sessionId);
      return create(key, { agentId, ...(thinkingLevel === undefined ? {} : { thinkingLevel }) });
    },
    async delete({ key }) {
      return { deleted: rows.delete(key), archived: [] };
    },
    close: async () => {},
  };
  const store = { ...base, ...mutate(base) };
  return { store, reopen: async () => store };
}

const failures = async (mutate?: (store: SessionStore) => Partial<SessionStore>) =>
  (await runContract(sessionStoreContract, () => memoryStore(mutate))).results.filter(({ status }) => status === 'failed').map(({ name }) => name);

describe('the contract of session stores', () => {
  it('is kept by a store in memory, which is asked neither for files nor for rewrites', async () => {
    const report = await runContract(sessionStoreContract, () => memoryStore());
    expect(report.results.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(report.results.filter(({ status }) => status === 'skipped').map(({ reason }) => reason)).toEqual([
      'the store does not rewrite',
      'the store does not rewrite',
      'the store keeps no local files',
    ]);
  });

  it.each<[string, (store: SessionStore) => Partial<SessionStore>]>([
    ['forgets the limit', (store) => ({ read: ({ sessionId }) => store.read({ sessionId }) })],
    ['takes the oldest for the newest', (store) => ({ read: (params) => store.read({ fromSeq: 1, ...params }) })],
    [
      'numbers from zero',
      (store) => ({ append: async (params) => ({ entries: (await store.append(params)).entries.map(({ id, seq }) => ({ id, seq: seq - 1 })) }) }),
    ],
    [
      'stores twice what is sent twice',
      (store) => ({ append: ({ sessionId, entries }) => store.append({ sessionId, entries: entries.map((entry) => ({ ...entry, id: `${Math.random()}` })) }) }),
    ],
    ['drops a field', (store) => ({ patch: ({ key, fields: { extra: _extra, ...fields } }) => store.patch({ key, fields }) })],
    ['always touches', (store) => ({ patch: ({ key, fields }) => store.patch({ key, fields }) })],
    ['counts the page only', (store) => ({ list: async (params) => ({ ...(await store.list(params)), total: (await store.list(params)).sessions.length }) })],
    ['keeps the session over a reset', (store) => ({ reset: async ({ key }) => (await store.open({ key, agentId: 'main' })).session })],
    [
      'does not fill the places of a message',
      (store) => ({
        append: (params) =>
          store.append(params).catch((error: unknown) => {
            throw errorCode(error) === 'DUR_SESSION_ENTRY_ID' ? durarError('DUR_SESSION_ENTRY_ID', { id: 'known' }) : error;
          }),
      }),
    ],
    ['invents sessions', (store) => ({ read: (params) => store.read(params).catch(() => ({ entries: [], lastSeq: 0 })) })],
  ])('is broken by a store that %s', async (_name, mutate) => {
    expect(await failures(mutate)).not.toEqual([]);
  });
});
