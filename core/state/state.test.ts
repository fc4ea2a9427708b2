import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openState } from './state.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'durar-state-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('openState', () => {
  it('keeps values over a restart', () => {
    const dir = join(root, 'state');
    const first = openState({ dir });
    first.kv.set('a', 'one', { deep: [1, 'x', null] });
    first.kv.set('a', 'two', 2);
    first.kv.set('b', 'one', 'other namespace');
    first.cursors.acknowledge('legacy', 's1', 7);
    first.close();
    first.close();
    const second = openState({ dir });
    expect(second.kv.get('a', 'one')).toEqual({ deep: [1, 'x', null] });
    expect(second.kv.list('a')).toEqual([
      { key: 'one', value: { deep: [1, 'x', null] } },
      { key: 'two', value: 2 },
    ]);
    expect(second.cursors.get('legacy', 's1')).toBe(7);
    second.close();
  });

  it('lists by a prefix that holds pattern characters, and deletes', () => {
    const state = openState({ dir: root });
    for (const key of ['a%b:1', 'a%b:2', 'axb:3', 'a_']) state.kv.set('n', key, key);
    expect(state.kv.list('n', 'a%b').map((row) => row.key)).toEqual(['a%b:1', 'a%b:2']);
    state.kv.delete('n', 'a%b:1');
    state.kv.set('n', 'a%b:2', undefined);
    expect(state.kv.list('n', 'a%b')).toEqual([]);
    expect(state.kv.get('n', 'a%b:1')).toBeUndefined();
    state.close();
  });

  it('never moves a cursor backwards except by reset', () => {
    const { cursors, close } = openState({ dir: root });
    expect(cursors.get('e', 's')).toBe(0);
    cursors.acknowledge('e', 's', 5);
    cursors.acknowledge('e', 's', 3);
    expect(cursors.get('e', 's')).toBe(5);
    cursors.acknowledge('e', 'other', 9);
    cursors.reset('e', 's');
    expect([cursors.get('e', 's'), cursors.get('e', 'other')]).toEqual([0, 9]);
    cursors.reset('e');
    expect(cursors.get('e', 'other')).toBe(0);
    close();
  });

  it('of a session that ended are dropped, and each engine that had one is owed a word until it is told', () => {
    const { cursors, db, close } = openState({ dir: root });
    for (const engine of ['one', 'two']) for (const session of ['s1', 's2']) cursors.acknowledge(engine, session, 4);
    const ended = { sessionId: 's1', sessionKey: 'agent:main:main', reason: 'reset' as const };
    cursors.end(ended, 'selected');
    cursors.end(ended, 'selected');
    expect(['one', 'two'].map((engine) => [cursors.get(engine, 's1'), cursors.get(engine, 's2')])).toEqual([
      [0, 4],
      [0, 4],
    ]);
    for (const engine of ['one', 'two', 'selected']) expect(cursors.ended(engine)).toEqual([ended]);
    cursors.told('one', 's1');
    expect([cursors.ended('one'), cursors.ended('two')]).toEqual([[], [ended]]);
    for (let n = 0; n < 1_005; n += 1) cursors.end({ ...ended, sessionId: `late-${n}` }, 'selected');
    // an engine that never comes back does not fill the database
    expect(cursors.ended('selected').map(({ sessionId }) => sessionId)).toHaveLength(1_000);
    expect(cursors.ended('selected').at(-1)?.sessionId).toBe('late-1004');
    expect(db.get('SELECT count(*) AS count FROM cursors')?.count).toBe(2);
    close();
  });

  it('is private whatever the umask is, side files included', () => {
    const before = process.umask(0);
    try {
      const dir = join(root, 'state');
      const state = openState({ dir });
      state.kv.set('a', 'b', 1);
      expect(mode(dir)).toBe('700');
      for (const name of ['durar.db', 'durar.db-wal', 'durar.db-shm']) expect([name, mode(join(dir, name))]).toEqual([name, '600']);
      state.close();
    } finally {
      process.umask(before);
    }
  });

  it('refuses a damaged file, keeps one copy of it and leaves it where it is', () => {
    const file = join(root, 'durar.db');
    writeFileSync(file, 'this is no database '.repeat(400));
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(() => openState({ dir: root })).toThrow(expect.objectContaining({ code: 'DUR_STATE_CORRUPT' }));
    }
    const copies = readdirSync(root).filter((name) => name.startsWith('durar.db.damaged.'));
    expect(copies).toHaveLength(1);
    expect(readFileSync(join(root, copies[0] ?? ''))).toEqual(readFileSync(file));
  });

  it('refuses work after close with a code', () => {
    const state = openState({ dir: root });
    state.kv.set('a', 'b', 1);
    state.close();
    for (const work of [() => state.kv.get('a', 'b'), () => state.cursors.acknowledge('e', 's', 1), () => state.db.transaction(() => 1)]) {
      expect(work).toThrow(expect.objectContaining({ code: 'DUR_HOST_STOPPED' }));
    }
  });

  it('costs nothing until it is called: the module does not load SQLite', () => {
    const script = `
      const loaded = () => process.moduleLoadList.some((name) => name.includes('sqlite'));
      const { openState } = await import(${JSON.stringify(join(import.meta.dirname, 'state.ts'))});
      const before = loaded();
      openState({ dir: ${JSON.stringify(root)} }).close();
      console.log(before, loaded());`;
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim()).toBe('false true');
  });

  it('says that a folder cannot be written', () => {
    writeFileSync(join(root, 'file'), '');
    expect(() => openState({ dir: join(root, 'file', 'state') })).toThrow(expect.objectContaining({ code: 'DUR_STATE_UNWRITABLE' }));
  });
});

describe('migrate', () => {
  it('runs each step once, and only the new ones', () => {
    const first = openState({ dir: root });
    first.db.migrate('devices', ['CREATE TABLE devices (id TEXT) STRICT']);
    first.db.run('INSERT INTO devices VALUES (?)', 'd1');
    first.close();
    const second = openState({ dir: root });
    second.db.migrate('devices', ['CREATE TABLE devices (id TEXT) STRICT', "ALTER TABLE devices ADD COLUMN name TEXT NOT NULL DEFAULT 'none'"]);
    expect(second.db.all('SELECT * FROM devices').map((row) => ({ ...row }))).toEqual([{ id: 'd1', name: 'none' }]);
    second.close();
  });

  it('leaves nothing of a failed migration', () => {
    const { db, close } = openState({ dir: root });
    expect(() => db.migrate('x', ['CREATE TABLE x1 (id TEXT)', 'CREATE NONSENSE'])).toThrow();
    expect(db.all("SELECT name FROM sqlite_schema WHERE name = 'x1'")).toEqual([]);
    db.migrate('x', ['CREATE TABLE x1 (id TEXT)']);
    close();
  });

  it('refuses tables and files of a newer version', () => {
    const first = openState({ dir: root });
    first.db.migrate('x', ['CREATE TABLE x1 (id TEXT)', 'CREATE TABLE x2 (id TEXT)']);
    expect(() => first.db.migrate('x', ['CREATE TABLE x1 (id TEXT)'])).toThrow(expect.objectContaining({ code: 'DUR_STATE_NEWER' }));
    first.db.run('PRAGMA user_version = 99');
    first.close();
    expect(() => openState({ dir: root })).toThrow(expect.objectContaining({ code: 'DUR_STATE_NEWER' }));
  });

  it('rolls a transaction back when its work throws', () => {
    const { db, kv, close } = openState({ dir: root });
    expect(() =>
      db.transaction(() => {
        kv.set('a', 'b', 1);
        throw new Error('changed my mind');
      }),
    ).toThrow('changed my mind');
    expect(kv.get('a', 'b')).toBeUndefined();
    close();
  });
});
