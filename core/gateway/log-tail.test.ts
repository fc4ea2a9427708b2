import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tailLog } from './log-tail.ts';

describe('the tail of a log', () => {
  let dir: string;
  let file: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'durar-tail-'));
    file = join(dir, 'gateway.log');
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const lines = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `line ${from + i} é\n`).join('');

  it('gives the last lines, then only new ones behind the cursor (PROTO-113, PROTO-114, PROTO-115)', async () => {
    writeFileSync(file, lines(1, 10));
    const first = await tailLog(file, { limit: 3 });
    expect(first).toMatchObject({ file, lines: ['line 8 é', 'line 9 é', 'line 10 é'], truncated: true, reset: false });
    expect(first.cursor).toBe(first.size);
    expect(await tailLog(file, { cursor: first.cursor })).toMatchObject({ lines: [], truncated: false, reset: false });
    appendFileSync(file, lines(11, 12));
    expect((await tailLog(file, { cursor: first.cursor })).lines).toEqual(['line 11 é', 'line 12 é']);
  });

  it('skips nothing behind a cursor when there is more than the limit', async () => {
    writeFileSync(file, lines(1, 7));
    const seen: string[] = [];
    let cursor = 0;
    for (let i = 0; i < 4; i += 1) {
      const tail = await tailLog(file, { cursor, limit: 2 });
      seen.push(...tail.lines);
      cursor = tail.cursor;
    }
    expect(seen).toEqual(lines(1, 7).trimEnd().split('\n'));
  });

  it('leaves a line that is still written for the next call', async () => {
    writeFileSync(file, 'one\ntw');
    const first = await tailLog(file, {});
    expect(first).toMatchObject({ lines: ['one'], cursor: 4, size: 6 });
    appendFileSync(file, 'o\n');
    expect((await tailLog(file, { cursor: first.cursor })).lines).toEqual(['two']);
  });

  it.each([17, 18, 19, 20, 25, 40])('stays below %i bytes and begins at a whole line (PROTO-116)', async (maxBytes) => {
    writeFileSync(file, lines(1, 9));
    const tail = await tailLog(file, { maxBytes });
    expect(Buffer.byteLength(tail.lines.map((line) => `${line}\n`).join(''))).toBeLessThanOrEqual(maxBytes);
    expect(lines(1, 9)).toMatch(new RegExp(`${tail.lines.join('\n')}\n$`));
    expect(tail.lines.length).toBe(Math.floor(maxBytes / 10));
    expect(tail).toMatchObject({ truncated: true, cursor: tail.size });
  });

  it('starts anew when the file was cut, and when it grew beyond what may be sent', async () => {
    writeFileSync(file, lines(1, 9));
    const { cursor } = await tailLog(file, {});
    truncateSync(file, 0);
    appendFileSync(file, lines(1, 2));
    expect(await tailLog(file, { cursor })).toMatchObject({ lines: ['line 1 é', 'line 2 é'], reset: true });
    appendFileSync(file, lines(3, 9));
    expect(await tailLog(file, { cursor: 0, maxBytes: 25 })).toMatchObject({ lines: ['line 8 é', 'line 9 é'], reset: true, truncated: true });
  });

  it('passes over a line that is longer than the window', async () => {
    writeFileSync(file, `${'x'.repeat(100)}\n`);
    const tail = await tailLog(file, { maxBytes: 50 });
    expect(tail.lines).toEqual([]);
    writeFileSync(file, 'x'.repeat(100));
    const endless = await tailLog(file, { maxBytes: 50 });
    expect([endless.lines, endless.cursor]).toEqual([[], 100]);
  });

  it('takes the newest daily file before the first line of a day', async () => {
    writeFileSync(join(dir, 'Durar-2026-11-18.log'), 'old\n');
    writeFileSync(join(dir, 'Durar-2026-11-19.log'), 'yesterday\n');
    expect(await tailLog(join(dir, 'Durar-2026-11-20.log'), {})).toMatchObject({ file: join(dir, 'Durar-2026-11-19.log'), lines: ['yesterday'] });
    expect(await tailLog(file, {})).toEqual({ file, cursor: 0, size: 0, lines: [], truncated: false, reset: false });
  });
});
