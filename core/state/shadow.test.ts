import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openDb } from './db.ts';
import { createShadowTurns } from './shadow.ts';

function open() {
  const dir = mkdtempSync(join(tmpdir(), 'durar-shadow-'));
  const db = openDb(join(dir, 'durar.db'));
  onTestFinished(() => {
    db.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return createShadowTurns(db, { session: 3, all: 5 });
}
const turn = (sessionId: string, at: number) => ({ sessionId, sessionKey: `key-${sessionId}`, at, row: { at }, skipped: 0 });

it('keeps the newest turns of each session, and of all', () => {
  const turns = open();
  for (let at = 1; at <= 4; at += 1) turns.add(turn('a', at));
  expect(turns.list({}).map(({ at }) => at)).toEqual([2, 3, 4]);
  for (let at = 5; at <= 7; at += 1) turns.add(turn('b', at));
  expect(turns.list({}).map(({ at }) => at)).toEqual([3, 4, 5, 6, 7]);
});

it('lists by session and by time, counts what was not compared, deletes a session', () => {
  const turns = open();
  expect(turns.skip('a')).toBe(false);
  turns.add(turn('a', 1));
  turns.add(turn('b', 2));
  turns.add(turn('a', 3));
  expect(turns.skip('a')).toBe(true);
  expect(turns.list({ sessionKey: 'key-a' }).map(({ at, skipped }) => [at, skipped])).toEqual([
    [1, 0],
    [3, 1],
  ]);
  expect(turns.list({ since: 2 }).map(({ at }) => at)).toEqual([2, 3]);
  turns.delete('a');
  expect(turns.list({}).map(({ sessionId }) => sessionId)).toEqual(['b']);
});
