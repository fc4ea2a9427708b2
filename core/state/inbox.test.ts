import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openState, type State } from './state.ts';

let dir: string;
let state: State;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'durar-inbox-'));
  state = openState({ dir });
});
afterEach(() => {
  state.close();
  rmSync(dir, { recursive: true, force: true });
});

const message = (id: string, key?: string) => ({ id, sessionKey: 'agent:main:main', request: { message: id }, key });
const reply = (id: string, to = 'ann') => ({ id, channel: 'irc', accountId: 'default', to, payload: { text: id } });
const ids = (list: Array<{ id: string }>) => list.map(({ id }) => id);

function reopen(): void {
  state.close();
  state = openState({ dir });
}

describe('the inbox', () => {
  it('takes a message once, by its id and by the key of its service, also after it was answered and after a restart', () => {
    expect(state.inbox.add(message('r1', 'irc:default:77'), 1)).toBe(true);
    expect(state.inbox.add(message('r1'), 2)).toBe(false);
    expect(state.inbox.add(message('r2', 'irc:default:77'), 3)).toBe(false);
    state.inbox.finish(['r1'], [], 4);
    reopen();
    expect(state.inbox.add(message('r3', 'irc:default:77'), 5)).toBe(false);
    expect(state.inbox.knows('irc:default:77')).toBe(true);
    expect(state.inbox.open()).toEqual([]);
  });

  it('gives back what is open, in the order of acceptance, a page at a time', () => {
    for (let at = 1; at <= 7; at += 1) state.inbox.add(message(`r${at}`), at);
    state.inbox.start(['r2']);
    state.inbox.finish(['r1', 'r3'], [], 9);
    reopen();
    expect(ids(state.inbox.open(0, 2))).toEqual(['r2', 'r4']);
    expect(ids(state.inbox.open(state.inbox.get('r4')?.seq, 2))).toEqual(['r5', 'r6']);
    expect(state.inbox.get('r2')).toMatchObject({ state: 'started', attempts: 1, request: { message: 'r2' } });
    expect(state.inbox.counts()).toEqual({ waiting: 4, started: 1, dead: 0 });
  });

  it('keeps dead messages for a person', () => {
    state.inbox.add(message('r1'), 1);
    state.inbox.start(['r1']);
    state.inbox.bury('r1', 'brought the process down');
    expect(state.inbox.open()).toEqual([]);
    expect(state.inbox.dead()).toMatchObject([{ id: 'r1', lastError: 'brought the process down' }]);
    expect(state.inbox.retry('r1')).toBe(true);
    expect(state.inbox.retry('r1')).toBe(false);
    expect(state.inbox.get('r1')).toMatchObject({ state: 'waiting', attempts: 0 });
    expect(state.inbox.drop('r1')).toBe(true);
    expect(state.inbox.drop('r1')).toBe(false);
  });

  it('counts attempts anew when a turn came further, and not those that a stop put off', () => {
    for (const id of ['r1', 'r2']) state.inbox.add(message(id), 1);
    state.inbox.start(['r1', 'r2']);
    state.inbox.start(['r1', 'r2']);
    state.inbox.park(['r2']);
    expect(state.inbox.lines()).toMatchObject([
      { id: 'r1', attempts: 2, progress: 0 },
      { id: 'r2', attempts: 1, state: 'started' },
    ]);
    state.inbox.advance(['r1'], 4);
    expect(state.inbox.get('r1')).toMatchObject({ attempts: 0, progress: 4, state: 'started' });
  });

  it('tells what became of an answered message, and which one had a key', () => {
    state.inbox.add(message('r1', 'irc:1'), 1);
    state.inbox.finish(['r1'], [], 2, new Map([['r1', { status: 'ok' }]]));
    expect(state.inbox.result('r1')).toEqual({ status: 'ok' });
    expect(state.inbox.result('r2')).toBeUndefined();
    expect(['r1', 'irc:1', 'r2'].map(state.inbox.idOf)).toEqual(['r1', 'r1', undefined]);
  });

  it('lists its messages by session, a page at a time', () => {
    for (let at = 1; at <= 6; at += 1) state.inbox.add({ ...message(`r${at}`), sessionKey: at % 2 === 0 ? 'even' : 'odd' }, at);
    state.inbox.start(['r3']);
    state.inbox.bury('r6', 'gone');
    expect(state.inbox.sessions()).toMatchObject([
      { sessionKey: 'odd', count: 3, started: 1 },
      { sessionKey: 'even', count: 2, started: 0 },
    ]);
    const first = state.inbox.lines({ sessionKey: 'odd', limit: 2 });
    expect(first.map(({ id }) => id)).toEqual(['r1', 'r3']);
    expect(first[0]).not.toHaveProperty('request');
    expect(state.inbox.lines({ sessionKey: 'odd', afterSeq: first[1]?.seq ?? 0 }).map(({ id }) => id)).toEqual(['r5']);
  });

  it('forgets old keys, but not the id of what is still here', () => {
    state.inbox.add(message('old', 'k-old'), 10);
    state.inbox.add(message('open', 'k-open'), 10);
    state.inbox.add(message('new', 'k-new'), 30);
    state.inbox.finish(['old', 'new'], [], 31);
    state.inbox.sweep(20);
    expect(['old', 'k-old', 'open', 'new', 'k-new'].filter(state.inbox.knows)).toEqual(['open', 'new', 'k-new']);
  });

  it('an answered message and its replies change together', () => {
    state.inbox.add(message('r1'), 1);
    const unsendable = { ...reply('r1:1'), payload: 1n };
    expect(() => state.inbox.finish(['r1'], [reply('r1:0'), unsendable], 2)).toThrow();
    expect(ids(state.inbox.open())).toEqual(['r1']);
    expect(state.outbox.pending()).toEqual([]);
    state.inbox.finish(['r1'], [reply('r1:0')], 2);
    expect(state.inbox.open()).toEqual([]);
    expect(ids(state.outbox.pending())).toEqual(['r1:0']);
  });
});

describe('the outbox', () => {
  it('takes a message once, also when it was sent long ago', () => {
    state.outbox.add([reply('r1:0'), reply('r1:0'), reply('r1:1')], 1);
    expect(ids(state.outbox.pending())).toEqual(['r1:0', 'r1:1']);
    state.outbox.sending('r1:0');
    state.outbox.sent('r1:0');
    reopen();
    state.outbox.add([reply('r1:0')], 2);
    expect(ids(state.outbox.pending())).toEqual(['r1:1']);
    state.outbox.sweep(Date.now() + 1_000);
    state.outbox.add([reply('r1:0')], 3);
    expect(ids(state.outbox.pending())).toEqual(['r1:1', 'r1:0']);
  });

  it('flags what a crash left half sent', () => {
    state.outbox.add([reply('a'), reply('b')], 1);
    state.outbox.sending('a');
    reopen();
    expect(state.outbox.recover()).toBe(1);
    expect(state.outbox.pending()).toMatchObject([
      { id: 'a', uncertain: true, attempts: 1 },
      { id: 'b', uncertain: false, attempts: 0 },
    ]);
  });

  it('waits, gives up, tries anew, forgets', () => {
    state.outbox.add([reply('a')], 1);
    state.outbox.sending('a');
    expect(state.outbox.drop('a')).toBe(false);
    state.outbox.delay('a', 900, 'busy');
    expect(state.outbox.get('a')).toMatchObject({ state: 'pending', dueAt: 900, lastError: 'busy', attempts: 1 });
    state.outbox.bury('a', 'gone');
    expect(state.outbox.pending()).toEqual([]);
    expect(state.outbox.dead()).toMatchObject([{ id: 'a', lastError: 'gone' }]);
    expect(state.outbox.retry('a', 5)).toBe(true);
    expect(state.outbox.get('a')).toMatchObject({ state: 'pending', attempts: 0, dueAt: 5 });
    expect(state.outbox.counts()).toEqual({ pending: 1, sending: 0, dead: 0 });
    expect(state.outbox.drop('a')).toBe(true);
    expect(state.outbox.drop('a')).toBe(false);
  });
});

/** Accepts messages and answers each, and says so; until it is killed. */
const WORKER = `
const { openState } = await import(process.argv[1]);
const { inbox, outbox } = openState({ dir: process.argv[2] });
for (let n = Number(process.argv[3]); ; n += 1) {
  const id = 'r' + n;
  inbox.add({ id, sessionKey: 's', request: {} }, n);
  process.stdout.write('accepted ' + id + '\\n');
  inbox.start([id]);
  inbox.finish([id], [{ id: id + ':0', channel: 'irc', accountId: 'd', to: 'x', payload: {} }], n);
  process.stdout.write('answered ' + id + '\\n');
}`;

describe('after kill -9', () => {
  it('every accepted message is here or its answer is, never both', async () => {
    state.close();
    let next = 0;
    const accepted: string[] = [];
    for (let round = 0; round < 6; round += 1) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', WORKER, new URL('./state.ts', import.meta.url).href, dir, String(next)]);
      const said: string[] = [];
      const enough = Math.ceil(40 * (round + 1) * 0.7);
      for await (const chunk of child.stdout) {
        said.push(String(chunk));
        if (said.join('').split('\n').length > enough) child.kill('SIGKILL');
      }
      // what it had not handed over when it died was never said
      const lines = said.join('').split('\n').slice(0, -1);
      accepted.push(...lines.flatMap((line) => /^accepted (\S+)$/.exec(line)?.[1] ?? []));
      next += 1_000_000;
    }
    state = openState({ dir });
    const open = new Set(ids(state.inbox.open(0, 100_000)));
    const answered = ids(state.outbox.pending(0, 100_000)).map((id) => id.slice(0, -2));
    expect(answered.filter((id) => open.has(id))).toEqual([]);
    expect(new Set(answered).size).toBe(answered.length);
    expect(accepted.filter((id) => !open.has(id) && !answered.includes(id))).toEqual([]);
    expect(accepted.length).toBeGreaterThan(100);
  });
});
