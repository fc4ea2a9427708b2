import type { Db } from './db.ts';

/** How far each engine has acknowledged each session's log; 0 when it has seen nothing. Never moves backwards except by `reset`. */
export interface Cursors {
  get(engineId: string, sessionId: string): number;
  acknowledge(engineId: string, sessionId: string, seq: number): void;
  reset(engineId: string, sessionId?: string): void;
}

const STEPS = ['CREATE TABLE cursors (engine TEXT NOT NULL, session TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (engine, session)) STRICT, WITHOUT ROWID'];

export function createCursors(db: Db): Cursors {
  db.migrate('cursors', STEPS);
  return {
    get(engineId, sessionId) {
      return Number(db.get('SELECT seq FROM cursors WHERE engine = ? AND session = ?', engineId, sessionId)?.seq ?? 0);
    },
    acknowledge(engineId, sessionId, seq) {
      db.run(
        'INSERT INTO cursors (engine, session, seq) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq',
        engineId,
        sessionId,
        seq,
      );
    },
    reset(engineId, sessionId) {
      if (sessionId === undefined) db.run('DELETE FROM cursors WHERE engine = ?', engineId);
      else db.run('DELETE FROM cursors WHERE engine = ? AND session = ?', engineId, sessionId);
    },
  };
}
