import type { Db, Row } from './db.ts';
import type { Outbox, Outgoing } from './outbox.ts';

/**
 * `waiting`: accepted, no turn has begun with it. `started`: a turn has; what the transcript holds says how far it came. `dead`: it brought
 * the process down too often, or was given up; it waits for a person.
 */
export type InboxState = 'waiting' | 'started' | 'dead';

export interface InboxMessage {
  /** The run's id. */
  id: string;
  /** Order of acceptance. */
  seq: number;
  sessionKey: string;
  /** The request; the room that runs it knows its shape. JSON. */
  request: unknown;
  state: InboxState;
  /** How many turns have begun with it and came no further. */
  attempts: number;
  /** How far its turn had come when that was last looked at; its room knows the measure. */
  progress: number;
  /** epoch ms */
  acceptedAt: number;
  lastError?: string;
}

export type InboxLine = Omit<InboxMessage, 'request'>;

/** What somebody was told is accepted, on disk until it is answered. */
export interface Inbox {
  /** False when its id, or its key, was accepted before: then nothing changes. `key`: (channel, account, message id) where the sender's service has one. */
  add(message: { id: string; sessionKey: string; request: unknown; key?: string | undefined }, now: number): boolean;
  /** Whether a key or an id was accepted before. */
  knows(key: string): boolean;
  /** The id of the message that was accepted with this key or id. */
  idOf(key: string): string | undefined;
  get(id: string): InboxMessage | undefined;
  /** A turn begins with these. */
  start(ids: readonly string[]): void;
  /** Their turn has come this far, further than before: it begins to count its attempts anew. */
  advance(ids: readonly string[], progress: number): void;
  /** A turn that had begun with these was put off by a stop of the host; it does not count. */
  park(ids: readonly string[]): void;
  /** They are answered: gone from here and their answers in the outbox, both or neither. `results`: what became of them, by id, for `result`. */
  finish(ids: readonly string[], replies: readonly Outgoing[], now: number, results?: ReadonlyMap<string, unknown>): void;
  /** What became of a message that is answered; only the newest are kept. */
  result(id: string): unknown;
  bury(id: string, error: string): void;
  /** Those that are to be answered, in order, a page behind `afterSeq`. */
  open(afterSeq?: number, limit?: number): InboxMessage[];
  /** The same without what was asked, which may be large; of one session, and none behind `toSeq`, where they are given. */
  lines(range?: { sessionKey?: string; afterSeq?: number; toSeq?: number; limit?: number }): InboxLine[];
  /** Sessions with messages that are to be answered, the longest waiting first, how many each has and how many of them a turn has begun with. */
  sessions(): Array<{ sessionKey: string; count: number; started: number; lastSeq: number }>;
  dead(limit?: number): InboxMessage[];
  /** A dead message waits again. False when there is no such. */
  retry(id: string): boolean;
  /** Forgets a message. False when there is no such. */
  drop(id: string): boolean;
  counts(): Record<InboxState, number>;
  /** Forgets the keys of messages accepted before `before`, epoch ms; those still here stay known. */
  sweep(before: number): void;
}

const STEPS = [
  `CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL,
    error TEXT
  ) STRICT;
  CREATE INDEX inbox_state ON inbox (state, seq);
  CREATE TABLE inbox_seen (key TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX inbox_seen_at ON inbox_seen (at)`,
  `ALTER TABLE inbox_seen ADD COLUMN id TEXT;
  CREATE TABLE inbox_done (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, result TEXT NOT NULL) STRICT;
  CREATE INDEX inbox_session ON inbox (session, seq, state)`,
  `ALTER TABLE inbox ADD COLUMN progress INTEGER NOT NULL DEFAULT 0`,
];

const PAGE = 500;
/** Results kept. */
const RESULTS = 2_000;
const LINE = 'id, seq, session, state, attempts, progress, accepted, error';

export function createInbox(db: Db, outbox: Pick<Outbox, 'add'>): Inbox {
  db.migrate('inbox', STEPS);
  const see = (key: string, at: number, id: string): boolean =>
    db.run('INSERT INTO inbox_seen (key, at, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING', key, at, id) > 0;

  return {
    add: ({ id, sessionKey, request, key }, now) =>
      db.transaction(() => {
        const keys = key === undefined ? [id] : [id, key];
        if (keys.some((name) => db.get('SELECT 1 FROM inbox_seen WHERE key = ?', name) !== undefined)) return false;
        for (const name of keys) see(name, now, id);
        db.run(`INSERT INTO inbox (id, session, request, state, accepted) VALUES (?, ?, ?, 'waiting', ?)`, id, sessionKey, JSON.stringify(request), now);
        return true;
      }),
    knows: (key) => db.get('SELECT 1 FROM inbox_seen WHERE key = ?', key) !== undefined,
    idOf(key) {
      const row = db.get('SELECT id FROM inbox_seen WHERE key = ?', key);
      return row === undefined ? undefined : String(row.id ?? key);
    },
    get(id) {
      const row = db.get('SELECT * FROM inbox WHERE id = ?', id);
      return row === undefined ? undefined : messageOf(row);
    },
    start(ids) {
      db.transaction(() => {
        for (const id of ids) db.run(`UPDATE inbox SET state = 'started', attempts = attempts + 1 WHERE id = ?`, id);
      });
    },
    advance(ids, progress) {
      db.transaction(() => {
        for (const id of ids) db.run('UPDATE inbox SET attempts = 0, progress = ? WHERE id = ?', progress, id);
      });
    },
    park(ids) {
      db.transaction(() => {
        for (const id of ids) db.run('UPDATE inbox SET attempts = max(0, attempts - 1) WHERE id = ?', id);
      });
    },
    finish(ids, replies, now, results) {
      db.transaction(() => {
        for (const id of ids) db.run('DELETE FROM inbox WHERE id = ?', id);
        outbox.add(replies, now);
        if (results === undefined) return;
        for (const [id, result] of results) db.run('INSERT OR REPLACE INTO inbox_done (id, result) VALUES (?, ?)', id, JSON.stringify(result));
        db.run('DELETE FROM inbox_done WHERE seq <= (SELECT max(seq) FROM inbox_done) - ?', RESULTS);
      });
    },
    result(id) {
      const row = db.get('SELECT result FROM inbox_done WHERE id = ?', id);
      return row === undefined ? undefined : (JSON.parse(String(row.result)) as unknown);
    },
    bury: (id, error) => void db.run(`UPDATE inbox SET state = 'dead', error = ? WHERE id = ?`, error, id),
    open: (afterSeq = 0, limit = PAGE) => db.all(`SELECT * FROM inbox WHERE state <> 'dead' AND seq > ? ORDER BY seq LIMIT ?`, afterSeq, limit).map(messageOf),
    lines({ sessionKey, afterSeq = 0, toSeq = Number.MAX_SAFE_INTEGER, limit = PAGE } = {}) {
      const which = `SELECT ${LINE} FROM inbox WHERE state <> 'dead' AND seq > ? AND seq <= ?`;
      const rows =
        sessionKey === undefined
          ? db.all(`${which} ORDER BY seq LIMIT ?`, afterSeq, toSeq, limit)
          : db.all(`${which} AND session = ? ORDER BY seq LIMIT ?`, afterSeq, toSeq, sessionKey, limit);
      return rows.map(lineOf);
    },
    sessions: () =>
      db
        .all(
          `SELECT session, count(*) AS n, sum(state = 'started') AS begun, min(seq) AS first, max(seq) AS last
           FROM inbox WHERE state <> 'dead' GROUP BY session ORDER BY first`,
        )
        .map(({ session, n, begun, last }) => ({ sessionKey: String(session), count: Number(n), started: Number(begun), lastSeq: Number(last) })),
    dead: (limit = PAGE) => db.all(`SELECT * FROM inbox WHERE state = 'dead' ORDER BY seq LIMIT ?`, limit).map(messageOf),
    retry: (id) => db.run(`UPDATE inbox SET state = 'waiting', attempts = 0, error = NULL WHERE id = ? AND state = 'dead'`, id) > 0,
    drop: (id) => db.run('DELETE FROM inbox WHERE id = ?', id) > 0,
    counts() {
      const counts: Record<InboxState, number> = { waiting: 0, started: 0, dead: 0 };
      for (const row of db.all('SELECT state, count(*) AS n FROM inbox GROUP BY state')) counts[row.state as InboxState] = Number(row.n);
      return counts;
    },
    sweep(before) {
      db.run('DELETE FROM inbox_seen WHERE at < ? AND key NOT IN (SELECT id FROM inbox)', before);
    },
  };
}

function messageOf(row: Row): InboxMessage {
  return { ...lineOf(row), request: JSON.parse(String(row.request)) as unknown };
}

function lineOf(row: Row): InboxLine {
  return {
    id: String(row.id),
    seq: Number(row.seq),
    sessionKey: String(row.session),
    state: row.state as InboxState,
    attempts: Number(row.attempts),
    progress: Number(row.progress),
    acceptedAt: Number(row.accepted),
    ...(row.error === null ? {} : { lastError: String(row.error) }),
  };
}
