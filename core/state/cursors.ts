import type { Db } from './db.ts';

/** How far each engine has acknowledged each session's log; 0 when it has seen nothing. Never moves backwards except by `reset`. */
export interface Cursors {
  get(engineId: string, sessionId: string): number;
  acknowledge(engineId: string, sessionId: string, seq: number): void;
  reset(engineId: string, sessionId?: string): void;
  /** Drops the cursors of a session that is over; engines that had one, and `also`, are owed a word about it. */
  end(session: EndedSession, also: string): void;
  /** Sessions that an engine was not told the end of, oldest first. */
  ended(engineId: string): EndedSession[];
  told(engineId: string, sessionId: string): void;
}

export interface EndedSession {
  sessionId: string;
  sessionKey: string;
  reason: 'deleted' | 'reset';
}

/** Of an engine that is never selected again no more words are kept. */
const MAX_ENDED = 1_000;

const STEPS = [
  'CREATE TABLE cursors (engine TEXT NOT NULL, session TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (engine, session)) STRICT, WITHOUT ROWID',
  `CREATE TABLE ended_sessions (id INTEGER PRIMARY KEY, engine TEXT NOT NULL, session TEXT NOT NULL, key TEXT NOT NULL, reason TEXT NOT NULL,
    UNIQUE (engine, session)) STRICT;
   CREATE INDEX cursors_session ON cursors (session)`,
];

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
    end({ sessionId, sessionKey, reason }, also) {
      db.transaction(() => {
        const engines = new Set([also, ...db.all('SELECT engine FROM cursors WHERE session = ?', sessionId).map(({ engine }) => String(engine))]);
        for (const engine of engines) {
          db.run('INSERT OR REPLACE INTO ended_sessions (engine, session, key, reason) VALUES (?, ?, ?, ?)', engine, sessionId, sessionKey, reason);
          const oldest = 'SELECT id FROM ended_sessions WHERE engine = ? ORDER BY id DESC LIMIT 1 OFFSET ?';
          db.run(`DELETE FROM ended_sessions WHERE engine = ? AND id <= (${oldest})`, engine, engine, MAX_ENDED);
        }
        db.run('DELETE FROM cursors WHERE session = ?', sessionId);
      });
    },
    ended: (engineId) =>
      db.all('SELECT session, key, reason FROM ended_sessions WHERE engine = ? ORDER BY id', engineId).map(({ session, key, reason }) => ({
        sessionId: String(session),
        sessionKey: String(key),
        reason: reason === 'reset' ? 'reset' : 'deleted',
      })),
    told(engineId, sessionId) {
      db.run('DELETE FROM ended_sessions WHERE engine = ? AND session = ?', engineId, sessionId);
    },
  };
}
