import { expect, it, onTestFinished } from 'vitest';
import { installCrashHandlers } from './crash-handlers.ts';

it('logs what goes on failing ever more rarely, also when the log itself is what fails', () => {
  const crashes = process.listeners('uncaughtException');
  const lines: string[] = [];
  let crash = (_error: unknown): void => {};
  const remove = installCrashHandlers((error) => (error instanceof TypeError ? 'fixture' : undefined), {
    error(text) {
      lines.push(text);
      // as a write to a closed pipe does: the next crash comes from this line
      if (lines.length < 50 && text.includes('EPIPE')) crash(new Error('write EPIPE'));
    },
  });
  onTestFinished(remove);
  crash = process.listeners('uncaughtException').find((listener) => !crashes.includes(listener)) as typeof crash;
  crash(new Error('write EPIPE'));
  for (let n = 0; n < 100; n += 1) crash(new Error('write EPIPE'));
  crash(new Error('something else'));
  for (let n = 0; n < 12; n += 1) crash(new TypeError('x'));
  expect(lines).toEqual([
    'an error outside any call: write EPIPE',
    'an error outside any call (the 10th): write EPIPE',
    'an error outside any call (the 100th): write EPIPE',
    'an error outside any call: something else',
    "'fixture' is switched off after an error outside any call: x",
    "'fixture' is switched off after an error outside any call (the 10th): x",
  ]);
});
