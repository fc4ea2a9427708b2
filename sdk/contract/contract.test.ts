import assert from 'node:assert/strict';
import { describe, expect, it } from 'vitest';
import { durarError } from '../errors.ts';
import { type ContractCase, formatContract, runContract } from './contract.ts';

interface Box {
  number: number;
  dispose?(): void;
}
const suite = (...cases: Array<ContractCase<Box>>) => ({ port: 'box', cases });

describe('runContract', () => {
  it('runs each case in a context of its own and disposes of it, whatever the result', async () => {
    const disposed: number[] = [];
    let made = 0;
    const seen: number[] = [];
    const report = await runContract(
      suite(
        { name: 'passes', ids: ['BOX-1'], run: async ({ number }) => void seen.push(number) },
        { name: 'breaks', run: async () => assert.equal(1, 2) },
        { name: 'throws a code', run: async () => Promise.reject(durarError('DUR_RUN_ABORTED')) },
        { name: 'does not apply', skip: ({ number }) => `box ${number} is closed`, run: async () => void seen.push(-1) },
      ),
      async () => {
        const number = ++made;
        return { number, dispose: () => void disposed.push(number) };
      },
    );
    expect(seen).toEqual([1]);
    expect(disposed).toEqual([1, 2, 3, 4]);
    expect(report).toMatchObject({ port: 'box', ok: false, passed: 1, failed: 2, skipped: 1 });
    expect(report.results.map(({ name, status, code }) => [name, status, code])).toEqual([
      ['passes', 'passed', undefined],
      ['breaks', 'failed', undefined],
      ['throws a code', 'failed', 'DUR_RUN_ABORTED'],
      ['does not apply', 'skipped', undefined],
    ]);
    const text = formatContract(report);
    expect(text).toContain('box: 1 passed, 2 failed, 1 skipped');
    expect(text).toContain('ok   passes (BOX-1)');
    expect(text).toContain('DUR_RUN_ABORTED: the run was aborted');
    expect(text).toContain('box 4 is closed');
  });

  it('fails a case that never ends, and goes on', async () => {
    const report = await runContract(suite({ name: 'hangs', timeoutMs: 20, run: () => new Promise(() => {}) }, { name: 'next', run: async () => {} }), () => ({
      number: 0,
    }));
    expect(report.results).toMatchObject([{ status: 'failed', reason: 'the case did not end within 20 ms' }, { status: 'passed' }]);
  });

  it('blames a context that cannot be made or disposed of', async () => {
    const cases = suite({ name: 'any', run: async () => {} });
    const unmade = await runContract(cases, () => {
      throw new Error('no box');
    });
    expect(unmade.results).toMatchObject([{ status: 'failed', reason: 'no box' }]);
    const stuck = await runContract(cases, () => ({
      number: 0,
      dispose() {
        throw new Error('box is stuck');
      },
    }));
    expect(stuck.results).toMatchObject([{ status: 'failed', reason: 'box is stuck' }]);
    expect((await runContract(cases, () => ({ number: 0 }))).ok).toBe(true);
  });
});
