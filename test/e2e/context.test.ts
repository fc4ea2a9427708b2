import { afterAll, beforeAll, expect, it } from 'vitest';
import { createMachine, type Machine } from './gateway-process.ts';

let machine: Machine;

beforeAll(async () => {
  machine = await createMachine();
  await machine.start();
}, 60_000);
afterAll(() => machine.remove());

it('durar context shows what the last run sent (CTX-008, CTX-009, CTX-012, CTX-033, CTX-095)', async () => {
  expect((await machine.cli(['agent', '--message', 'hello'])).code).toBe(0);
  const list = await machine.cli(['context', 'list', 'main']);
  expect(list).toMatchObject({ code: 0, stderr: '' });
  const lines = list.stdout.trimEnd().split('\n');
  expect(lines[0]).toBe('🧠 Context breakdown');
  expect(lines[1]).toMatch(/^Workspace: \//);
  expect(lines[4]).toMatch(/^System prompt \(run\): [\d,]+ chars \(~[\d,]+ tok\) \(Project Context [\d,]+ chars \(~[\d,]+ tok\)\)$/);
  expect(lines.at(-1)).toMatch(/^Session tokens \(cached\): [\d,]+ total \/ ctx=[\d,]+$/);
  const detail = await machine.cli(['context', 'detail']);
  expect(detail.stdout).toMatch(/^🧠 Context breakdown \(detailed\)\n/);
  expect(detail.stdout).toContain('\nTop tools (schema size):\n- ');
  const json = await machine.cli(['context', 'json', 'main']);
  expect(JSON.parse(json.stdout)).toMatchObject({ key: 'agent:main:main', report: { source: 'run', contextEngine: 'legacy' } });
  expect(JSON.parse((await machine.cli(['context', 'list', '--json'])).stdout)).toEqual(JSON.parse(json.stdout));
  expect(await machine.cli(['context', 'list', 'nowhere'])).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no session') });
}, 60_000);

it('durar doctor names the engine of a fresh install (CTX-090)', async () => {
  const { stdout, code } = await machine.cli(['doctor']);
  expect([code, stdout]).toEqual([0, expect.stringContaining('context engine: legacy')]);
}, 60_000);
