import type { SessionStore } from 'Durar/plugin-sdk/core';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocalStore } from './store.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const here = import.meta.dirname;
const sdk = new URL('../../../sdk/', import.meta.url);

/** The host resolves the SDK's specifiers; a bare child needs the same. */
const RESOLVE = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  const resolve = (specifier, context, next) => {
    const name = /^Durar\\/plugin-sdk\\/(.+)$/.exec(specifier)?.[1];
    return next(name === undefined ? specifier : ${JSON.stringify(sdk.href)} + (name === 'core' ? 'index' : name) + '.ts', context);
  };
  registerHooks({ resolve });`)}`;

const PRELUDE = `
  import { createLocalStore } from ${JSON.stringify(join(here, 'store.ts'))};
  import { writeSync } from 'node:fs';
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const store = createLocalStore({ stateDir: process.env.TEST_STATE, log: quiet });
  const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
  const say = (line) => writeSync(1, line + '\\n');
  const text = (id, content) => ({ type: 'message', id, timestamp: new Date().toISOString(), message: { role: 'user', content, timestamp: 1 } });`;

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'durar-crash-'));
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

function start(body: string, options: { shell?: string; flags?: string[] } = {}): { child: ChildProcess; output: () => string } {
  const args = [...(options.flags ?? []), '--import', RESOLVE, '--input-type=module', '-e', PRELUDE + body];
  const env = { ...process.env, TEST_STATE: stateDir };
  const child =
    options.shell === undefined
      ? spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
      : spawn('/bin/sh', ['-c', `${options.shell}; exec "$@"`, 'sh', process.execPath, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  return { child, output: () => output };
}

async function withStore<Result>(work: (store: SessionStore, sessionId: string) => Promise<Result>): Promise<Result> {
  const store = createLocalStore({ stateDir, log: quiet });
  try {
    const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
    return await work(store, session.sessionId);
  } finally {
    await store.close();
  }
}

describe('kill -9 in the middle of appends', () => {
  it('loses no entry that was acknowledged, leaves no part of a batch and no gap', async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < 6; round++) {
      const { child, output } = start(`
        for (let n = 0; ; n++) {
          const size = n % 7 === 3 ? 300_000 : 50 + (n * 37) % 5_000;
          const ids = Array.from({ length: n % 3 === 0 ? 4 : 1 }, (_, i) => '${round}-' + n + '-' + i);
          await store.append({ sessionId: session.sessionId, entries: ids.map((id) => text(id, id + 'x'.repeat(size))) });
          say(ids.join(' '));
          if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
        }`);
      await once(child.stdout ?? child, 'data');
      await new Promise((resolve) => setTimeout(resolve, 20 + round * 23));
      child.kill('SIGKILL');
      await once(child, 'close');
      const lines = output().split('\n');
      // what stands behind the last newline may be half a line
      acknowledged.push(...lines.slice(0, -1).flatMap((line) => line.split(' ')));

      const entries = await withStore(async (store, sessionId) => (await store.read({ sessionId })).entries);
      expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_entry, index) => index + 1));
      expect(entries.map(({ parentId }) => parentId)).toEqual(entries.map((_entry, index) => entries[index - 1]?.id ?? null));
      const ids = new Set(entries.map(({ id }) => id));
      expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
      for (const id of ids) {
        const [of, n] = id.split('-');
        if (Number(n) % 3 === 0) expect([0, 1, 2, 3].every((place) => ids.has(`${of}-${n}-${place}`))).toBe(true);
      }
    }
    expect(acknowledged.length).toBeGreaterThan(20);
  }, 60_000);
});

describe('kill -9 in the middle of rewrites', () => {
  it('leaves the old messages or the new ones, never some of each (ENGINE-019)', async () => {
    await withStore(async (store, sessionId) => {
      const entries = Array.from({ length: 40 }, (_none, n) => ({
        type: 'message' as const,
        id: `e${n}`,
        timestamp: '2026-11-20T08:52:00.000Z',
        message: { role: 'user' as const, content: `0 ${'x'.repeat(20_000)}`, timestamp: 1 },
      }));
      await store.append({ sessionId, entries });
    });
    let acknowledged = 0;
    for (let round = 0; round < 6; round++) {
      const { child, output } = start(`
        const ids = Array.from({ length: 40 }, (_none, n) => 'e' + n);
        for (let n = ${acknowledged + 1}; ; n++) {
          const message = { role: 'user', content: n + ' ' + 'x'.repeat(20_000), timestamp: 1 };
          await store.rewrite({ sessionId: session.sessionId, replacements: ids.map((id) => ({ id, message })) });
          say(String(n));
        }`);
      await once(child.stdout ?? child, 'data');
      await new Promise((resolve) => setTimeout(resolve, 15 + round * 7));
      child.kill('SIGKILL');
      await once(child, 'close');
      acknowledged = Math.max(acknowledged, ...output().split('\n').slice(0, -1).map(Number));
      const { entries, lastSeq } = await withStore((store, sessionId) => store.read({ sessionId }));
      expect(lastSeq).toBe(40);
      expect(entries.map(({ id, seq }) => [id, seq])).toEqual(Array.from({ length: 40 }, (_none, n) => [`e${n}`, n + 1]));
      const versions = new Set(entries.map((entry) => (entry.type === 'message' ? Number.parseInt(String(entry.message.content), 10) : -1)));
      expect(versions.size).toBe(1);
      const [version = -1] = versions;
      expect(version).toBeGreaterThanOrEqual(acknowledged);
      acknowledged = version;
    }
    expect(acknowledged).toBeGreaterThan(5);
  }, 60_000);
});

describe('a disk that takes no more', () => {
  it('fails the append with a code, undoes it, and keeps everything that was acknowledged', async () => {
    // The file size limit stands in for a full disk: the kernel takes a part of the write, then refuses.
    const { child, output } = start(
      `
      const file = await store.sessionFile({ sessionId: session.sessionId });
      const { statSync } = await import('node:fs');
      for (let n = 0; n < 100; n++) {
        const before = statSync(file).size;
        try {
          await store.append({ sessionId: session.sessionId, entries: [text('a' + n, 'x'.repeat(60_000)), text('b' + n, 'y')] });
          say('ok ' + n);
        } catch (error) {
          say('code ' + error.code);
          say('undone ' + (statSync(file).size === before));
          say('readable ' + (await store.read({ sessionId: session.sessionId })).lastSeq);
          await store.append({ sessionId: session.sessionId, entries: [text('small', 'fits')] });
          say('ok small');
          break;
        }
      }`,
      { shell: "trap '' XFSZ; ulimit -f 1500" },
    );
    await once(child, 'close');
    const lines = output().trim().split('\n');
    const written = lines.filter((line) => /^ok \d/.test(line)).length;
    expect(written).toBeGreaterThan(3);
    expect(lines.slice(written)).toEqual(['code DUR_STATE_UNWRITABLE', 'undone true', `readable ${written * 2}`, 'ok small']);
    await withStore(async (store, sessionId) => {
      const { entries } = await store.read({ sessionId });
      expect(entries.map(({ id }) => id)).toEqual([...Array.from({ length: written }, (_none, n) => [`a${n}`, `b${n}`]).flat(), 'small']);
    });
  }, 60_000);
});

describe('a transcript of 100 MB', () => {
  it('opens, is read at its end and grows, in a process with little memory', async () => {
    const file = await withStore(async (store, sessionId) => (await store.sessionFile?.({ sessionId })) ?? '');
    const { child, output } = start(
      `
      const { openSync, writeSync: write, closeSync } = await import('node:fs');
      const file = await store.sessionFile({ sessionId: session.sessionId });
      const out = openSync(file, 'a');
      let parentId = null;
      for (let n = 0; n < 100_000; ) {
        const lines = [];
        for (const stop = n + 1_000; n < stop; n++) {
          const id = n.toString(16).padStart(8, '0');
          lines.push(JSON.stringify({ type: 'custom', id, parentId, timestamp: '2026-11-20T08:52:00.000Z', customType: 'fill', data: 'x'.repeat(940) }));
          parentId = id;
        }
        write(out, lines.join('\\n') + '\\n');
      }
      write(out, '{"torn');
      closeSync(out);
      const { entries, lastSeq } = await store.read({ sessionId: session.sessionId, limit: 2 });
      const added = await store.append({ sessionId: session.sessionId, entries: [text('the-last', 'hello')] });
      const again = await store.read({ sessionId: session.sessionId, fromSeq: lastSeq });
      say(JSON.stringify({ lastSeq, first: entries[0].seq, added, again: again.entries.length, peak: process.resourceUsage().maxRSS / 1024 }));`,
      { flags: ['--max-old-space-size=64'] },
    );
    await once(child, 'close');
    const result = JSON.parse(output());
    expect(result).toMatchObject({ lastSeq: 100_000, first: 99_999, added: { entries: [{ id: 'the-last', seq: 100_001 }] }, again: 2 });
    expect(statSync(file).size).toBeGreaterThan(100_000_000);
    expect(readdirSync(dirname(file)).some((name) => name.includes('.jsonl.torn.'))).toBe(true);
    // megabytes, with a bare process at about 50: far from a second copy of the file
    expect(result.peak).toBeLessThan(180);
  }, 60_000);
});

describe("the ancestor's reader", () => {
  it('opens our file and gives back the same messages', async ({ skip }) => {
    const reader = process.env.Durar_TEST_PI_READER;
    if (reader === undefined) return skip('set Durar_TEST_PI_READER to the folder of @mariozechner/pi-coding-agent 0.64');
    const { SessionManager } = await import(fileURLToPath(new URL('dist/index.js', `file://${reader.replace(/\/?$/, '/')}`)));
    await withStore(async (store, sessionId) => {
      const usage = { input: 1, output: 2, cacheRead: 0, cacheWrite: 0, totalTokens: 3, cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 } };
      const messages = [
        { role: 'user' as const, content: 'old', timestamp: 1 },
        { role: 'user' as const, content: [{ type: 'text' as const, text: 'kept 日本語 🙂 \u2028' }], timestamp: 2 },
        {
          role: 'assistant' as const,
          content: [
            { type: 'text' as const, text: 'reading' },
            { type: 'toolCall' as const, id: 'c1', name: 'read', arguments: { path: 'a' } },
          ],
          api: 'offline',
          provider: 'offline',
          model: 'echo',
          usage,
          stopReason: 'toolUse' as const,
          timestamp: 3,
        },
        { role: 'toolResult' as const, toolCallId: 'c1', toolName: 'read', content: [{ type: 'text' as const, text: 'done' }], isError: false, timestamp: 4 },
      ];
      const timestamp = '2026-11-20T08:52:00.000Z';
      const stored = messages.map((message, index) => ({ type: 'message' as const, id: `0000000${index}`, timestamp, message }));
      await store.append({ sessionId, entries: stored });
      const file = (await store.sessionFile?.({ sessionId })) ?? '';
      const before = readFileSync(file);
      const plain = SessionManager.open(file);
      expect(plain.getSessionId()).toBe(sessionId);
      expect(plain.buildSessionContext()).toMatchObject({ messages, model: { provider: 'offline', modelId: 'echo' } });

      await store.append({
        sessionId,
        entries: [{ type: 'compaction', id: '00000009', timestamp, summary: 'so far', firstKeptEntryId: '00000001', tokensBefore: 9 }],
      });
      const compacted = SessionManager.open(file).buildSessionContext().messages;
      expect(compacted[0]).toMatchObject({ role: 'compactionSummary', summary: 'so far' });
      expect(compacted.slice(1)).toEqual(messages.slice(1));
      expect(readFileSync(file).subarray(0, before.length)).toEqual(before);

      const shortened = { ...messages[3], role: 'toolResult' as const, content: [{ type: 'text' as const, text: 'short' }] } as (typeof messages)[number];
      await store.rewrite?.({ sessionId, replacements: [{ id: '00000003', message: shortened }] });
      const rewritten = SessionManager.open(file).buildSessionContext().messages;
      expect(rewritten[0]).toMatchObject({ role: 'compactionSummary', summary: 'so far' });
      expect(rewritten.slice(1)).toEqual([messages[1], messages[2], shortened]);
    });
  });
});
