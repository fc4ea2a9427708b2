import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openState, type State } from './state.ts';
import { createTurns } from './turns.ts';

let dir: string;
let state: State;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'durar-turns-'));
  state = openState({ dir });
});
afterEach(() => {
  state.close();
  rmSync(dir, { recursive: true, force: true });
});

const turn = (number: number) => ({ head: { number }, groups: [[number, 'part']] });
const count = (sql: string) => Number(Object.values(state.db.get(sql) ?? {})[0]);
/** As counted, which must be what is there. */
function bytes(): number {
  const total = count('SELECT total FROM turn_bytes');
  const heads = count('SELECT coalesce(sum(octet_length(head) + octet_length(parts)), 0) FROM turns');
  expect(total).toBe(heads + count('SELECT coalesce(sum(octet_length(body)), 0) FROM turn_groups'));
  return total;
}

describe('turns', () => {
  it('are found by run and by place, newest first, over a restart', () => {
    for (const number of [1, 2, 3]) state.turns.put('s', `run-${number}`, turn(number));
    state.turns.put('other', 'run-9', turn(9));
    state.close();
    state = openState({ dir });
    const { turns } = state;
    expect(turns.get('run-2')).toEqual(turn(2));
    expect(turns.at('s', 1)).toEqual(turn(3));
    expect(turns.at('s', 3)).toEqual(turn(1));
    expect([turns.at('s', 4), turns.get('run-8')]).toEqual([undefined, undefined]);
    expect(turns.heads('s', 2)).toEqual([{ number: 3 }, { number: 2 }]);
  });

  it('of one run are one turn, the last word counts', () => {
    state.turns.put('s', 'run-1', turn(1));
    state.turns.put('s', 'run-1', turn(2));
    expect(state.turns.heads('s', 10)).toEqual([{ number: 2 }]);
  });

  it('stay within their bounds, for a session and in all, and go with their session', () => {
    const turns = createTurns(state.db, { session: 3, all: 5, bytes: 2 ** 20 });
    for (let number = 1; number <= 6; number += 1) turns.put('a', `a-${number}`, turn(number));
    expect(turns.heads('a', 10)).toEqual([6, 5, 4].map((number) => ({ number })));
    for (let number = 1; number <= 3; number += 1) turns.put('b', `b-${number}`, turn(number));
    expect(turns.heads('a', 10)).toEqual([{ number: 6 }, { number: 5 }]);
    turns.delete('b');
    expect([turns.heads('b', 10), turns.heads('a', 10).length]).toEqual([[], 2]);
  });

  it('store once what is the same from one turn to the next, and nothing that no turn has any more', () => {
    const turns = createTurns(state.db, { session: 4, all: 100, bytes: 2 ** 20 });
    // a tail that grows, and a block in the middle that changes once
    const grown = (number: number) => ({
      head: { number },
      groups: [['system'], [number < 5 ? 'whole' : 'trimmed'], ...Array.from({ length: number }, (_none, block) => [`block ${block}`, 'x'.repeat(1_000)])],
    });
    for (let number = 1; number <= 9; number += 1) {
      turns.put('s', `run-${number}`, grown(number));
      for (let place = 1; place <= Math.min(number, 4); place += 1) expect(turns.at('s', place)).toEqual(grown(number + 1 - place));
      expect(bytes()).toBeLessThan((number + 2) * 1_200);
    }
    // the last word on an earlier turn takes nothing from the others
    turns.put('s', 'run-8', { head: { number: 8 }, groups: [['system'], ['another']] });
    expect([turns.at('s', 1), turns.at('s', 2), turns.at('s', 3)]).toEqual([grown(9), { head: { number: 8 }, groups: [['system'], ['another']] }, grown(7)]);
    for (let number = 10; number <= 14; number += 1) turns.put('s', `run-${number}`, { head: { number }, groups: [['only']] });
    expect(count('SELECT count(*) FROM turn_groups')).toBe(1);
    turns.delete('s');
    expect([bytes(), count('SELECT count(*) FROM turn_groups')]).toEqual([0, 0]);
  });

  it('stay within their bytes: the oldest of all go, the newest stays whatever its size', () => {
    const turns = createTurns(state.db, { session: 1_000, all: 10_000, bytes: 100_000 });
    const large = (number: number) => ({ head: { number }, groups: [[number, 'x'.repeat(500)]] });
    for (let number = 1; number <= 400; number += 1) {
      turns.put(number % 2 === 0 ? 'a' : 'b', `run-${number}`, large(number));
      expect(bytes()).toBeLessThanOrEqual(100_000);
    }
    expect(turns.heads('a', 1_000).length + turns.heads('b', 1_000).length).toBeGreaterThan(100);
    expect([turns.get('run-1'), turns.get('run-400'), turns.at('b', 1)]).toEqual([undefined, large(400), large(399)]);
    expect(count('SELECT count(*) FROM turn_groups')).toBe(count('SELECT count(*) FROM turns'));
    const huge = { head: {}, groups: [['x'.repeat(200_000)]] };
    turns.put('a', 'run-huge', huge);
    expect([turns.at('a', 1), count('SELECT count(*) FROM turns')]).toEqual([huge, 1]);
  });

  it('of an older version are read on', () => {
    state.db.transaction(() => {
      for (const kind of ['added', 'changed', 'removed']) state.db.run(`DROP TRIGGER turn_${kind}`);
      for (const table of ['turn_groups', 'turn_bytes']) state.db.run(`DROP TABLE ${table}`);
      state.db.run("UPDATE rooms SET version = 1 WHERE name = 'turns'");
      state.db.run('INSERT INTO turns (session, run, head, parts) VALUES (?, ?, ?, ?)', 's', 'old', '{"number":1}', '[["muser","",3]]');
    });
    state.close();
    state = openState({ dir });
    expect(state.turns.get('old')).toEqual({ head: { number: 1 }, groups: [[['muser', '', 3]]] });
    state.turns.put('s', 'new', turn(2));
    expect([state.turns.at('s', 2)?.head, state.turns.at('s', 1)]).toEqual([{ number: 1 }, turn(2)]);
    bytes();
  });
});
