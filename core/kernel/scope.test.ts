import { describe, expect, it } from 'vitest';
import { createScope, within } from './scope.ts';

describe('scope', () => {
  it('runs disposers once, last added first, and goes on after a throw', async () => {
    const scope = createScope();
    const order: number[] = [];
    scope.defer(() => order.push(1));
    scope.defer(() => {
      order.push(2);
      throw new Error('two');
    });
    scope.defer(async () => order.push(3));
    const [first, second] = await Promise.all([scope.dispose(), scope.dispose()]);
    expect(order).toEqual([3, 2, 1]);
    expect(first).toBe(second);
    expect(first.map(String)).toEqual(['Error: two']);
    expect(scope.signal.aborted).toBe(true);
  });

  it('runs a disposer that comes too late at once', async () => {
    const scope = createScope();
    await scope.dispose();
    let ran = false;
    scope.defer(() => {
      ran = true;
    });
    await scope.dispose();
    expect(ran).toBe(true);
  });

  it('within rejects when the task is late, and passes its result and its throw on', async () => {
    await expect(
      within(
        5,
        () => new Promise(() => {}),
        () => new Error('late'),
      ),
    ).rejects.toThrow('late');
    await expect(
      within(
        1000,
        () => 4,
        () => new Error('late'),
      ),
    ).resolves.toBe(4);
    await expect(
      within(
        1000,
        () => {
          throw new Error('sync');
        },
        () => new Error('late'),
      ),
    ).rejects.toThrow('sync');
  });
});
