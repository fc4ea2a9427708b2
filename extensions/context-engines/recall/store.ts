import type { AgentMessage, PluginLogger } from 'Durar/plugin-sdk/core';
import { type Database, openDatabase } from './database.ts';
import { type Ledger, storedText } from './ledger.ts';
import { matchExpression, searchableText } from './query.ts';

/** A longer text (a large tool result) is kept whole, but only so much of it can be searched. */
const INDEXED_CHARS = 200_000;
/** Entries of one session are numbered within a range of so many ids. */
const RANGE = 2 ** 32;
/** A search looks at about so many messages: where the words are common, only the rarest of them count. */
const SEARCHED = 2_000;

/** A session of the store, and where its window begins. */
export interface SessionRow {
  id: number;
  startStamp: string | undefined;
  startPlace: number;
  cap: number | undefined;
  capStamp: string | undefined;
}

/** A stored message. `ref` is what the tools call it. */
export interface StoredMessage {
  ref: number;
  place: number;
  entryId: string | undefined;
  stamp: string;
  role: string;
  tool: string | undefined;
  /** epoch ms */
  at: number;
  tokens: number;
  text: string;
}

export interface Hit {
  ref: number;
  place: number;
  role: string;
  /** Higher is better. */
  score: number;
}

export interface Note {
  stamp: string;
  text: string;
  refs: number[];
}

/** Every message of every session, searchable. All calls are synchronous; errors are `RECALL_*`. */
export interface Store {
  readonly renewals: number;
  session(sessionId: string): SessionRow;
  /** false: the entry was there. */
  add(session: SessionRow, message: AgentMessage, entry: { entryId?: string | undefined; seq?: number | undefined }): boolean;
  /** Takes in what is in a history and not in the store, between its neighbours; returns how many that were. */
  adopt(session: SessionRow, history: readonly AgentMessage[]): number;
  placeOf(session: SessionRow, stamp: string): number | undefined;
  /** Best first; only what stands before `before`. */
  search(session: SessionRow, terms: readonly string[], before: number, limit: number): Hit[];
  /** The message that a tool's caller named; undefined: none of this session. */
  message(session: SessionRow, ref: number): StoredMessage | undefined;
  /** From `place` on (or, going `back`, before it), nearest first. */
  neighbours(session: SessionRow, place: number, back: boolean, limit: number): StoredMessage[];
  /** What belongs to a message: the user's words before it and the last reply before the user spoke again. */
  exchange(session: SessionRow, place: number): { question: StoredMessage | undefined; answer: StoredMessage | undefined };
  lastPlace(session: SessionRow): number;
  /** Something stands before a place. */
  hasEarlier(session: SessionRow, place: number): boolean;
  setStart(session: SessionRow, stamp: string, place: number): void;
  setCap(session: SessionRow, stamp: string, cap: number): void;
  notes(session: SessionRow): Note[];
  addNote(session: SessionRow, note: Note, place: number): void;
  /** Everything that is kept of a session, its bytes included. */
  remove(sessionId: string): void;
  close(): void;
}

type Row = Record<string, unknown>;

const ADD = 'INSERT INTO entries (id, session, place, entry_id, stamp, role, tool, at, tokens, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)';

export function openStore(options: { file: string; log: PluginLogger; ledger: Ledger }): Store {
  const { ledger } = options;
  const db: Database = openDatabase(options.file, options.log);
  const get = (sql: string, ...values: Array<string | number | null>): Row | undefined => db.run(sql, (statement) => statement.get(...values));
  const all = (sql: string, ...values: Array<string | number | null>): Row[] => db.run(sql, (statement) => statement.all(...values));
  const run = (sql: string, ...values: Array<string | number | bigint | null>) => db.run(sql, (statement) => statement.run(...values));

  function insert(session: SessionRow, message: AgentMessage, place: number, entryId: string | undefined): void {
    const text = storedText(message);
    const tool = message.role === 'toolResult' ? message.toolName : null;
    const id = Math.max(base(session), Number(get('SELECT max(id) AS id FROM entries WHERE id BETWEEN ? AND ?', ...range(session))?.id ?? 0)) + 1;
    const values = [id, session.id, place, entryId ?? null, ledger.stamp(message), message.role, tool, Math.trunc(message.timestamp)];
    run(ADD, ...values, ledger.tokens(message), text);
    run('INSERT INTO words (rowid, text) VALUES (?, ?)', id, searchableText(text.slice(0, INDEXED_CHARS)));
  }

  /** Entries of a log that was cut back: their numbers are given to others now. */
  function removeAt(session: SessionRow, place: number): void {
    for (const { id } of all('SELECT id FROM entries WHERE session = ? AND place = ?', session.id, place)) {
      run('DELETE FROM words WHERE rowid = ?', Number(id));
      run('DELETE FROM entries WHERE id = ?', Number(id));
    }
  }

  /** The terms that the session has, the rarest first, as long as a search for them stays short. */
  function rarest(session: SessionRow, terms: readonly string[]): string[] {
    const count = (term: string) =>
      Number(get('SELECT count(*) AS count FROM words WHERE words MATCH ? AND rowid BETWEEN ? AND ?', matchExpression([term]), ...range(session))?.count);
    const counted = terms.map((term) => ({ term, count: count(term) })).filter((each) => each.count > 0);
    counted.sort((a, b) => a.count - b.count);
    let sum = 0;
    const chosen = counted.filter((each, index) => {
      sum += each.count;
      return index === 0 || sum <= SEARCHED;
    });
    return chosen.map(({ term }) => term);
  }

  const store: Store = {
    get renewals() {
      return db.renewals;
    },

    session(sessionId) {
      const find = () => get('SELECT * FROM sessions WHERE session_id = ?', sessionId);
      let row = find();
      if (row === undefined) {
        run('INSERT INTO sessions (session_id) VALUES (?) ON CONFLICT DO NOTHING', sessionId);
        row = find() ?? {};
      }
      return {
        id: Number(row.id),
        startStamp: text(row.start_stamp),
        startPlace: Number(row.start_place),
        cap: row.cap === null ? undefined : Number(row.cap),
        capStamp: text(row.cap_stamp),
      };
    },

    add(session, message, { entryId, seq }) {
      return db.transaction(() => {
        if (entryId !== undefined && get('SELECT 1 FROM entries WHERE session = ? AND entry_id = ?', session.id, entryId) !== undefined) return false;
        // seen in a history before it was given: now it gets its name and its number
        const seen = get(
          'SELECT id, entry_id FROM entries WHERE session = ? AND stamp = ? ORDER BY entry_id IS NOT NULL, place',
          session.id,
          ledger.stamp(message),
        );
        if (seen !== undefined && (seen.entry_id === null || entryId === undefined)) {
          if (entryId !== undefined) run('UPDATE entries SET entry_id = ?, place = coalesce(?, place) WHERE id = ?', entryId, seq ?? null, Number(seen.id));
          return false;
        }
        if (seq !== undefined) removeAt(session, seq);
        insert(session, message, seq ?? Math.floor(store.lastPlace(session)) + 1, entryId);
        return true;
      });
    },

    adopt(session, history) {
      const places = new Map<string, number[]>();
      for (const row of all('SELECT stamp, place FROM entries WHERE session = ? ORDER BY place', session.id)) {
        const known = places.get(String(row.stamp));
        if (known === undefined) places.set(String(row.stamp), [Number(row.place)]);
        else known.push(Number(row.place));
      }
      const found = history.map((message) => places.get(ledger.stamp(message))?.shift());
      if (!found.includes(undefined)) return 0;
      return db.transaction(() => {
        let count = 0;
        let last = 0;
        let index = 0;
        while (index < history.length) {
          const place = found[index];
          if (place !== undefined) {
            last = Math.max(last, place);
            index += 1;
            continue;
          }
          let end = index;
          while (end < history.length && found[end] === undefined) end += 1;
          const missing = end - index;
          const next = found[end] ?? Math.floor(last) + missing + 1;
          // close to what follows: of a summary, that is what was kept
          last = Math.max(last, next - missing - 0.5);
          const step = Math.max(0, next - last) / (missing + 1);
          for (const message of history.slice(index, end)) {
            last += step;
            insert(session, message, last, undefined);
            count += 1;
          }
          index = end;
        }
        return count;
      });
    },

    placeOf(session, stamp) {
      const row = get('SELECT place FROM entries WHERE session = ? AND stamp = ? ORDER BY place DESC LIMIT 1', session.id, stamp);
      return typeof row?.place === 'number' ? row.place : undefined;
    },

    search(session, terms, before, limit) {
      const rare = rarest(session, terms);
      if (rare.length === 0) return [];
      const sql = `SELECT entries.id AS id, place, role, -bm25(words) AS score FROM words JOIN entries ON entries.id = words.rowid
        WHERE words MATCH ? AND words.rowid BETWEEN ? AND ? AND place < ? ORDER BY score DESC, place DESC LIMIT ?`;
      return all(sql, matchExpression(rare), ...range(session), before, limit).map((row) => ({
        ref: refOf(row.id),
        place: Number(row.place),
        role: String(row.role),
        score: Number(row.score),
      }));
    },

    message(session, ref) {
      const row = ref < RANGE ? get('SELECT * FROM entries WHERE id = ?', base(session) + ref) : undefined;
      return row === undefined ? undefined : stored(row);
    },

    neighbours(session, place, back, limit) {
      const sql = back
        ? 'SELECT * FROM entries WHERE session = ? AND place < ? ORDER BY place DESC LIMIT ?'
        : 'SELECT * FROM entries WHERE session = ? AND place >= ? ORDER BY place LIMIT ?';
      return all(sql, session.id, place, limit).map(stored);
    },

    exchange(session, place) {
      const asked = get("SELECT * FROM entries WHERE session = ? AND place <= ? AND role = 'user' ORDER BY place DESC LIMIT 1", session.id, place);
      const next = get("SELECT place FROM entries WHERE session = ? AND place > ? AND role = 'user' ORDER BY place LIMIT 1", session.id, place);
      const answered = get(
        "SELECT * FROM entries WHERE session = ? AND place > ? AND place < ? AND role = 'assistant' ORDER BY place DESC LIMIT 1",
        session.id,
        Number(asked?.place ?? 0),
        Number(next?.place ?? Number.MAX_SAFE_INTEGER),
      );
      return { question: asked && stored(asked), answer: answered && stored(answered) };
    },

    lastPlace: (session) => Number(get('SELECT max(place) AS place FROM entries WHERE session = ?', session.id)?.place ?? 0),

    hasEarlier: (session, place) => get('SELECT 1 FROM entries WHERE session = ? AND place < ? LIMIT 1', session.id, place) !== undefined,

    setStart(session, stamp, place) {
      db.transaction(() => {
        run('UPDATE sessions SET start_stamp = ?, start_place = ? WHERE id = ?', stamp, place, session.id);
        run('DELETE FROM notes WHERE session = ? AND place < ?', session.id, place);
      });
    },

    setCap(session, stamp, cap) {
      run('UPDATE sessions SET cap = ?, cap_stamp = ? WHERE id = ?', cap, stamp, session.id);
    },

    notes: (session) =>
      all('SELECT stamp, text, refs FROM notes WHERE session = ? ORDER BY place', session.id).map((row) => ({
        stamp: String(row.stamp),
        text: String(row.text),
        refs: JSON.parse(String(row.refs)) as number[],
      })),

    addNote(session, { stamp, text: content, refs }, place) {
      run('INSERT OR REPLACE INTO notes (session, stamp, place, text, refs) VALUES (?, ?, ?, ?, ?)', session.id, stamp, place, content, JSON.stringify(refs));
    },

    remove(sessionId) {
      const row = get('SELECT id FROM sessions WHERE session_id = ?', sessionId);
      if (row === undefined) return;
      const id = Number(row.id);
      db.transaction(() => {
        run('DELETE FROM words WHERE rowid BETWEEN ? AND ?', id * RANGE, (id + 1) * RANGE - 1);
        for (const table of ['entries', 'notes']) run(`DELETE FROM ${table} WHERE session = ?`, id);
        run('DELETE FROM sessions WHERE id = ?', id);
      });
      // words of the deleted messages stay in the index until its parts are merged, and pages of the log until it is written back
      run("INSERT INTO words (words) VALUES ('optimize')");
      get('PRAGMA wal_checkpoint(TRUNCATE)');
    },

    close: () => db.close(),
  };
  return store;
}

function base({ id }: SessionRow): number {
  return id * RANGE;
}

function range(session: SessionRow): [number, number] {
  return [base(session), base(session) + RANGE - 1];
}

function refOf(id: unknown): number {
  return Number(id) % RANGE;
}

function stored(row: Row): StoredMessage {
  return {
    ref: refOf(row.id),
    place: Number(row.place),
    entryId: text(row.entry_id),
    stamp: String(row.stamp),
    role: String(row.role),
    tool: text(row.tool),
    at: Number(row.at),
    tokens: Number(row.tokens),
    text: String(row.text),
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
