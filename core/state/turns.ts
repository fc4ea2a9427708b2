import type { Db, Row } from './db.ts';

/** One turn as it is stored. Both texts are JSON; the parts are much the larger of the two. */
export interface StoredTurn {
  head: unknown;
  parts: unknown;
}

/** What each turn sent to its model: the newest turns of each session. */
export interface Turns {
  /** Adds a turn, or replaces the one of the same run. What is too old goes. */
  put(session: string, runId: string, turn: StoredTurn): void;
  /** Heads, newest first. */
  heads(session: string, limit: number): unknown[];
  /** By run. */
  get(runId: string): StoredTurn | undefined;
  /** By place, 1 for the newest. */
  at(session: string, place: number): StoredTurn | undefined;
  delete(session: string): void;
}

const STEPS = [
  `CREATE TABLE turns (id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, run TEXT NOT NULL UNIQUE, head TEXT NOT NULL, parts TEXT NOT NULL) STRICT;
   CREATE INDEX turns_of_session ON turns (session, id)`,
];
/** Turns kept. Sessions that nobody opens again would fill the disk without the second bound. */
const LIMITS = { session: 200, all: 20_000 };

export function createTurns(db: Db, limits: { session: number; all: number } = LIMITS): Turns {
  db.migrate('turns', STEPS);
  return {
    put(session, runId, { head, parts }) {
      db.transaction(() => {
        db.run(
          'INSERT INTO turns (session, run, head, parts) VALUES (?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET head = excluded.head, parts = excluded.parts',
          session,
          runId,
          JSON.stringify(head),
          JSON.stringify(parts),
        );
        db.run(
          'DELETE FROM turns WHERE session = ? AND id <= (SELECT id FROM turns WHERE session = ? ORDER BY id DESC LIMIT 1 OFFSET ?)',
          session,
          session,
          limits.session,
        );
        db.run('DELETE FROM turns WHERE id <= (SELECT max(id) FROM turns) - ?', limits.all);
      });
    },
    heads: (session, limit) =>
      db.all('SELECT head FROM turns WHERE session = ? ORDER BY id DESC LIMIT ?', session, limit).map(({ head }) => JSON.parse(String(head))),
    get: (runId) => turnOf(db.get('SELECT head, parts FROM turns WHERE run = ?', runId)),
    at: (session, place) => turnOf(db.get('SELECT head, parts FROM turns WHERE session = ? ORDER BY id DESC LIMIT 1 OFFSET ?', session, place - 1)),
    delete(session) {
      db.run('DELETE FROM turns WHERE session = ?', session);
    },
  };
}

function turnOf(row: Row | undefined): StoredTurn | undefined {
  return row === undefined ? undefined : { head: JSON.parse(String(row.head)), parts: JSON.parse(String(row.parts)) };
}
