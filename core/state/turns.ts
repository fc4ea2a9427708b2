import { hash } from 'node:crypto';
import type { Db, Row } from './db.ts';

/** One turn as it is stored; all of it is JSON. */
export interface StoredTurn {
  head: unknown;
  /** Much the larger of the two. Of one turn to the next most groups are the same, and such a group is stored once for all of them. */
  groups: readonly unknown[];
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
  // turns.parts: ids of groups. turn_groups.until: no turn after this one has the group; null while the newest turn has it
  `CREATE TABLE turn_groups (id INTEGER PRIMARY KEY, session TEXT NOT NULL, until INTEGER, digest TEXT NOT NULL, body TEXT NOT NULL) STRICT;
   CREATE INDEX turn_groups_of_session ON turn_groups (session, until);
   INSERT INTO turn_groups (id, session, until, digest, body) SELECT id, session, id, '', parts FROM turns;
   UPDATE turns SET parts = '[' || id || ']';
   CREATE TABLE turn_bytes (total INTEGER NOT NULL) STRICT;
   INSERT INTO turn_bytes SELECT
     (SELECT coalesce(sum(octet_length(head) + octet_length(parts)), 0) FROM turns) + (SELECT coalesce(sum(octet_length(body)), 0) FROM turn_groups);
   CREATE TRIGGER turn_added AFTER INSERT ON turns BEGIN
     UPDATE turn_bytes SET total = total + octet_length(new.head) + octet_length(new.parts); END;
   CREATE TRIGGER turn_changed AFTER UPDATE OF head, parts ON turns BEGIN
     UPDATE turn_bytes SET total = total + octet_length(new.head) + octet_length(new.parts) - octet_length(old.head) - octet_length(old.parts); END;
   CREATE TRIGGER turn_removed AFTER DELETE ON turns BEGIN
     UPDATE turn_bytes SET total = total - octet_length(old.head) - octet_length(old.parts); END;
   CREATE TRIGGER turn_group_added AFTER INSERT ON turn_groups BEGIN UPDATE turn_bytes SET total = total + octet_length(new.body); END;
   CREATE TRIGGER turn_group_removed AFTER DELETE ON turn_groups BEGIN UPDATE turn_bytes SET total = total - octet_length(old.body); END`,
];

interface Limits {
  /** turns of one session */
  session: number;
  /** Turns in all, and their bytes: sessions that nobody opens again would fill the disk without these. */
  all: number;
  bytes: number;
}

const LIMITS: Limits = { session: 200, all: 20_000, bytes: 64 * 2 ** 20 };
/** Turns that go at once when all are too large. */
const STEP = 64;

export function createTurns(db: Db, limits: Limits = LIMITS): Turns {
  db.migrate('turns', STEPS);

  /** Stores what the session's newest turn does not have, and returns the ids of all. */
  function storeGroups(session: string, groups: readonly unknown[]): number[] {
    const current = new Map<string, number>();
    for (const { id, digest } of db.all('SELECT id, digest FROM turn_groups WHERE session = ? AND until IS NULL', session)) {
      current.set(String(digest), Number(id));
    }
    const used = new Set<string>();
    const ids = groups.map((group) => {
      const body = JSON.stringify(group);
      const digest = hash('sha1', body, 'base64url');
      used.add(digest);
      const known = current.get(digest);
      if (known !== undefined) return known;
      const id = Number(db.get('INSERT INTO turn_groups (session, digest, body) VALUES (?, ?, ?) RETURNING id', session, digest, body)?.id);
      current.set(digest, id);
      return id;
    });
    const newest = Number(db.get('SELECT max(id) AS id FROM turns WHERE session = ?', session)?.id ?? 0);
    for (const [digest, id] of current) if (!used.has(digest)) db.run('UPDATE turn_groups SET until = ? WHERE id = ?', newest, id);
    return ids;
  }

  /** Removes the groups that only the given turns, the oldest of their sessions, had. */
  function sweep(removed: readonly Row[]): void {
    for (const session of new Set(removed.map((row) => String(row.session)))) {
      db.run('DELETE FROM turn_groups WHERE session = ? AND until < (SELECT coalesce(min(id), 9e15) FROM turns WHERE session = ?)', session, session);
    }
  }

  function shrink(): void {
    while (Number(db.get('SELECT total FROM turn_bytes')?.total) > limits.bytes) {
      const removed = db.all(
        'DELETE FROM turns WHERE id IN (SELECT id FROM turns WHERE id < (SELECT max(id) FROM turns) ORDER BY id LIMIT ?) RETURNING session',
        STEP,
      );
      if (removed.length === 0) return;
      sweep(removed);
    }
  }

  function turnOf(row: Row | undefined): StoredTurn | undefined {
    if (row === undefined) return undefined;
    const ids = JSON.parse(String(row.parts)) as number[];
    return { head: JSON.parse(String(row.head)), groups: ids.map((id) => JSON.parse(String(db.get('SELECT body FROM turn_groups WHERE id = ?', id)?.body))) };
  }

  return {
    put(session, runId, { head, groups }) {
      db.transaction(() => {
        db.run(
          `INSERT INTO turns (session, run, head, parts) VALUES (?, ?, ?, ?)
           ON CONFLICT (run) DO UPDATE SET session = excluded.session, head = excluded.head, parts = excluded.parts`,
          session,
          runId,
          JSON.stringify(head),
          JSON.stringify(storeGroups(session, groups)),
        );
        sweep([
          ...db.all(
            'DELETE FROM turns WHERE session = ? AND id <= (SELECT id FROM turns WHERE session = ? ORDER BY id DESC LIMIT 1 OFFSET ?) RETURNING session',
            session,
            session,
            limits.session,
          ),
          ...db.all('DELETE FROM turns WHERE id <= (SELECT max(id) FROM turns) - ? RETURNING session', limits.all),
        ]);
        shrink();
      });
    },
    heads: (session, limit) =>
      db.all('SELECT head FROM turns WHERE session = ? ORDER BY id DESC LIMIT ?', session, limit).map(({ head }) => JSON.parse(String(head))),
    get: (runId) => turnOf(db.get('SELECT head, parts FROM turns WHERE run = ?', runId)),
    at: (session, place) => turnOf(db.get('SELECT head, parts FROM turns WHERE session = ? ORDER BY id DESC LIMIT 1 OFFSET ?', session, place - 1)),
    delete(session) {
      db.transaction(() => {
        db.run('DELETE FROM turns WHERE session = ?', session);
        db.run('DELETE FROM turn_groups WHERE session = ?', session);
      });
    },
  };
}
