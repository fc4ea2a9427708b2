import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLocalStore } from '../../extensions/session-stores/local/store.ts';
import { type AgentMessage, type AssistantMessage, type EntryBody, emptyUsage, type SessionStore } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';
import type { Generation, GenerationSource } from '../kernel/generation.ts';
import { silentLogger } from '../logging/logger.ts';
import { createSessionService } from './service.ts';

let stateDir: string;
let store: SessionStore;
const open = () => createLocalStore({ stateDir, log: silentLogger });
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'durar-sessions-'));
  store = open();
});
afterEach(async () => {
  await store.close();
  rmSync(stateDir, { recursive: true, force: true });
});

/** A source whose generation can be exchanged; of a generation the service uses nothing but these two members. */
function sourceOf(slot: () => Promise<unknown>, agents: { list?: Array<{ id: string; default?: boolean }> } = {}) {
  const make = (): Generation => ({ config: { agents } as Config, slot }) as unknown as Generation;
  let generation = make();
  const source = { current: () => generation } as unknown as GenerationSource;
  return { source, swap: () => (generation = make()) };
}

function service(agents?: { list?: Array<{ id: string; default?: boolean }> }) {
  return createSessionService({ source: sourceOf(async () => ({ instance: store }), agents).source, log: silentLogger });
}

async function restart() {
  await store.close();
  store = open();
  return service();
}

const user = (text: string): EntryBody => ({ type: 'message', message: { role: 'user', content: text, timestamp: 1 } });
const reply = (content: AssistantMessage['content']): EntryBody => ({
  type: 'message',
  message: { role: 'assistant', content, api: 'a', provider: 'p', model: 'm', usage: emptyUsage(), stopReason: 'stop', timestamp: 2 },
});
const call = (id: string) => ({ type: 'toolCall' as const, id, name: 'read', arguments: {} });
const result = (toolCallId: string): EntryBody => ({
  type: 'message',
  message: { role: 'toolResult', toolCallId, toolName: 'read', content: [{ type: 'text', text: 'done' }], isError: false, timestamp: 3 },
});
const shown = (messages: AgentMessage[]) =>
  messages.map((message) =>
    typeof message.content === 'string' ? message.content : message.content.map((block) => ('text' in block ? block.text : block.type)).join('+'),
  );

describe('open', () => {
  it('gives keys to the agent that the configuration marks', async () => {
    expect(service().canonicalKey('main')).toBe('agent:main:main');
    expect(service({ list: [{ id: 'First' }, { id: 'second' }] }).canonicalKey('main')).toBe('agent:first:main');
    expect(service({ list: [{ id: 'first' }, { id: 'Second', default: true }] }).canonicalKey('notes')).toBe('agent:second:notes');
    const { session } = await service({ list: [{ id: 'work' }] }).open({ key: 'main' });
    expect([session.key, session.agentId]).toEqual(['agent:work:main', 'work']);
  });

  it('makes one session when two services open one key at once', async () => {
    const [left, right] = [service(), service()];
    const opened = await Promise.all(Array.from({ length: 10 }, (_none, index) => (index % 2 ? left : right).open({ key: 'MAIN' })));
    expect(new Set(opened.map(({ session }) => session.sessionId)).size).toBe(1);
    expect(opened.filter(({ created }) => created)).toHaveLength(1);
  });
});

describe('append', () => {
  it('keeps order and parents for callers at once, and tells listeners after the entry is on disk', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    const file = (await sessions.sessionFile(session)) ?? '';
    const told: string[] = [];
    const stop = sessions.onUpdate(({ entries }) => {
      for (const { id } of entries) {
        expect(readFileSync(file, 'utf8')).toContain(id);
        told.push(id);
      }
    });
    const written = (await Promise.all(Array.from({ length: 50 }, (_none, index) => sessions.append(session, [user(`${index}`)])))).flat();
    stop();
    await sessions.append(session, [user('unheard')]);
    expect(written.map(({ seq }) => seq)).toEqual(Array.from({ length: 50 }, (_none, index) => index + 1));
    expect(told).toEqual(written.map(({ id }) => id));
    const { entries, lastSeq } = await sessions.read(session);
    expect(entries.slice(0, 50)).toEqual(written);
    expect(lastSeq).toBe(51);
    expect(entries.every(({ id }) => /^[0-9a-f]{8}$/.test(id))).toBe(true);
  });

  it('survives a listener that throws', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    sessions.onUpdate(() => {
      throw new Error('listener');
    });
    await expect(sessions.append(session, [user('a')])).resolves.toHaveLength(1);
  });

  it('draws another id when the store already has it', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    await sessions.append(session, [user('first')]);
    const append = vi.spyOn(store, 'append');
    append.mockImplementationOnce(async ({ entries }) => ({ entries: entries.map(({ id }) => ({ id, seq: 1 })) }));
    const [entry] = await sessions.append(session, [user('second')]);
    expect(entry?.seq).toBe(2);
    expect(append).toHaveBeenCalledTimes(2);
    expect(shown((await sessions.context(session)).messages)).toEqual(['first', 'second']);
  });

  it('does not believe its memory after a failed append', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    const real = store.append;
    vi.spyOn(store, 'append').mockImplementationOnce(async (params) => {
      await real(params);
      throw new Error('the answer was lost');
    });
    await expect(sessions.append(session, [user('kept')])).rejects.toThrow('the answer was lost');
    await sessions.append(session, [user('next')]);
    expect(shown((await sessions.context(session)).messages)).toEqual(['kept', 'next']);
    expect((await sessions.context(session)).lastSeq).toBe(2);
  });
});

describe('context', () => {
  it('is what a fresh process would read, entry kinds, compactions and all', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    const first = await sessions.append(session, [
      user('one'),
      reply([{ type: 'text', text: 'two' }]),
      user('three'),
      { type: 'model_change', provider: 'p', modelId: 'm' },
    ]);
    await sessions.append(session, [
      { type: 'custom_message', customType: 'note', content: 'four', display: true },
      { type: 'custom', customType: 'note' },
    ]);
    expect(shown((await sessions.context(session)).messages)).toEqual(['one', 'two', 'three', 'four']);

    await sessions.append(session, [{ type: 'compaction', summary: 'so far', firstKeptEntryId: first[2]?.id ?? '', tokensBefore: 10 }, user('five')]);
    const live = await sessions.context(session);
    expect(shown(live.messages)).toEqual([expect.stringContaining('so far'), 'three', 'four', 'five']);
    expect(live.messages[0]?.role).toBe('user');
    expect(live.entryIds).toHaveLength(4);
    expect(live.seqs).toEqual([7, 3, 5, 8]);
    expect(await (await restart()).context(session)).toEqual(live);
  });

  it.each([
    ['an entry that no model sees', 3],
    ['an entry from before the last compaction', 0],
    ['the last compaction itself', 4],
    ['no entry at all', 99],
  ])('after a second compaction that keeps %s is the same live and read anew', async (_name, kept) => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    const entries = await sessions.append(session, [user('one'), user('two'), user('three'), { type: 'custom', customType: 'x' }]);
    entries.push(...(await sessions.append(session, [{ type: 'compaction', summary: 'first', firstKeptEntryId: entries[1]?.id ?? '', tokensBefore: 1 }])));
    await sessions.append(session, [user('four')]);
    await sessions.append(session, [{ type: 'compaction', summary: 'second', firstKeptEntryId: entries[kept]?.id ?? 'none', tokensBefore: 1 }]);
    const live = await sessions.context(session);
    expect(shown(live.messages)[0]).toContain('second');
    expect(shown(live.messages).slice(1)).toEqual({ 0: ['one', 'two', 'three', 'four'], 3: ['four'], 4: ['four'], 99: [] }[kept]);
    expect(await (await restart()).context(session)).toEqual(live);
  });

  it('reads no file while the session is in use', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    const read = vi.spyOn(store, 'read');
    for (let turn = 0; turn < 300; turn++) {
      await sessions.append(session, [user(`${turn}`)]);
      expect((await sessions.context(session)).messages).toHaveLength(turn + 1);
    }
    expect(read).not.toHaveBeenCalled();
  });

  it('reads no more of a long session than its context', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    await sessions.append(
      session,
      Array.from({ length: 5_000 }, (_none, index) => user(`old ${index}`)),
    );
    const [kept] = await sessions.append(session, [user('kept')]);
    await sessions.append(session, [{ type: 'compaction', summary: 'all that', firstKeptEntryId: kept?.id ?? '', tokensBefore: 1 }]);
    const fresh = await restart();
    const read = vi.spyOn(store, 'read');
    expect(shown((await fresh.context(session)).messages)).toEqual([expect.stringContaining('all that'), 'kept']);
    expect(read).toHaveBeenCalledTimes(1);
  });

  it('reads a session without a compaction page by page', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    const texts = Array.from({ length: 3_000 }, (_none, index) => `${index}`);
    await sessions.append(session, texts.map(user));
    expect(shown((await (await restart()).context(session)).messages)).toEqual(texts);
  });

  it('gives arrays that the caller may change', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    await sessions.append(session, [user('a')]);
    (await sessions.context(session)).messages.length = 0;
    expect((await sessions.context(session)).messages).toHaveLength(1);
  });
});

describe('what an engine, a hook or a tool changes in place', () => {
  it('does not reach the history of later turns', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    const args = { path: 'a' };
    const said = reply([
      { ...call('1'), arguments: args },
      { type: 'text', text: 'wait' },
    ]);
    const answer = result('1');
    const entries = await sessions.append(session, [user('hi'), said, answer]);
    args.path = 'b';
    for (const entry of entries) if (entry.type === 'message') Object.assign(entry.message, { content: [] });
    const disturb = async (from: typeof sessions) => {
      const { messages } = await from.context(session);
      const [first, second] = messages;
      expect(() => Object.assign(first ?? {}, { content: 'gone' })).toThrow(TypeError);
      expect(() => (second as { content: unknown[] }).content.pop()).toThrow(TypeError);
      expect(() => Object.assign((second as { content: Array<{ arguments: object }> }).content[0]?.arguments ?? {}, { path: 'c' })).toThrow(TypeError);
      messages.length = 0;
    };
    await disturb(sessions);
    expect(await sessions.context(session)).toMatchObject({
      messages: [{ content: 'hi' }, { content: [{ arguments: { path: 'a' } }, { text: 'wait' }] }, { content: [{ text: 'done' }] }],
    });
    const again = await restart();
    await again.context(session);
    await disturb(again);
  });
});

describe('repair', () => {
  it('closes each open call once, after a restart only', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    await sessions.append(session, [user('go'), reply([call('a'), call('b'), call('c')]), result('b')]);
    expect(await sessions.repair(session)).toEqual({ repaired: 0 });

    const next = await restart();
    expect(await next.repair(session)).toEqual({ repaired: 2 });
    expect(await next.repair(session)).toEqual({ repaired: 0 });
    const { entries } = await next.read(session);
    expect(entries.slice(3).map((entry) => entry.type === 'message' && entry.message)).toMatchObject([
      { role: 'toolResult', toolCallId: 'a', toolName: 'read', isError: true, content: [{ type: 'text', text: 'interrupted by restart' }] },
      { role: 'toolResult', toolCallId: 'c', isError: true },
    ]);
    expect(await (await restart()).repair(session)).toEqual({ repaired: 0 });
  });

  it('comes before the first append of a process, so that results follow their calls', async () => {
    const first = service();
    const { session } = await first.open({ key: 'main' });
    await first.append(session, [user('go'), reply([call('a')])]);
    const next = await restart();
    await next.append(session, [user('are you there')]);
    expect(shown((await next.context(session)).messages)).toEqual(['go', 'toolCall', 'interrupted by restart', 'are you there']);
    expect(await next.repair(session)).toEqual({ repaired: 1 });
  });

  it('leaves a call alone that others already wrote over', async () => {
    const first = service();
    const { session } = await first.open({ key: 'main' });
    await first.append(session, [reply([call('a')]), user('never mind')]);
    expect(await (await restart()).repair(session)).toEqual({ repaired: 0 });
  });
});

describe('reset and delete', () => {
  it('start empty, and what was queued before them is in the old transcript', async () => {
    const sessions = service();
    const { session } = await sessions.open({ key: 'main' });
    await sessions.append(session, [user('old')]);
    const fresh = await sessions.reset('main', 'new');
    expect(fresh.sessionId).not.toBe(session.sessionId);
    expect(await sessions.context(fresh)).toEqual({ messages: [], entryIds: [], seqs: [], lastSeq: 0 });
    await expect(sessions.append(session, [user('late')])).rejects.toMatchObject({ code: 'DUR_SESSION_UNKNOWN' });
    expect((await sessions.delete('main')).deleted).toBe(true);
    expect(await sessions.delete('main')).toEqual({ deleted: false, archived: [] });
    await expect(sessions.reset('main', 'reset')).rejects.toMatchObject({ code: 'DUR_SESSION_UNKNOWN' });
  });
});

describe('the store', () => {
  it('is asked for once a generation, and again after it failed', async () => {
    let failing = true;
    const slot = vi.fn(async () => {
      if (failing) throw Object.assign(new Error('no store'), { code: 'DUR_SLOT_FAILED' });
      return { instance: store };
    });
    const { source, swap } = sourceOf(slot);
    const sessions = createSessionService({ source, log: silentLogger });
    await expect(sessions.list({})).rejects.toMatchObject({ code: 'DUR_SLOT_FAILED' });
    failing = false;
    await sessions.list({});
    await sessions.list({});
    expect(slot).toHaveBeenCalledTimes(2);
    swap();
    await sessions.list({});
    expect(slot).toHaveBeenCalledTimes(3);
  });
});
