import type { Db, Row } from './db.ts';

/** A message that waits a moment for what its sender adds. */
export interface HeldMessage {
  /** Order of acceptance. */
  seq: number;
  /** Those that may be joined. */
  group: string;
  /** The run that takes it; absent while it waits. */
  runId?: string;
  request: unknown;
}

/** Messages between their acceptance and their run, on disk. */
export interface HeldMessages {
  /** False when the key was accepted before. */
  add(message: { group: string; request: unknown; key?: string | undefined }, now: number): boolean;
  knows(key: string): boolean;
  /** Those of a group that wait become one run's, in their order. */
  claim(group: string, runId: string): HeldMessage[];
  /** All of them, claimed or not, oldest first: what a crash left. */
  all(): HeldMessage[];
  /** The run has them. Their keys stay known. */
  release(runId: string): void;
  /** Forgets the keys of messages accepted before `before`, epoch ms. */
  sweep(before: number): void;
}

const STEPS = [
  `CREATE TABLE held (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    grp TEXT NOT NULL,
    run TEXT,
    request TEXT NOT NULL
  ) STRICT;
  CREATE TABLE held_seen (key TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
];

export function createHeldMessages(db: Db): HeldMessages {
  db.migrate('held', STEPS);
  return {
    add: ({ group, request, key }, now) =>
      db.transaction(() => {
        if (key !== undefined && db.run('INSERT INTO held_seen (key, at) VALUES (?, ?) ON CONFLICT DO NOTHING', key, now) === 0) return false;
        db.run('INSERT INTO held (grp, request) VALUES (?, ?)', group, JSON.stringify(request));
        return true;
      }),
    knows: (key) => db.get('SELECT 1 FROM held_seen WHERE key = ?', key) !== undefined,
    claim: (group, runId) =>
      db.transaction(() => {
        db.run('UPDATE held SET run = ? WHERE grp = ? AND run IS NULL', runId, group);
        return db.all('SELECT * FROM held WHERE run = ? ORDER BY seq', runId).map(heldOf);
      }),
    all: () => db.all('SELECT * FROM held ORDER BY seq').map(heldOf),
    release: (runId) => void db.run('DELETE FROM held WHERE run = ?', runId),
    sweep: (before) => void db.run('DELETE FROM held_seen WHERE at < ?', before),
  };
}

function heldOf(row: Row): HeldMessage {
  return {
    seq: Number(row.seq),
    group: String(row.grp),
    ...(row.run === null ? {} : { runId: String(row.run) }),
    request: JSON.parse(String(row.request)) as unknown,
  };
}
