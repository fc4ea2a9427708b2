import type { Db } from './db.ts';

/** One compared turn as it is stored; `row` is JSON. */
export interface StoredComparison {
  sessionId: string;
  sessionKey: string;
  /** epoch ms */
  at: number;
  row: unknown;
  /** Turns of the session after this one that were not compared. */
  skipped: number;
}

/** What the shadow engine did beside the active one, turn by turn: the newest turns of each session. */
export interface ShadowTurns {
  /** Adds a turn. What is too old goes. */
  add(turn: StoredComparison): void;
  /** Counts a turn that is not compared, with the session's newest one; false when there is none. */
  skip(sessionId: string): boolean;
  /** Oldest first. */
  list(filter: { sessionKey?: string | undefined; since?: number | undefined }): StoredComparison[];
  delete(sessionId: string): void;
}

const STEPS = [
  `CREATE TABLE shadow_turns (
     id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, row TEXT NOT NULL, skipped INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX shadow_turns_of_session ON shadow_turns (session, id)`,
];
/** Turns kept. */
const LIMITS = { session: 500, all: 20_000 };

export function createShadowTurns(db: Db, limits: { session: number; all: number } = LIMITS): ShadowTurns {
  db.migrate('shadow', STEPS);
  return {
    add({ sessionId, sessionKey, at, row, skipped }) {
      db.transaction(() => {
        db.run(
          'INSERT INTO shadow_turns (session, key, at, row, skipped) VALUES (?, ?, ?, ?, ?)',
          sessionId,
          sessionKey,
          Math.floor(at),
          JSON.stringify(row),
          skipped,
        );
        db.run(
          'DELETE FROM shadow_turns WHERE session = ? AND id <= (SELECT id FROM shadow_turns WHERE session = ? ORDER BY id DESC LIMIT 1 OFFSET ?)',
          sessionId,
          sessionId,
          limits.session,
        );
        db.run('DELETE FROM shadow_turns WHERE id <= (SELECT max(id) FROM shadow_turns) - ?', limits.all);
      });
    },
    skip: (sessionId) => db.run('UPDATE shadow_turns SET skipped = skipped + 1 WHERE id = (SELECT max(id) FROM shadow_turns WHERE session = ?)', sessionId) > 0,
    list({ sessionKey, since = 0 }) {
      const columns = 'SELECT session, key, at, row, skipped FROM shadow_turns';
      const rows =
        sessionKey === undefined
          ? db.all(`${columns} WHERE at >= ? ORDER BY id`, Math.floor(since))
          : db.all(`${columns} WHERE at >= ? AND key = ? ORDER BY id`, Math.floor(since), sessionKey);
      return rows.map(({ session, key, at, row, skipped }) => ({
        sessionId: String(session),
        sessionKey: String(key),
        at: Number(at),
        row: JSON.parse(String(row)),
        skipped: Number(skipped),
      }));
    },
    delete(sessionId) {
      db.run('DELETE FROM shadow_turns WHERE session = ?', sessionId);
    },
  };
}
