import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireGatewayLock } from './lock.ts';

let dir: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'durar-lock-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

/** A process of its own that tries to take the lock, says how that ended, and stays. */
async function taker(): Promise<{ child: ChildProcess; answer: string }> {
  const script = `
    import { acquireGatewayLock } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};
    setInterval(() => {}, 1000);
    try { acquireGatewayLock({ dir: ${JSON.stringify(dir)} }); console.log('taken'); } catch (error) { console.log(error.code); }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = await once(child.stdout, 'data');
  return { child, answer: String(line).trim() };
}

describe('acquireGatewayLock', () => {
  it('lets one in, names the holder to the next, and is free after kill -9', async () => {
    const first = await taker();
    expect(first.answer).toBe('taken');
    expect(() => acquireGatewayLock({ dir })).toThrow(
      expect.objectContaining({ code: 'DUR_STATE_LOCKED', details: { pid: first.child.pid }, message: expect.stringContaining(String(first.child.pid)) }),
    );
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    const lock = acquireGatewayLock({ dir });
    expect((await taker()).answer).toBe('DUR_STATE_LOCKED');
    lock.release();
    lock.release();
    expect((await taker()).answer).toBe('taken');
  });

  it('holds within one process too, and a failed attempt does not weaken it', async () => {
    const lock = acquireGatewayLock({ dir });
    expect(() => acquireGatewayLock({ dir })).toThrow(expect.objectContaining({ code: 'DUR_STATE_LOCKED', details: { pid: process.pid } }));
    expect((await taker()).answer).toBe('DUR_STATE_LOCKED');
    lock.release();
    acquireGatewayLock({ dir }).release();
  });

  it('has exactly one winner when several start at once', async () => {
    const answers = (await Promise.all([taker(), taker(), taker(), taker()])).map((one) => one.answer);
    expect(answers.filter((answer) => answer === 'taken')).toHaveLength(1);
    expect(answers.filter((answer) => answer === 'DUR_STATE_LOCKED')).toHaveLength(3);
  });
});
