import type { Db } from './db.ts';

/** Small values by namespace (an extension's id, or a room). JSON in, JSON out. */
export interface Kv {
  get(namespace: string, key: string): unknown;
  /** `undefined` deletes. */
  set(namespace: string, key: string, value: unknown): void;
  delete(namespace: string, key: string): void;
  /** By key, those that start with `prefix`. */
  list(namespace: string, prefix?: string): Array<{ key: string; value: unknown }>;
}

const STEPS = ['CREATE TABLE kv (namespace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (namespace, key)) STRICT, WITHOUT ROWID'];

export function createKv(db: Db): Kv {
  db.migrate('kv', STEPS);
  const kv: Kv = {
    get(namespace, key) {
      const row = db.get('SELECT value FROM kv WHERE namespace = ? AND key = ?', namespace, key);
      return row === undefined ? undefined : JSON.parse(String(row.value));
    },
    set(namespace, key, value) {
      const text = JSON.stringify(value);
      if (text === undefined) return kv.delete(namespace, key);
      db.run('INSERT INTO kv (namespace, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value', namespace, key, text);
    },
    delete(namespace, key) {
      db.run('DELETE FROM kv WHERE namespace = ? AND key = ?', namespace, key);
    },
    list(namespace, prefix = '') {
      const rows = db.all('SELECT key, value FROM kv WHERE namespace = ? AND substr(key, 1, length(?)) = ? ORDER BY key', namespace, prefix, prefix);
      return rows.map((row) => ({ key: String(row.key), value: JSON.parse(String(row.value)) }));
    },
  };
  return kv;
}
