import { expect, it } from 'vitest';
import { durarError } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import { createReloadSignal } from './reload-signal.ts';

function setup() {
  const lines: Array<[level: string, code: unknown]> = [];
  const events: string[] = [];
  const write =
    (level: string) =>
    (_message: string, fields: { code?: unknown } = {}) =>
      void lines.push([level, fields.code]);
  const log = { error: write('error'), warn: write('warn'), info: write('info') } as unknown as Logger;
  return { lines, events, signal: createReloadSignal({ log, announce: (text) => events.push(text) }) };
}

const errors = [durarError('DUR_SECRET_UNRESOLVED', { path: 'a.token', reason: 'words of a source' }, { owner: { pointer: '/a/token' } })];

it('tells once that it is degraded, then only warns, and once that it recovered (SEC-146 to SEC-151)', () => {
  const { lines, events, signal } = setup();
  signal.succeeded();
  for (let round = 0; round < 3; round += 1) signal.failed(errors);
  expect(signal.isDegraded()).toBe(true);
  for (let round = 0; round < 2; round += 1) signal.succeeded();
  expect(lines).toEqual([
    ['error', 'SECRETS_RELOADER_DEGRADED'],
    ['warn', undefined],
    ['warn', undefined],
    ['info', 'SECRETS_RELOADER_RECOVERED'],
  ]);
  expect(events).toEqual([expect.stringContaining('SECRETS_RELOADER_DEGRADED'), expect.stringContaining('SECRETS_RELOADER_RECOVERED')]);
  expect(events.join(' ')).toContain('/a/token');
  expect(events.join(' ')).not.toContain('words of a source');
  signal.failed(errors);
  expect(events.length).toBe(3);
});

it('says nothing of a start that fails (SEC-152)', () => {
  const { lines, events, signal } = setup();
  signal.failed(errors);
  signal.succeeded();
  expect([lines, events]).toEqual([[], []]);
});
