import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { durarError } from '../../sdk/errors.ts';
import { createPrivateFile, isBusy, openSqlite, stateError } from './db.ts';

const COMMIT_TIMEOUT_MS = 1_000;

/** Proof that this process is the only writer of a state folder. Ends with `release` or with the process, however it dies. */
export interface GatewayLock {
  /** A second call does nothing. */
  release(): void;
}

/**
 * Takes the lock of `<dir>/lock.db`. Throws `DUR_STATE_LOCKED` (with `details.pid` when the holder's process is known) at once when
 * another connection, of this process or of another one, holds it.
 *
 * The holder keeps a write transaction open for life. Readers are still let in, which is how the next taker learns the holder's pid.
 */
export function acquireGatewayLock(options: { dir: string }): GatewayLock {
  const file = join(options.dir, 'lock.db');
  createPrivateFile(file);
  const database = openSqlite(file, 0);
  try {
    database.exec('BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS holder (only INTEGER PRIMARY KEY CHECK (only = 1), pid INTEGER NOT NULL) STRICT');
    database.prepare('INSERT INTO holder VALUES (1, ?) ON CONFLICT DO UPDATE SET pid = excluded.pid').run(process.pid);
    // The commit may have to wait for a reader. Whoever comes between the two transactions takes the lock, and this one fails as it should.
    database.exec(`PRAGMA busy_timeout = ${COMMIT_TIMEOUT_MS}; COMMIT; PRAGMA busy_timeout = 0; BEGIN IMMEDIATE`);
  } catch (error) {
    const failure = isBusy(error) ? locked(options.dir, file, holderOf(database)) : stateError(error, file, false);
    database.close();
    throw failure;
  }
  return {
    release() {
      if (database.isOpen) database.close();
    },
  };
}

function locked(dir: string, file: string, pid: number | undefined): Error {
  return durarError(
    'DUR_STATE_LOCKED',
    { dir, holder: pid === undefined ? '' : ` (process ${pid})` },
    { owner: { file }, ...(pid === undefined ? {} : { details: { pid } }) },
  );
}

/** undefined when the holder is only just writing its name. */
function holderOf(database: DatabaseSync): number | undefined {
  try {
    if (database.isTransaction) database.exec('ROLLBACK');
    const known = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'holder'").get();
    const pid = known === undefined ? undefined : database.prepare('SELECT pid FROM holder').get()?.pid;
    return typeof pid === 'number' ? pid : undefined;
  } catch (error) {
    if (isBusy(error)) return undefined;
    throw error;
  }
}
