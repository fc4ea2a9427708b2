import { chmodSync, closeSync, constants, copyFileSync, mkdirSync, openSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { durarError, errorCode, errorText } from '../../sdk/errors.ts';

export type Row = Record<string, unknown>;

/**
 * A SQLite file of the host. All calls are synchronous and cheap (no fsync in WAL mode with `synchronous=NORMAL`: a commit survives the
 * death of the process, not always that of the machine). Statements are compiled once per text. Errors are `DUR_STATE_*`.
 *
 * The file must not be opened by other means in this process: closing any descriptor of it drops SQLite's locks.
 */
export interface Db {
  /** Brings a room's tables to their newest version. Step n runs once, ever; steps are only added. All or none. */
  migrate(room: string, steps: readonly string[]): void;
  get(sql: string, ...values: SQLInputValue[]): Row | undefined;
  all(sql: string, ...values: SQLInputValue[]): Row[];
  /** Returns how many rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number;
  /** Commits when `work` returns, rolls back when it throws. Must not be nested or await. */
  transaction<Result>(work: () => Result): Result;
  close(): void;
}

/** Version of the file's own layout (the table of rooms). */
const LAYOUT = 1;
const BUSY_TIMEOUT_MS = 5_000;

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** Opens or creates a database, file 0600 in a folder 0700. Throws `DUR_STATE_CORRUPT` (a copy was kept), `DUR_STATE_NEWER`, `DUR_STATE_UNWRITABLE`. */
export function openDb(file: string): Db {
  createPrivateFile(file);
  const database = openSqlite(file);
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON');
    prepareLayout(database, file);
  } catch (error) {
    database.close();
    throw stateError(error, file, true);
  }
  return createDb(database, file);
}

/** A connection to `file` with the busy timeout set; node:sqlite is loaded here, at the first call. */
export function openSqlite(file: string, timeout = BUSY_TIMEOUT_MS): DatabaseSync {
  const sqlite = process.getBuiltinModule('node:sqlite');
  try {
    return new sqlite.DatabaseSync(file, { timeout });
  } catch (error) {
    throw stateError(error, file, false);
  }
}

/** SQLite gives the side files the mode of the main file, so that one must exist, and be private, first. */
export function createPrivateFile(file: string): void {
  const dir = dirname(file);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if ((statSync(dir).mode & 0o777) !== 0o700) chmodSync(dir, 0o700);
    // `wx` leaves an existing file unopened: closing it here would drop the locks of this process on it.
    const created = openNew(file);
    if (created !== undefined) closeSync(created);
    if ((statSync(file).mode & 0o777) !== 0o600) chmodSync(file, 0o600);
  } catch (error) {
    throw durarError('DUR_STATE_UNWRITABLE', { dir, reason: errorText(error) }, { owner: { file }, cause: error });
  }
}

/** Turns what SQLite threw into a coded error. `keepCopy`: the file was just opened by us alone and may be copied. */
export function stateError(error: unknown, file: string, keepCopy: boolean): unknown {
  // what node:sqlite says of a closed database
  if (errorCode(error) === 'ERR_INVALID_STATE') return durarError('DUR_HOST_STOPPED', {}, { owner: { file }, cause: error });
  const code = sqliteCode(error);
  if (code === undefined) return error;
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) {
    const copy = keepCopy ? keepDamaged(file) : undefined;
    return durarError(
      'DUR_STATE_CORRUPT',
      { file, reason: errorText(error) },
      {
        owner: { file },
        cause: error,
        ...(copy === undefined
          ? {}
          : { details: { copy }, hint: `A copy is kept as ${copy}; restore '${basename(file)}' from a backup, or move it away to start empty.` }),
      },
    );
  }
  return durarError('DUR_STATE_UNWRITABLE', { dir: dirname(file), reason: errorText(error) }, { owner: { file }, cause: error });
}

export function isBusy(error: unknown): boolean {
  return sqliteCode(error) === SQLITE_BUSY;
}

function createDb(database: DatabaseSync, file: string): Db {
  const statements = new Map<string, StatementSync>();
  const guard = <Result>(work: () => Result): Result => {
    try {
      return work();
    } catch (error) {
      throw stateError(error, file, false);
    }
  };
  const statement = (sql: string): StatementSync => {
    let prepared = statements.get(sql);
    if (prepared === undefined) {
      prepared = database.prepare(sql);
      statements.set(sql, prepared);
    }
    return prepared;
  };
  const db: Db = {
    migrate(room, steps) {
      const known = db.get('SELECT version FROM rooms WHERE name = ?', room);
      const version = typeof known?.version === 'number' ? known.version : 0;
      if (version > steps.length) throw newer(file);
      if (version === steps.length) return;
      db.transaction(() => {
        for (const step of steps.slice(version)) database.exec(step);
        db.run('INSERT INTO rooms (name, version) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET version = excluded.version', room, steps.length);
      });
    },
    get: (sql, ...values) => guard(() => statement(sql).get(...values)),
    all: (sql, ...values) => guard(() => statement(sql).all(...values)),
    run: (sql, ...values) => guard(() => Number(statement(sql).run(...values).changes)),
    transaction(work) {
      guard(() => database.exec('BEGIN IMMEDIATE'));
      try {
        const result = work();
        guard(() => database.exec('COMMIT'));
        return result;
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        throw stateError(error, file, false);
      }
    },
    close() {
      statements.clear();
      if (database.isOpen) database.close();
    },
  };
  return db;
}

function prepareLayout(database: DatabaseSync, file: string): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.user_version ?? 0);
  if (version > LAYOUT) throw newer(file);
  if (version === LAYOUT) return;
  database.exec(`BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS rooms (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    PRAGMA user_version = ${LAYOUT};
    COMMIT`);
}

function newer(file: string): Error {
  return durarError('DUR_STATE_NEWER', { file }, { owner: { file } });
}

function openNew(file: string): number | undefined {
  try {
    return openSync(file, 'wx', 0o600);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return undefined;
    throw error;
  }
}

/** Copies the damaged file once per state of it (the name carries its time of change), so that repeated starts do not pile up copies. */
function keepDamaged(file: string): string {
  const changed = new Date(Math.floor(statSync(file).mtimeMs)).toISOString().replaceAll(':', '-');
  const copy = join(dirname(file), `${basename(file)}.damaged.${changed}`);
  try {
    copyFileSync(file, copy, constants.COPYFILE_EXCL);
    chmodSync(copy, 0o600);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  return copy;
}

/** The primary result code of an error of node:sqlite. */
function sqliteCode(error: unknown): number | undefined {
  if (errorCode(error) !== 'ERR_SQLITE_ERROR' || typeof error !== 'object' || error === null || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}
