import { describe, expect, it } from 'vitest';
import { createIdempotency } from './idempotency.ts';

describe('idempotency', () => {
  it('keeps a running call, then its final answer for five minutes (PROTO-051)', async () => {
    let now = 0;
    const calls = createIdempotency(() => now);
    calls.begin('agent:a', Promise.resolve('ack'));
    now = 400_000;
    expect(await calls.get('agent:a')?.accepted).toBe('ack');
    calls.finish('agent:a', 'done');
    now += 299_999;
    expect(calls.get('agent:a')?.final).toBe('done');
    now += 2;
    expect(calls.get('agent:a')).toBeUndefined();
  });

  it('forgets a refused call', async () => {
    const calls = createIdempotency();
    const { accepted } = calls.begin('chat:a', Promise.reject(new Error('no')));
    await expect(accepted).rejects.toThrow('no');
    await Promise.resolve();
    expect(calls.get('chat:a')).toBeUndefined();
    calls.finish('chat:a', 'late');
    expect(calls.get('chat:a')).toBeUndefined();
  });

  it('holds a thousand entries, the oldest going first', () => {
    const calls = createIdempotency();
    for (let i = 0; i <= 1000; i += 1) calls.begin(`agent:${i}`, Promise.resolve());
    expect(calls.get('agent:0')).toBeUndefined();
    expect(calls.get('agent:1')).toBeDefined();
  });
});
