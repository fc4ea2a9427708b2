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

const turn = (number: number) => ({ head: { number }, parts: [number, 'part'] });

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
    const turns = createTurns(state.db, { session: 3, all: 5 });
    for (let number = 1; number <= 6; number += 1) turns.put('a', `a-${number}`, turn(number));
    expect(turns.heads('a', 10)).toEqual([6, 5, 4].map((number) => ({ number })));
    for (let number = 1; number <= 3; number += 1) turns.put('b', `b-${number}`, turn(number));
    expect(turns.heads('a', 10)).toEqual([{ number: 6 }, { number: 5 }]);
    turns.delete('b');
    expect([turns.heads('b', 10), turns.heads('a', 10).length]).toEqual([[], 2]);
  });
});
