import { join } from 'node:path';
import { type Cursors, createCursors } from './cursors.ts';
import { type Db, openDb } from './db.ts';
import { createKv, type Kv } from './kv.ts';

export type { Cursors } from './cursors.ts';
export type { Db, Row } from './db.ts';
export type { Kv } from './kv.ts';
export { acquireGatewayLock, type GatewayLock } from './lock.ts';

/** The host's own database: one SQLite file, one writer. */
export interface State {
  readonly kv: Kv;
  readonly cursors: Cursors;
  /** For rooms that own tables: `db.migrate('<room>', steps)`, then `get`, `all`, `run`, `transaction`. */
  readonly db: Db;
  /** A second call does nothing. */
  close(): void;
}

/** Opens `<dir>/durar.db`, creating folder and file. Throws `DUR_STATE_CORRUPT`, `DUR_STATE_NEWER`, `DUR_STATE_UNWRITABLE`. */
export function openState(options: { dir: string }): State {
  const db = openDb(join(options.dir, 'durar.db'));
  return { kv: createKv(db), cursors: createCursors(db), db, close: () => db.close() };
}
