import { describe, expect, it, vi } from 'vitest';
import type { SecretsProvider } from '../../sdk/index.ts';
import { resolveRefs, type SourceSettings, sourceSettings } from './batches.ts';
import { keyOf } from './ref.ts';

const ref = (provider: string, id: string) => ({ source: 'vault', provider, id });

function run(refs: ReturnType<typeof ref>[], resolve: SecretsProvider['resolve'], resolution: Partial<SourceSettings['resolution']> = {}, block: object = {}) {
  const providers = Object.fromEntries(refs.map(({ provider }) => [provider, { source: 'vault', ...block }]));
  const settings = sourceSettings({ secrets: { providers, resolution } });
  return resolveRefs(refs, { settings, env: {}, source: async () => ({ source: 'vault', resolve }) });
}

const echo: SecretsProvider['resolve'] = async ({ ids }) => ({ values: Object.fromEntries(ids.map((id) => [id, `v-${id}`])) });

describe('batches', () => {
  it('512 references over 4 aliases are 4 calls (SEC-069, SEC-093)', async () => {
    const refs = Array.from({ length: 512 }, (_, at) => ref(`p${at % 4}`, `id${at}`));
    const resolve = vi.fn(echo);
    const { values, problems } = await run(refs, resolve);
    expect(values.size).toBe(512);
    expect(problems.size).toBe(0);
    expect(resolve.mock.calls.map(([{ ids }]) => ids.length)).toEqual([128, 128, 128, 128]);
  });

  it.each([
    [undefined, 4],
    [2, 2],
    [100, 8],
  ])('with maxProviderConcurrency %s at most %i of 8 aliases are asked at once (SEC-068)', async (maxProviderConcurrency, most) => {
    let now = 0;
    let peak = 0;
    const refs = Array.from({ length: 8 }, (_, at) => ref(`p${at}`, 'id'));
    const { values } = await run(
      refs,
      async (params) => {
        now += 1;
        peak = Math.max(peak, now);
        await new Promise((resolve) => setTimeout(resolve, 5));
        now -= 1;
        return echo(params);
      },
      maxProviderConcurrency === undefined ? {} : { maxProviderConcurrency },
    );
    expect(values.size).toBe(8);
    expect(peak).toBe(most);
  });

  it('513 references to one alias fail, and it is not asked (SEC-069)', async () => {
    const refs = Array.from({ length: 513 }, (_, at) => ref('p', `id${at}`));
    const resolve = vi.fn(echo);
    const { values, problems } = await run(refs, resolve);
    expect([values.size, problems.size]).toEqual([0, 513]);
    expect(problems.get(keyOf(ref('p', 'id0')))?.(['x']).message).toContain('maxRefsPerProvider is 512');
    expect(resolve).not.toHaveBeenCalled();
  });

  it('ids that are too long together fail (SEC-070)', async () => {
    const { problems } = await run([ref('p', 'a'.repeat(300)), ref('q', 'b')], echo, { maxBatchBytes: 256 });
    expect([...problems.values()].map((problem) => problem(['x']).message)).toEqual([expect.stringContaining('maxBatchBytes is 256')]);
  });

  it('a source that hangs is cut off and told, the others are not kept waiting by it (SEC-012)', async () => {
    let told: AbortSignal | undefined;
    vi.useFakeTimers();
    try {
      const pending = run([ref('slow', 'a'), ref('quick', 'b')], (params) => {
        if (params.provider === 'quick') return echo(params);
        told = params.signal;
        return new Promise(() => {});
      });
      await vi.advanceTimersByTimeAsync(60_000);
      const { values, problems } = await pending;
      expect([...values.values()]).toEqual(['v-b']);
      expect(problems.get(keyOf(ref('slow', 'a')))?.(['x']).message).toMatch(/did not answer within \d+ ms \(provider 'slow'\)/);
      expect(told?.aborted).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });

  it('a limit of its own is waited for', async () => {
    vi.useFakeTimers();
    try {
      const pending = run([ref('slow', 'a')], () => new Promise(() => {}), {}, { timeoutMs: 60_000 });
      let isOver = false;
      void pending.then(() => (isOver = true));
      await vi.advanceTimersByTimeAsync(60_000);
      expect(isOver).toBe(false);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(isOver).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });
});
