import { durarError, errorCode, errorText, type PluginLogger, type SessionListParams, type SessionRecord } from 'Durar/plugin-sdk/core';
import { chmodSync, closeSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { fileTimestamp } from './repair.ts';

/** A row: the session, and what the store itself must know of it. */
export interface IndexRow {
  session: SessionRecord;
  /** Working folder, for the transcript's header. */
  cwd: string;
  /** Entries in the transcript as far as the index knows; the transcript is the truth. */
  seq: number;
}

/** One row a session, in SQLite (WAL, no fsync per write). All calls are synchronous. Errors are `DUR_STATE_UNWRITABLE` or `DUR_STATE_CORRUPT`. */
export interface SessionIndex {
  byKey(key: string): IndexRow | undefined;
  byId(sessionId: string): IndexRow | undefined;
  list(params: SessionListParams): { sessions: SessionRecord[]; total: number };
  /** false: the key (or the session id) is taken, nothing changed. */
  insert(row: IndexRow): boolean;
  /** Replaces the row of that key. */
  update(row: IndexRow): void;
  /** After an append. */
  advance(sessionId: string, seq: number, updatedAt: number): void;
  remove(key: string): void;
  close(): void;
}

const SCHEMA = `
  CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL UNIQUE,
    agent_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    cwd TEXT NOT NULL,
    label TEXT,
    display_name TEXT,
    spawned_by TEXT,
    rest TEXT NOT NULL
  ) STRICT;
  CREATE INDEX sessions_updated ON sessions (updated_at);
  CREATE INDEX sessions_agent ON sessions (agent_id, updated_at);
  CREATE INDEX sessions_label ON sessions (label) WHERE label IS NOT NULL;
  CREATE INDEX sessions_spawned ON sessions (spawned_by) WHERE spawned_by IS NOT NULL;
  PRAGMA user_version = 1;`;

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** `recover` gives the rows of an index that is made anew: it was not there, or was damaged and moved aside. All of them are in it, or it is not made. */
export function openSessionIndex(file: string, recover: () => IndexRow[], log: PluginLogger): SessionIndex {
  try {
    return open(file, recover);
  } catch (error) {
    if (errorCode(error) !== 'DUR_STATE_CORRUPT') throw error;
    const copy = `${file}.damaged.${fileTimestamp()}`;
    renameSync(file, copy);
    for (const side of ['-wal', '-shm']) rmSync(file + side, { force: true });
    log.error('the session index was damaged; it is made anew from the transcripts', { file, copy, reason: errorText(error) });
    return open(file, recover);
  }
}

function open(file: string, recover: () => IndexRow[]): SessionIndex {
  createPrivateFile(file);
  return guard(file, () => {
    const database = new DatabaseSync(file, { timeout: 5_000 });
    try {
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE');
      const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
      if (version > 1) throw durarError('DUR_STATE_NEWER', { file }, { owner: { extension: 'local', file } });
      if (version === 0) database.exec(SCHEMA);
      const index = createIndex(database, file);
      if (version === 0) for (const row of recover()) index.insert(row);
      database.exec('COMMIT');
      return index;
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

function createIndex(database: DatabaseSync, file: string): SessionIndex {
  const statements = new Map<string, StatementSync>();
  const run = <Result>(sql: string, work: (statement: StatementSync) => Result): Result =>
    guard(file, () => {
      let statement = statements.get(sql);
      if (statement === undefined) {
        statement = database.prepare(sql);
        statements.set(sql, statement);
      }
      return work(statement);
    });
  const one = (sql: string, value: string): IndexRow | undefined => {
    const row = run(sql, (statement) => statement.get(value));
    return row === undefined ? undefined : fromRow(row);
  };

  return {
    byKey: (key) => one('SELECT * FROM sessions WHERE key = ?', key),
    byId: (sessionId) => one('SELECT * FROM sessions WHERE session_id = ?', sessionId),
    list(params) {
      const { where, values } = conditions(params);
      const total = Number(run(`SELECT count(*) AS total FROM sessions ${where}`, (statement) => statement.get(...values))?.total);
      const page = [params.limit === undefined ? -1 : Math.max(0, params.limit), Math.max(0, params.offset ?? 0)];
      const rows = run(`SELECT * FROM sessions ${where} ORDER BY updated_at DESC, id DESC LIMIT ? OFFSET ?`, (statement) => statement.all(...values, ...page));
      return { sessions: rows.map((row) => fromRow(row).session), total };
    },
    insert(row) {
      const sql = `INSERT INTO sessions (session_id, agent_id, created_at, updated_at, seq, cwd, label, display_name, spawned_by, rest, key)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`;
      return run(sql, (statement) => statement.run(...toValues(row))).changes === 1;
    },
    update(row) {
      const sql = `UPDATE sessions SET session_id = ?, agent_id = ?, created_at = ?, updated_at = ?, seq = ?, cwd = ?, label = ?, display_name = ?,
        spawned_by = ?, rest = ? WHERE key = ?`;
      run(sql, (statement) => statement.run(...toValues(row)));
    },
    advance(sessionId, seq, updatedAt) {
      run('UPDATE sessions SET seq = ?, updated_at = max(updated_at, ?) WHERE session_id = ?', (statement) => statement.run(seq, updatedAt, sessionId));
    },
    remove(key) {
      run('DELETE FROM sessions WHERE key = ?', (statement) => statement.run(key));
    },
    close() {
      statements.clear();
      if (database.isOpen) database.close();
    },
  };
}

function conditions(params: SessionListParams): { where: string; values: SQLInputValue[] } {
  const parts: string[] = [];
  const values: SQLInputValue[] = [];
  const add = (part: string, ...added: SQLInputValue[]) => {
    parts.push(part);
    values.push(...added);
  };
  if (params.agentId !== undefined) add('agent_id = ?', params.agentId);
  if (params.activeSince !== undefined) add('updated_at >= ?', params.activeSince);
  if (params.label !== undefined) add('label = ?', params.label);
  if (params.spawnedBy !== undefined) add('spawned_by = ?', params.spawnedBy);
  if (params.search !== undefined && params.search !== '') {
    const pattern = `%${params.search.replaceAll(/[\\%_]/g, '\\$&')}%`;
    const columns = ['key', 'session_id', 'label', 'display_name'];
    add(`(${columns.map((column) => `${column} LIKE ? ESCAPE '\\'`).join(' OR ')})`, ...columns.map(() => pattern));
  }
  return { where: parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`, values };
}

function toValues({ session, cwd, seq }: IndexRow): SQLInputValue[] {
  const { key, sessionId, agentId, createdAt, updatedAt, label, displayName, spawnedBy, ...rest } = session;
  return [sessionId, agentId, createdAt, updatedAt, seq, cwd, label ?? null, displayName ?? null, spawnedBy ?? null, JSON.stringify(rest), key];
}

function fromRow(row: Record<string, unknown>): IndexRow {
  const session: SessionRecord = {
    key: String(row.key),
    sessionId: String(row.session_id),
    agentId: String(row.agent_id),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
    ...JSON.parse(String(row.rest)),
  };
  if (typeof row.label === 'string') session.label = row.label;
  if (typeof row.display_name === 'string') session.displayName = row.display_name;
  if (typeof row.spawned_by === 'string') session.spawnedBy = row.spawned_by;
  return { session, cwd: String(row.cwd), seq: Number(row.seq) };
}

/** SQLite gives the side files the mode of the main file, so that one must exist, and be private, first. `wx` never opens an existing file: closing it would drop locks on it. */
function createPrivateFile(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    try {
      closeSync(openSync(file, 'wx', 0o600));
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    if ((statSync(file).mode & 0o777) !== 0o600) chmodSync(file, 0o600);
  } catch (error) {
    throw durarError('DUR_STATE_UNWRITABLE', { dir: dirname(file), reason: errorText(error) }, { owner: { extension: 'local', file }, cause: error });
  }
}

function guard<Result>(file: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (errorCode(error) === 'ERR_INVALID_STATE') throw durarError('DUR_HOST_STOPPED', {}, { owner: { extension: 'local', file }, cause: error });
    if (errorCode(error) !== 'ERR_SQLITE_ERROR') throw error;
    const code = typeof error === 'object' && error !== null && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
    const extras = { owner: { extension: 'local', file }, cause: error };
    if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) throw durarError('DUR_STATE_CORRUPT', { file, reason: errorText(error) }, extras);
    throw durarError('DUR_STATE_UNWRITABLE', { dir: dirname(file), reason: errorText(error) }, extras);
  }
}
