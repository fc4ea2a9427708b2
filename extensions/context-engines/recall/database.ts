import { errorCode, errorText, type PluginLogger } from 'Durar/plugin-sdk/core';
import { chmodSync, closeSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { isDamage, newerStore, storeError } from './damage.ts';

const VERSION = 1;
const BUSY_TIMEOUT_MS = 5_000;

const SCHEMA = `
  CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    -- the user message that the window begins with; NULL: it begins with the history
    start_stamp TEXT,
    start_place REAL NOT NULL DEFAULT 0,
    -- tokens that the turn of that user message may take, after the model refused more
    cap INTEGER,
    cap_stamp TEXT
  ) STRICT;
  CREATE TABLE entries (
    -- session * 2^32 + a number that counts from 1: one session is one range, in the index of words too
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES sessions (id),
    -- the sequence number; a fraction for what the host shows but never gave, such as a summary
    place REAL NOT NULL,
    entry_id TEXT,
    stamp TEXT NOT NULL,
    role TEXT NOT NULL,
    tool TEXT,
    at INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (session, entry_id)
  ) STRICT;
  CREATE INDEX entries_place ON entries (session, place);
  CREATE INDEX entries_stamp ON entries (session, stamp, place);
  -- what was recalled for a user message, to be shown with it again
  CREATE TABLE notes (
    session INTEGER NOT NULL REFERENCES sessions (id),
    stamp TEXT NOT NULL,
    place REAL NOT NULL,
    text TEXT NOT NULL,
    refs TEXT NOT NULL,
    PRIMARY KEY (session, stamp)
  ) STRICT;
  CREATE VIRTUAL TABLE words USING fts5(text, content='', contentless_delete=1, tokenize='porter unicode61 remove_diacritics 2');
  PRAGMA user_version = ${VERSION};`;

/** The engine's file. All calls are synchronous; a commit survives the death of the process. Errors are `RECALL_*`. */
export interface Database {
  /** Goes up when the file was found damaged and a new one took its place. */
  readonly renewals: number;
  run<Result>(sql: string, work: (statement: StatementSync) => Result): Result;
  /** All or nothing. Must not be nested or await. */
  transaction<Result>(work: () => Result): Result;
  close(): void;
}

/** Opens or makes the file (0600, in a folder 0700). One that is damaged is moved aside, now or when that shows later. */
export function openDatabase(file: string, log: PluginLogger): Database {
  let renewals = 0;
  let isClosed = false;
  let inode = 0;
  let database: DatabaseSync | undefined = openOrRenew();
  const statements = new Map<string, StatementSync>();

  function openOrRenew(): DatabaseSync {
    try {
      return openNow();
    } catch (error) {
      if (!isDamage(error)) throw error;
      inode = statSync(file).ino;
      moveAside(error);
      return openNow();
    }
  }

  function openNow(): DatabaseSync {
    const opened = open(file);
    inode = statSync(file).ino;
    return opened;
  }

  function moveAside(error: unknown): void {
    renewals += 1;
    // another connection was first, and what is there now is new
    if (statSync(file).ino !== inode) return;
    const copy = `${file}.damaged.${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
    renameSync(file, copy);
    for (const side of ['-wal', '-shm']) rmSync(file + side, { force: true });
    log.error('the recall database was damaged; a new one takes its place', { code: errorCode(error), file, copy, reason: errorText(error) });
  }

  function current(): DatabaseSync {
    // what disposed it is no longer there to open a new one
    if (database === undefined && !isClosed) database = openOrRenew();
    if (database === undefined) throw storeError(file, Object.assign(new Error('closed'), { code: 'ERR_INVALID_STATE' }));
    return database;
  }

  function guard<Result>(work: (database: DatabaseSync) => Result): Result {
    try {
      return work(current());
    } catch (error) {
      const coded = storeError(file, error);
      if (isDamage(coded) && database !== undefined) {
        statements.clear();
        database.close();
        database = undefined;
        moveAside(coded);
      }
      throw coded;
    }
  }

  return {
    get renewals() {
      return renewals;
    },
    run: (sql, work) =>
      guard((open) => {
        let statement = statements.get(sql);
        if (statement === undefined) {
          statement = open.prepare(sql);
          statements.set(sql, statement);
        }
        return work(statement);
      }),
    transaction(work) {
      guard((open) => open.exec('BEGIN IMMEDIATE'));
      try {
        const result = work();
        guard((open) => open.exec('COMMIT'));
        return result;
      } catch (error) {
        if (database?.isOpen === true && database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    },
    close() {
      isClosed = true;
      statements.clear();
      if (database?.isOpen === true) database.close();
      database = undefined;
    },
  };
}

function open(file: string): DatabaseSync {
  try {
    createPrivateFile(file);
    const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
    try {
      // what is deleted is overwritten: a conversation that its owner removed must not lie in free pages
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; BEGIN IMMEDIATE');
      const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
      if (version > VERSION) throw newerStore(file);
      if (version === 0) database.exec(SCHEMA);
      database.exec('COMMIT');
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    throw storeError(file, error);
  }
}

/** SQLite gives the side files the mode of the main file, so that one must exist, and be private, first. */
function createPrivateFile(file: string): void {
  const dir = dirname(file);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  try {
    // `wx` never opens an existing file: closing that would drop the locks of this process on it
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  chmodSync(file, 0o600);
}
