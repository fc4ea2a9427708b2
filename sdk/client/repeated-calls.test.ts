import { afterEach, expect, it, vi } from 'vitest';
import { RepeatedCalls } from './repeated-calls.ts';

afterEach(() => {
  vi.useRealTimers();
});

it('runs a call once and answers its repeats with the same outcome (PROTO-051)', async () => {
  const calls = new RepeatedCalls<number>();
  let runs = 0;
  const call = (key: string) =>
    calls.once(key, async (sent) => {
      sent();
      runs += 1;
      return runs;
    });
  expect(await Promise.all([call('a'), call('a')])).toEqual([1, 1]);
  expect([await call('a'), await call('b'), runs]).toEqual([1, 2, 2]);
});

it('lets a call that failed before it had an effect be tried again, and no other', async () => {
  const calls = new RepeatedCalls<string>();
  const failing = (isSent: boolean) =>
    calls.once('key', async (sent) => {
      if (isSent) sent();
      throw new Error('no');
    });
  await expect(failing(false)).rejects.toThrow('no');
  await expect(failing(true)).rejects.toThrow('no');
  await expect(calls.once('key', async () => 'second')).rejects.toThrow('no');
});

it('forgets after five minutes, and the oldest of many or large ones', async () => {
  vi.useFakeTimers();
  const calls = new RepeatedCalls<string>();
  const run = (key: string, result: string) =>
    calls.once(key, async (sent) => {
      sent();
      return result;
    });
  await run('old', '1');
  vi.advanceTimersByTime(300_001);
  expect(await run('old', '2')).toBe('2');
  for (let i = 0; i < 1000; i += 1) await run(`many-${i}`, 'x');
  expect(await run('old', '3')).toBe('3');
  for (let i = 0; i < 3; i += 1) await run(`large-${i}`, 'x'.repeat(30 * 1024 * 1024));
  expect(await run('large-2', 'y')).not.toBe('y');
  expect(await run('many-999', 'y')).toBe('y');
});
