import type { EntryBody, NewEntry, SessionRecord, SessionStore } from 'Durar/plugin-sdk/core';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocalStore } from './store.ts';

let stateDir: string;
let store: SessionStore;
let session: SessionRecord;
let file: string;
let logged: string[];

function open(): SessionStore {
  const note = (message: string) => logged.push(message);
  return createLocalStore({ stateDir, log: { debug() {}, info: note, warn: note, error: note } });
}

async function reopen(): Promise<void> {
  await store.close();
  store = open();
}

beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'durar-repair-'));
  logged = [];
  store = open();
  session = (await store.open({ key: 'agent:main:main', agentId: 'main', cwd: '/work' })).session;
  file = (await store.sessionFile?.({ sessionId: session.sessionId })) ?? '';
});
afterEach(async () => {
  await store.close();
  rmSync(stateDir, { recursive: true, force: true });
});

let minted = 0;
function entry(text: string, body?: EntryBody): NewEntry {
  const id = (minted++).toString(16).padStart(8, '0');
  return { ...(body ?? { type: 'message', message: { role: 'user', content: text, timestamp: 1 } }), id, timestamp: '2026-11-20T08:52:00.000Z' };
}
const write = (...texts: string[]) => store.append({ sessionId: session.sessionId, entries: texts.map((text) => entry(text)) });

async function view(): Promise<string[]> {
  const { entries, lastSeq } = await store.read({ sessionId: session.sessionId });
  expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_entry, index) => index + 1));
  expect(entries.map(({ parentId }) => parentId)).toEqual(entries.map((_entry, index) => entries[index - 1]?.id ?? null));
  expect(lastSeq).toBe(entries.length);
  return entries.map((stored) => (stored.type === 'message' && typeof stored.message.content === 'string' ? stored.message.content : stored.type));
}
const copies = (kind: string) => readdirSync(dirname(file)).filter((name) => name.startsWith(`${basename(file)}.${kind}.`));

describe('a torn end', () => {
  it('is cut off after a copy was kept, and reported', async () => {
    await write('one');
    await write('two');
    appendFileSync(file, '{"type":"message","id":"ffffffff","par');
    const broken = readFileSync(file);
    await reopen();
    expect(await view()).toEqual(['one', 'two']);
    expect(copies('torn')).toHaveLength(1);
    expect(readFileSync(join(dirname(file), copies('torn')[0] ?? ''))).toEqual(broken);
    expect(statSync(join(dirname(file), copies('torn')[0] ?? '')).mode & 0o777).toBe(0o600);
    expect(logged).toEqual([expect.stringContaining('cut short')]);
    await write('three');
    await reopen();
    expect(await view()).toEqual(['one', 'two', 'three']);
    expect(copies('torn')).toHaveLength(1);
  });

  it('never leaves a part of a batch, wherever the write was cut', async () => {
    await write('before');
    const start = statSync(file).size;
    await write('a', 'b', 'c');
    const whole = readFileSync(file);
    for (let size = start; size <= whole.length; size += 7) {
      await store.close();
      writeFileSync(file, whole);
      truncateSync(file, size);
      store = open();
      expect(await view()).toEqual(size >= whole.length - 1 ? ['before', 'a', 'b', 'c'] : ['before']);
    }
    await store.close();
    writeFileSync(file, whole.subarray(0, -1));
    store = open();
    expect(await view()).toEqual(['before', 'a', 'b', 'c']);
    await write('after');
    await reopen();
    expect(await view()).toEqual(['before', 'a', 'b', 'c', 'after']);
  });

  it('of nothing but zeros is cut off too', async () => {
    await write('one');
    appendFileSync(file, Buffer.alloc(5_000));
    await reopen();
    expect(await view()).toEqual(['one']);
  });
});

describe('foreign lines', () => {
  it('are left out after a copy was kept, once, and what hung on them is reattached', async () => {
    await write('one', 'two');
    await write('three');
    const [header, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
    const damaged = [header, lines[0], 'not json at all', '{"hello":1}', '[]', lines[1]?.slice(3), header, lines[0], lines[2], ''].join('\n');
    writeFileSync(file, damaged);
    await reopen();
    expect(await view()).toEqual(['one', 'three']);
    expect(copies('damaged').map((name) => readFileSync(join(dirname(file), name), 'utf8'))).toEqual([damaged]);
    expect(logged).toContainEqual(expect.stringContaining('damaged transcript'));
    await write('four');
    await reopen();
    expect(await view()).toEqual(['one', 'three', 'four']);
    expect(copies('damaged')).toHaveLength(1);
    expect(existsSync(`${file}.new`)).toBe(false);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('and a torn end at once are both repaired', async () => {
    await write('one');
    appendFileSync(file, 'garbage\n');
    appendFileSync(file, ' {"type":"custom","id":"ffffffff","parentId":null,"timestamp":"","customType":"half a batch"}\n');
    await reopen();
    expect(await view()).toEqual(['one']);
    expect([copies('damaged').length, copies('torn').length]).toEqual([1, 1]);
  });

  it('do not touch entry types of newer versions', async () => {
    await write('one');
    const { entries } = await store.read({ sessionId: session.sessionId });
    appendFileSync(file, `{"type":"from_the_future","id":"ffffffff","parentId":"${entries[0]?.id}","timestamp":"","what":{"ever":1}}\n`);
    await reopen();
    await write('two');
    expect(await view()).toEqual(['one', 'from_the_future', 'two']);
    expect(copies('damaged')).toEqual([]);
  });
});

describe('the header', () => {
  it('is written anew when it is lost', async () => {
    await write('one');
    writeFileSync(file, readFileSync(file, 'utf8').split('\n').slice(1).join('\n'));
    await reopen();
    expect(await view()).toEqual(['one']);
    expect(JSON.parse(readFileSync(file, 'utf8').split('\n')[0] ?? '')).toMatchObject({ type: 'session', version: 3, id: session.sessionId, cwd: '/work' });
    expect(copies('damaged')).toHaveLength(1);
  });

  it('is written into an empty and into a missing file, and lost entries are reported', async () => {
    await reopen();
    writeFileSync(file, '');
    expect(await view()).toEqual([]);
    await write('one');
    await reopen();
    unlinkSync(file);
    expect(await view()).toEqual([]);
    expect(logged).toContainEqual(expect.stringContaining('fewer entries'));
    await write('two');
    expect(readFileSync(file, 'utf8').split('\n')[0]).toContain('"type":"session"');
  });

  it('of another version is refused, and the file stays as it is', async () => {
    await reopen();
    const old = `{"type":"session","id":"x","timestamp":"","cwd":"/"}\n{"type":"message","message":{"role":"user","content":"v1"}}\n`;
    writeFileSync(file, old);
    await expect(view()).rejects.toMatchObject({ code: 'DUR_SESSION_TRANSCRIPT' });
    await expect(write('x')).rejects.toMatchObject({ code: 'DUR_SESSION_TRANSCRIPT' });
    expect(readFileSync(file, 'utf8')).toBe(old);
  });
});

describe('a tree', () => {
  it('is read along the path to its newest leaf, and continued there', async () => {
    const line = (id: string, parentId: string | null) =>
      `${JSON.stringify({ type: 'message', id, parentId, timestamp: '', message: { role: 'user', content: id, timestamp: 1 } })}\n`;
    appendFileSync(file, line('a', null) + line('b', 'a') + line('c', 'b') + line('d', 'a') + line('e', 'd'));
    await reopen();
    const ids = async (part = {}) => (await store.read({ sessionId: session.sessionId, ...part })).entries.map(({ id, seq }) => `${id}${seq}`);
    expect(await ids()).toEqual(['a1', 'd4', 'e5']);
    expect(await ids({ fromSeq: 2 })).toEqual(['d4', 'e5']);
    expect(await ids({ fromSeq: 1, limit: 2 })).toEqual(['a1', 'd4']);
    expect(await ids({ limit: 2 })).toEqual(['d4', 'e5']);
    const { entries } = await store.append({ sessionId: session.sessionId, entries: [entry('next')] });
    expect(entries[0]?.seq).toBe(6);
    expect((await store.read({ sessionId: session.sessionId, limit: 1 })).entries[0]?.parentId).toBe('e');
    expect((await ids()).slice(0, 3)).toEqual(['a1', 'd4', 'e5']);
  });
});

describe('the index', () => {
  it('that lags behind the transcript catches up when it is opened', async () => {
    await write('one');
    await store.patch({ key: session.key, fields: { updatedAt: 1_000 } });
    const late = { type: 'custom', id: 'eeeeeeee', parentId: null, timestamp: '2026-11-21T00:00:00.000Z', customType: 'late' };
    const { entries } = await store.read({ sessionId: session.sessionId });
    appendFileSync(file, `${JSON.stringify({ ...late, parentId: entries[0]?.id })}\n`);
    await reopen();
    expect(await view()).toEqual(['one', 'custom']);
    expect((await store.get({ key: session.key }))?.updatedAt).toBe(Date.parse(late.timestamp));
    expect(logged).toEqual([]);
  });

  it.each(['is lost', 'is damaged'])('that %s is made anew from the transcripts', async (how) => {
    await write('one');
    const other = await store.open({ key: 'agent:work:notes', agentId: 'work' });
    await store.reset({ key: other.session.key, reason: 'new' });
    await store.close();
    const foreign = join(stateDir, 'agents', 'main', 'sessions', 'A-Foreign.jsonl');
    writeFileSync(foreign, '{"type":"session","version":3,"id":"zzz","timestamp":"2026-01-01T00:00:00.000Z","cwd":"/"}\n');
    const index = join(stateDir, 'agents', 'sessions.db');
    for (const side of ['-wal', '-shm']) rmSync(index + side, { force: true });
    if (how === 'is lost') rmSync(index);
    else writeFileSync(index, 'no database '.repeat(1_000));
    store = open();
    expect((await store.list({})).sessions.map(({ key }) => key).sort()).toEqual(['agent:main:a-foreign', 'agent:main:main', 'agent:work:notes']);
    expect((await store.open({ key: session.key, agentId: 'main' })).session).toMatchObject({ sessionId: session.sessionId, createdAt: session.createdAt });
    expect(await view()).toEqual(['one']);
    const kept = readdirSync(dirname(index)).filter((name) => name.startsWith('sessions.db.damaged.'));
    expect(kept).toHaveLength(how === 'is lost' ? 0 : 1);
  });
});
