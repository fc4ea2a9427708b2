import { sessionStoreContract } from 'Durar/plugin-sdk/contract/session-store';
import type { NewEntry, SessionStore } from 'Durar/plugin-sdk/core';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeContract } from '../../../test/contract-adapter.ts';
import { createLocalStore } from './store.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

describeContract(sessionStoreContract, () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'durar-store-'));
  const context = {
    store: createLocalStore({ stateDir, log: quiet }),
    async reopen() {
      await context.store.close();
      context.store = createLocalStore({ stateDir, log: quiet });
      return context.store;
    },
    async dispose() {
      await context.store.close();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
  return context;
});

let stateDir: string;
let store: SessionStore;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'durar-store-'));
  store = createLocalStore({ stateDir, log: quiet });
});
afterEach(async () => {
  await store.close();
  rmSync(stateDir, { recursive: true, force: true });
});

const entry = (id: string, content = id): NewEntry => ({
  type: 'message',
  id,
  timestamp: '2026-11-20T08:52:00.000Z',
  message: { role: 'user', content, timestamp: 1 },
});
const fileOf = async (sessionId: string) => (await store.sessionFile?.({ sessionId })) ?? '';

describe('local files', () => {
  it('have the shape of a version 3 transcript: header, then entries that name their parent', async () => {
    const { session } = await store.open({ key: 'agent:main:main', agentId: 'main', cwd: '/work' });
    await store.append({ sessionId: session.sessionId, entries: [entry('00000001'), entry('00000002')] });
    const file = await fileOf(session.sessionId);
    expect(file).toBe(join(stateDir, 'agents', 'main', 'sessions', `${session.sessionId}.jsonl`));
    const message = (content: string) => ({ role: 'user', content, timestamp: 1 });
    const timestamp = '2026-11-20T08:52:00.000Z';
    expect(
      readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { type: 'session', version: 3, id: session.sessionId, timestamp: new Date(session.createdAt).toISOString(), cwd: '/work', key: session.key },
      { type: 'message', id: '00000001', parentId: null, timestamp, message: message('00000001') },
      { type: 'message', id: '00000002', parentId: '00000001', timestamp, message: message('00000002') },
    ]);
  });

  it('are private whatever the umask is', async () => {
    await store.close();
    const before = process.umask(0);
    try {
      store = createLocalStore({ stateDir: join(stateDir, 'fresh'), log: quiet });
      const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
      const file = await fileOf(session.sessionId);
      const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
      const agents = join(stateDir, 'fresh', 'agents');
      expect([agents, dirname(dirname(file)), dirname(file)].map(mode)).toEqual(['700', '700', '700']);
      expect([file, ...['', '-wal', '-shm'].map((side) => join(agents, `sessions.db${side}`))].map(mode)).toEqual(['600', '600', '600', '600']);
    } finally {
      process.umask(before);
    }
  });

  it('of a session that is reset or deleted are kept as archives', async () => {
    const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
    await store.append({ sessionId: session.sessionId, entries: [entry('00000001')] });
    const before = readFileSync(await fileOf(session.sessionId), 'utf8');
    const fresh = await store.reset({ key: session.key, reason: 'reset' });
    const dir = dirname(await fileOf(fresh.sessionId));
    const archive = readdirSync(dir).find((name) => name.startsWith(`${session.sessionId}.jsonl.reset.`));
    expect(readFileSync(join(dir, archive ?? ''), 'utf8')).toBe(before);
    const { archived } = await store.delete({ key: session.key });
    expect(archived.map((path) => basename(path))).toEqual([expect.stringContaining(`${fresh.sessionId}.jsonl.deleted.`)]);
    expect(readdirSync(dir).filter((name) => name.endsWith('.jsonl'))).toEqual([]);
    const kept = await store.open({ key: 'agent:main:kept', agentId: 'main' });
    expect(await store.delete({ key: 'agent:main:kept', deleteTranscript: false })).toEqual({ deleted: true, archived: [] });
    expect(readdirSync(dir)).toContain(`${kept.session.sessionId}.jsonl`);
  });

  it.each(['..', 'a/b', '', 'x'.repeat(65), '.hidden'])('are never made for the agent id %j', async (agentId) => {
    await expect(store.open({ key: 'agent:x:main', agentId })).rejects.toMatchObject({ code: 'DUR_SESSION_KEY' });
    expect((await store.list({})).total).toBe(0);
  });
});

describe('many sessions', () => {
  it('are listed from the index alone: 10,000 of them without a transcript in reach', async () => {
    for (let index = 0; index < 10_000; index++) {
      await store.open({ key: `agent:main:s${index}`, agentId: 'main', create: { updatedAt: index + 1, ...(index % 1_000 ? {} : { label: 'thousand' }) } });
    }
    rmSync(join(stateDir, 'agents', 'main'), { recursive: true });
    const { sessions, total } = await store.list({ limit: 3 });
    expect([total, ...sessions.map(({ key }) => key)]).toEqual([10_000, 'agent:main:s9999', 'agent:main:s9998', 'agent:main:s9997']);
    expect((await store.list({ label: 'thousand', limit: 2 })).total).toBe(10);
    expect((await store.list({ agentId: 'main', activeSince: 9_991, offset: 8 })).sessions.map(({ key }) => key)).toEqual([
      'agent:main:s9991',
      'agent:main:s9990',
    ]);
  }, 60_000);

  it('in use hold a bounded number of files open and lose nothing', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 200; index++) ids.push((await store.open({ key: `agent:main:s${index}`, agentId: 'main' })).session.sessionId);
    await Promise.all(ids.flatMap((sessionId) => ['00000001', '00000002'].map((id) => store.append({ sessionId, entries: [entry(id)] }))));
    for (const sessionId of ids.toReversed()) await store.append({ sessionId, entries: [entry('00000003')] });
    const open = readdirSync('/dev/fd').length;
    expect(open).toBeLessThan(150);
    for (const sessionId of ids) {
      expect((await store.read({ sessionId })).entries.map(({ id, seq }) => [id, seq])).toEqual([
        ['00000001', 1],
        ['00000002', 2],
        ['00000003', 3],
      ]);
    }
  });
});

it('refuses work after close with a code', async () => {
  const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
  await store.append({ sessionId: session.sessionId, entries: [entry('00000001')] });
  await store.close();
  await store.close();
  await expect(store.append({ sessionId: session.sessionId, entries: [entry('00000002')] })).rejects.toMatchObject({ code: 'DUR_HOST_STOPPED' });
  await expect(store.list({})).rejects.toMatchObject({ code: 'DUR_HOST_STOPPED' });
});

describe('a session that is reset or deleted', () => {
  it('takes no entry that comes too late, even while its transcript is being opened', async () => {
    const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
    const late = store.append({ sessionId: session.sessionId, entries: [entry('00000001')] });
    const reading = store.read({ sessionId: session.sessionId });
    const fresh = await store.reset({ key: session.key, reason: 'new' });
    await expect(late).rejects.toMatchObject({ code: 'DUR_SESSION_UNKNOWN' });
    await expect(reading).rejects.toMatchObject({ code: 'DUR_SESSION_UNKNOWN' });
    expect(await store.read({ sessionId: fresh.sessionId })).toEqual({ entries: [], lastSeq: 0 });
  });
});

describe('a rewrite', () => {
  const message = (content: string) => ({ role: 'user' as const, content, timestamp: 1 });
  const lines = async (sessionId: string) =>
    readFileSync(await fileOf(sessionId), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));

  it('adds a branch and leaves every old line as it is', async () => {
    const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
    const { sessionId } = session;
    await store.append({ sessionId, entries: ['00000001', '00000002', '00000003'].map((id) => entry(id)) });
    await store.append({
      sessionId,
      entries: [{ type: 'compaction', id: '00000004', timestamp: '2026-11-20T08:52:00.000Z', summary: 's', firstKeptEntryId: '00000002', tokensBefore: 9 }],
    });
    const before = readFileSync(await fileOf(sessionId));
    await store.rewrite?.({ sessionId, replacements: [{ id: '00000002', message: message('two') }] });
    const after = readFileSync(await fileOf(sessionId));
    expect(after.subarray(0, before.length)).toEqual(before);
    const [, first, , , , second, third, compaction] = await lines(sessionId);
    expect(second).toMatchObject({ parentId: first.id, standsFor: '00000002', message: message('two') });
    expect(third).toMatchObject({ parentId: second.id, standsFor: '00000003', message: message('00000003') });
    // within the file a compaction names a line of its own path
    expect(compaction).toMatchObject({ parentId: third.id, standsFor: '00000004', firstKeptEntryId: second.id });
    const { entries } = await store.read({ sessionId });
    expect(entries[3]).toMatchObject({ id: '00000004', firstKeptEntryId: '00000002', fileId: compaction.id });

    const label = { type: 'label' as const, id: '00000005', timestamp: '2026-11-20T08:52:00.000Z', targetId: '00000003', label: 'here' };
    await store.append({ sessionId, entries: [label] });
    expect((await lines(sessionId)).at(-1)).toMatchObject({ parentId: compaction.id, targetId: third.id });
    expect((await store.read({ sessionId, limit: 1 })).entries[0]).toMatchObject({ ...label, parentId: '00000004', seq: 5 });
  });

  it('is read by number and from the end as before, in pages', async () => {
    const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
    const { sessionId } = session;
    await store.append({ sessionId, entries: Array.from({ length: 50 }, (_none, n) => entry(`id-${n}`)) });
    for (const n of [49, 20, 30, 0]) await store.rewrite?.({ sessionId, replacements: [{ id: `id-${n}`, message: message(`new ${n}`) }] });
    for (const range of [{}, { fromSeq: 7 }, { fromSeq: 7, limit: 20 }, { limit: 3 }, { fromSeq: 51 }]) {
      const { entries, lastSeq } = await store.read({ sessionId, ...range });
      const from = range.fromSeq ?? Math.max(1, 50 - (range.limit ?? 50) + 1);
      const count = Math.max(0, Math.min(range.limit ?? 50, 50 - from + 1));
      expect(lastSeq).toBe(50);
      expect(entries.map(({ id, seq }) => [id, seq])).toEqual(Array.from({ length: count }, (_none, index) => [`id-${from + index - 1}`, from + index]));
    }
  });

  it('takes in what is appended while it reads', async () => {
    const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
    const { sessionId } = session;
    await store.append({ sessionId, entries: Array.from({ length: 20 }, (_none, n) => entry(`id-${n}`)) });
    await Promise.all([
      store.rewrite?.({ sessionId, replacements: [{ id: 'id-0', message: message('new') }] }),
      store.append({ sessionId, entries: [entry('late')] }),
    ]);
    const { entries } = await store.read({ sessionId });
    expect(entries.map(({ id }) => id)).toEqual([...Array.from({ length: 20 }, (_none, n) => `id-${n}`), 'late']);
    expect(entries[0]).toMatchObject({ message: message('new') });
  });
});
