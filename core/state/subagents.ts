import type { Db } from './db.ts';

/** Sub-agents that the host has to know of, running or not yet archived. One row each; what is in it is the agent room's. */
export interface SubagentTable {
  /** Oldest first. */
  all(): unknown[];
  put(child: string, createdAt: number, row: unknown): void;
  delete(child: string): void;
}

const STEPS = ['CREATE TABLE subagents (child TEXT PRIMARY KEY, created INTEGER NOT NULL, row TEXT NOT NULL) STRICT, WITHOUT ROWID'];

export function createSubagentTable(db: Db): SubagentTable {
  db.migrate('subagents', STEPS);
  return {
    all: () => db.all('SELECT row FROM subagents ORDER BY created, child').map(({ row }) => JSON.parse(String(row))),
    put(child, createdAt, row) {
      db.run(
        'INSERT INTO subagents (child, created, row) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET row = excluded.row',
        child,
        createdAt,
        JSON.stringify(row),
      );
    },
    delete(child) {
      db.run('DELETE FROM subagents WHERE child = ?', child);
    },
  };
}
