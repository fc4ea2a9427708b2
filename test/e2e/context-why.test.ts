import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SessionsTurnResult as TurnRecord, SessionsTurnsResult as Turns } from '../../sdk/protocol/generated/types.ts';
import { createMachine, type GatewayProcess, type Machine } from './gateway-process.ts';

let machine: Machine;
let gateway: GatewayProcess;

beforeAll(async () => {
  machine = await createMachine();
  await writeFile(join(machine.workspace, 'AGENTS.md'), `Answer in one line. ${'Be short. '.repeat(50)}`);
  gateway = await machine.start();
}, 60_000);
afterAll(() => machine.remove());

it('durar context why names each part of the last request with its source and its share (ENGINE-062, CTX-001, CTX-002)', async () => {
  expect((await machine.cli(['agent', '--message', 'the secret word is zebra'])).code).toBe(0);
  expect((await machine.cli(['agent', '--message', '[[offline: say two]]'])).code).toBe(0);
  const shown = await machine.cli(['context', 'why']);
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(shown.stdout).toMatch(/^🧭 Turn /);
  expect(shown.stdout).toMatch(/\nEngine: legacy .*\(extension legacy\)\nModel: offline\/\w+\nBudget: window [\d,]+, reserve [\d,]+, overhead [\d,]+, /);
  expect(shown.stdout).toMatch(/\nUsed: ~[\d,]+ tok \(host's count [\d,]+, x\d\.\d\d\), engine says [\d,]+\nProvider said: [\d,]+ tok\n/);
  for (const group of ['System prompt', 'Tool schemas', 'Messages'])
    expect(shown.stdout).toMatch(new RegExp(`\\n *[\\d,]+ +[\\d.]+% {2}${group} \\(\\d+\\)\\n`));
  expect(shown.stdout).toContain(`workspace:${join(machine.workspace, 'AGENTS.md')}`);

  const record = (await machine.cli(['context', 'why', 'last', '--json'])).json<TurnRecord>();
  const named = (kind: string) => record.parts.filter((part) => part.kind === kind);
  expect(record).toMatchObject({ sessionKey: 'agent:main:main', status: 'ok', engine: { id: 'legacy', owner: 'legacy' }, callCount: 1 });
  expect(record.request?.reported).toBeGreaterThan(0);
  expect(named('message').map(({ name, seq }) => [name, seq])).toEqual([
    ['user', expect.any(Number)],
    ['assistant', expect.any(Number)],
    ['user', expect.any(Number)],
  ]);
  for (const { source, entryId } of named('message')) expect(source).toBe(`entry:${entryId}`);
  expect(named('tool').every(({ source }) => source.startsWith('extension:tools-'))).toBe(true);
  const total = record.parts.reduce((sum, { tokens }) => sum + tokens, 0);
  const { estimated = 0, corrected = 0 } = record.request ?? {};
  expect(Math.abs(total - estimated)).toBeLessThanOrEqual(record.parts.length);
  expect(corrected).toBeLessThan(record.budget?.window ?? 0);
  expect(JSON.stringify(record)).not.toContain('zebra');

  const listed = (await machine.cli(['context', 'turns', 'main', '--json'])).json<Turns>();
  expect(listed.turns.map(({ runId }) => runId)).toHaveLength(2);
  const first = listed.turns[1]?.runId ?? '';
  for (const name of ['-2', first]) expect((await machine.cli(['context', 'why', name, '--json'])).json<TurnRecord>().runId).toBe(first);
  expect((await machine.cli(['context', 'turns'])).stdout).toMatch(/^Turns of agent:main:main, newest first\n {2}-1 {2}/);
}, 60_000);

it('the records outlive the gateway, are told to readers only, and a turn that is not kept is said to be missing', async () => {
  await gateway.stop();
  gateway = await machine.start();
  const client = await machine.connect(gateway);
  const { key, turns } = await client.request('sessions.turns', { key: 'main' });
  expect([key, turns.length]).toEqual(['agent:main:main', 2]);
  expect(await client.request('sessions.turn', { turn: turns[0]?.runId ?? '' })).toMatchObject({ runId: turns[0]?.runId, parts: expect.any(Array) });
  expect(await machine.cli(['context', 'why', '-9'])).toMatchObject({ code: 1, stderr: expect.stringContaining("has no record of the turn '-9'") });
  expect(await machine.cli(['context', 'why', '--session', 'nowhere'])).toMatchObject({ code: 1, stderr: expect.stringContaining('agent:main:nowhere') });
  expect((await machine.cli(['agent', '--message', '/context why -1'])).stdout).toMatch(/^🧭 Turn /);
  const work = () => client.request('sessions.turns', { key: 'work' });
  expect((await machine.cli(['agent', '--session', 'work', '--message', 'hello'])).code).toBe(0);
  expect((await work()).turns).toHaveLength(1);
  expect((await machine.cli(['sessions', 'delete', 'work'])).code).toBe(0);
  expect((await work()).turns).toEqual([]);
  await client.close();
}, 60_000);
