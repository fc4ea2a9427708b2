import { describe, expect, it } from 'vitest';
import { createLanes } from './lanes.ts';

/** A task that ends when it is told to, and says when it began. */
function gate(name: string, began: string[]) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const task = () => {
    began.push(name);
    return promise;
  };
  return { task, end: () => resolve(name), fail: (error: Error) => reject(error) };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('lanes', () => {
  it('run first in, first out, as many at once as the lane allows (QUEUE-008)', async () => {
    const lanes = createLanes((lane) => (lane === 'main' ? 2 : 1));
    const began: string[] = [];
    const gates = ['a', 'b', 'c', 'd'].map((name) => gate(name, began));
    const done = gates.map(({ task }) => lanes.run('main', task));
    await settle();
    expect(began).toEqual(['a', 'b']);
    expect(lanes.counts()).toEqual({ running: 2, waiting: 2 });
    gates[1]?.end();
    await settle();
    expect(began).toEqual(['a', 'b', 'c']);
    for (const { end } of gates) end();
    await expect(Promise.all(done)).resolves.toEqual(['a', 'b', 'c', 'd']);
    expect(lanes.counts()).toEqual({ running: 0, waiting: 0 });
  });

  it('do not wait for each other', async () => {
    const lanes = createLanes(() => 1);
    const began: string[] = [];
    const first = gate('x', began);
    const second = gate('y', began);
    const done = [lanes.run('session:x', first.task), lanes.run('session:y', second.task)];
    await settle();
    expect(began).toEqual(['x', 'y']);
    first.end();
    second.end();
    await Promise.all(done);
  });

  it('let go of an aborted waiter at once, and of the others in their order', async () => {
    const lanes = createLanes(() => 1);
    const began: string[] = [];
    const [a, b, c] = [gate('a', began), gate('b', began), gate('c', began)];
    const controller = new AbortController();
    const first = lanes.run('main', a.task);
    const second = lanes.run('main', b.task, controller.signal);
    const third = lanes.run('main', c.task);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    a.end();
    c.end();
    await Promise.all([first, third]);
    expect(began).toEqual(['a', 'c']);
    await expect(lanes.run('main', b.task, controller.signal)).rejects.toBe(reason);
    expect(began).toEqual(['a', 'c']);
    expect(lanes.counts()).toEqual({ running: 0, waiting: 0 });
  });

  it('go on after a task that throws', async () => {
    const lanes = createLanes(() => 1);
    const failing = lanes.run('main', () => Promise.reject(new Error('no')));
    const next = lanes.run('main', async () => 'yes');
    await expect(failing).rejects.toThrow('no');
    await expect(next).resolves.toBe('yes');
  });

  it('take a raised limit from the next start on', async () => {
    let limit = 1;
    const lanes = createLanes(() => limit);
    const began: string[] = [];
    const gates = ['a', 'b', 'c'].map((name) => gate(name, began));
    const done = gates.map(({ task }) => lanes.run('main', task));
    limit = 2;
    gates[0]?.end();
    await settle();
    expect(began).toEqual(['a', 'b', 'c']);
    for (const { end } of gates) end();
    await Promise.all(done);
  });
});
