import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Comparison } from '../../core/agent/shadow/comparison.ts';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

interface Answer {
  status: string;
  result?: { payloads: Array<{ text?: string; isError?: boolean }>; meta: { contextEngine?: string; problems?: unknown[] } };
  error?: { code?: string; message: string };
}

const TURNS = 300;
const KEY = 'agent:main:main';
const FIXTURE = join(root, 'test/fixtures/ancestor-dag');
/** Words that look like a day's work, about 60 tokens a turn. */
const prose = (n: number) =>
  `Turn ${n}: the survey of plot ${n * 7} lists ${n % 9} elms and ${n % 5} oaks; the mason came at ${n % 12} and asked for lime, sand and the drawing number ${n * 31}. `.repeat(
    2,
  );

let machine: Machine;
let gateway: GatewayProcess;
let client: GatewayClient;
let count = 0;

const durar = (...args: string[]) => machine.cli(args);
async function turn(message: string): Promise<Answer> {
  count += 1;
  return (await client.request('agent', { message, sessionKey: KEY, idempotencyKey: `dag-${count}` }, { expectFinal: true })) as Answer;
}
const texts = async (): Promise<string> => {
  const { sessionId } = (await durar('sessions', 'list', '--json'))
    .json<{ sessions: Array<{ key: string; sessionId: string }> }>()
    .sessions.find(({ key }) => key === KEY) ?? {
    sessionId: '',
  };
  return readFile(join(machine.stateDir, 'agents/main/sessions', `${sessionId}.jsonl`), 'utf8');
};
const rows = (sql: string, ...values: string[]): string[] => {
  const db = new DatabaseSync(join(machine.stateDir, 'dag.db'), { readOnly: true });
  try {
    return db
      .prepare(sql)
      .all(...values)
      .map(({ value }) => String(value));
  } finally {
    db.close();
  }
};
const events = (what: string) =>
  rows('SELECT detail AS value FROM events WHERE what = ? ORDER BY id', what).map((row) => JSON.parse(row) as Record<string, unknown>);

/** What a message says, whatever the order of its fields. */
const shape = (message: object) => JSON.stringify(Object.entries(message).sort(([left], [right]) => left.localeCompare(right))).slice(0, 500);

beforeAll(async () => {
  machine = await createMachine({
    agents: { defaults: { contextTokens: 9000, compaction: { reserveTokens: 1000, reserveTokensFloor: 0, keepRecentTokens: 500 } } },
  });
  gateway = await machine.start();
  client = await machine.connect(gateway);
}, 60_000);
afterAll(async () => {
  client.close();
  await machine.remove();
});

describe('an engine published for the ancestor, installed as it is', () => {
  it('passes verify, which says what the host keeps in its place', async () => {
    const verify = await durar('plugins', 'verify', FIXTURE);
    expect(verify.stdout).toContain(', 0 failed,');
    expect(verify.stdout).toContain("the host's own cursor gives them each entry once");
    expect(verify.code).toBe(0);
  }, 120_000);

  it('is installed under a running gateway, which names the slot line of an engine that no manifest names (ENGINE-009, ENGINE-012, ENGINE-013)', async () => {
    expect((await turn('The code of the north gate is HERON-77.')).result?.meta.contextEngine).toBe('legacy');
    const install = await durar('plugins', 'install', FIXTURE);
    expect(install).toMatchObject({ code: 0, stderr: '' });
    expect(install.stdout).toContain('durar config set plugins.slots.contextEngine dag');
    expect((await turn('still legacy?')).result?.meta.contextEngine).toBe('legacy');
    expect((await durar('config', 'set', 'plugins.slots.contextEngine', 'dag')).code).toBe(0);
  }, 60_000);

  it(`serves ${TURNS} turns in a small window, compacting by itself, and fails none (ENGINE-006, ENGINE-019, ENGINE-075, ENGINE-083, ENGINE-093, ENGINE-100)`, async () => {
    for (let n = 1; n <= TURNS; n += 1) {
      const answer = await turn(n % 25 === 0 ? `[[offline: tool dag_grep {"pattern":"HERON"}]] [[offline: say turn ${n} done]]` : prose(n));
      expect([n, answer.status, answer.error, answer.result?.meta.contextEngine]).toEqual([n, 'ok', undefined, 'dag']);
      expect(answer.result?.meta.problems).toBeUndefined();
    }
    // what came before it was read in the transcript, once
    expect(events('bootstrap')).toEqual([{ imported: 4 }]);
    const ends = events('afterTurn');
    expect(ends.length).toBeGreaterThanOrEqual(TURNS - 1);
    expect(ends.filter(({ changed }) => changed === true).length).toBeGreaterThan(10);
    // each message once, in the order of the transcript
    const lines = (await texts())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; message: object });
    const written = lines.filter(({ type }) => type === 'message').map(({ message }) => shape(message));
    const own = await until(async () => {
      const kept = rows('SELECT body AS value FROM messages ORDER BY id').map((body) => shape(JSON.parse(body) as object));
      return kept.length === written.length ? kept : undefined;
    }, 'the last afterTurn');
    expect(own).toEqual(written);
    // an engine that owns compaction gets no summary of the host's
    expect(await texts()).not.toContain('"type":"compaction"');
    expect(await texts()).toContain('HERON-77');
  }, 300_000);

  it('compacts on request, and its context can be looked into (ENGINE-024, ENGINE-053, ENGINE-076, ENGINE-092)', async () => {
    const compacted = (await client.request('sessions.compact', { key: KEY })) as { ok: boolean; compacted: boolean };
    expect(compacted).toMatchObject({ ok: true });
    expect(events('compact').at(-1)).toMatchObject({ force: true });
    const list = await durar('context', 'list', KEY);
    expect(list).toMatchObject({ code: 0 });
    const detail = await durar('context', 'detail', KEY);
    expect(detail).toMatchObject({ code: 0 });
    expect(detail.stdout).toContain('dag_grep');
    expect((await durar('doctor')).stdout).toContain('context engine: dag is active');
  }, 60_000);

  it('is told apart part by part, and set beside legacy: legacy in its shadow, it in the shadow of legacy, both again offline (ENGINE-017, ENGINE-099)', async () => {
    const why = await durar('context', 'why', '--session', KEY);
    expect(why.stdout).toMatch(/^Engine: dag \S+ \(extension dag-context\)$/m);
    expect(why.stdout).toMatch(/Engine addition +engine:dag/);
    expect(why.stdout).toMatch(/dag_grep +extension:dag-context/);
    expect(why.stdout).toMatch(/user #\d+ +entry:[0-9a-f]{8}/);
    const compared = (...engines: string[]) =>
      until(
        async () => {
          const { groups } = (await durar('context', 'compare', '--json')).json<Comparison>();
          return groups.find((group) => group.turns >= 5 && group.engines.map(({ engine }) => engine).join() === engines.join());
        },
        `turns of ${engines.join(' beside ')}`,
      );
    expect((await durar('config', 'set', 'plugins.slots.contextEngineShadow', 'legacy')).code).toBe(0);
    for (let n = 301; n <= 308; n += 1) expect((await turn(prose(n))).result?.meta.contextEngine).toBe('dag');
    const [active, shadow] = (await compared('dag', 'legacy')).engines;
    // the host makes no summary for a shadow: it shows what no compaction costs
    expect(shadow?.tokens.avg).toBeGreaterThan((active?.tokens.avg ?? 0) * 2);
    expect([active?.failedTurns, shadow?.failedTurns, active?.overBudget]).toEqual([0, 0, 0]);
    expect(active?.dropped).toBeGreaterThan(1_000);

    expect((await durar('config', 'unset', 'plugins.slots.contextEngineShadow')).code).toBe(0);
    expect((await durar('config', 'set', 'plugins.slots.contextEngine', 'legacy')).code).toBe(0);
    expect((await durar('config', 'set', 'plugins.slots.contextEngineShadow', 'dag')).code).toBe(0);
    for (let n = 309; n <= 316; n += 1) expect((await turn(prose(n))).result?.meta.contextEngine).toBe('legacy');
    const reverse = await compared('legacy', 'dag');
    expect(reverse.engines.map(({ role, failedTurns }) => [role, failedTurns])).toEqual([
      ['active', 0],
      ['shadow', 0],
    ]);
    const table = await durar('context', 'compare', '--session', KEY);
    expect(table).toMatchObject({ code: 0, stderr: '' });
    expect(table.stdout).toMatch(/^dag +shadow +\d/m);
    expect((await durar('config', 'unset', 'plugins.slots.contextEngineShadow')).code).toBe(0);
    expect((await durar('config', 'set', 'plugins.slots.contextEngine', 'dag')).code).toBe(0);
    expect((await turn('who serves?')).result?.meta.contextEngine).toBe('dag');

    const replay = await durar('context', 'replay', KEY, '--engine', 'legacy', '--engine', 'dag', '--turns', '40', '--json');
    expect(replay).toMatchObject({ code: 0, stderr: '' });
    const [group] = replay.json<Comparison>().groups;
    expect(group?.engines.map(({ engine, role, answered, failures }) => [engine, role, answered, failures])).toEqual([
      ['legacy', 'replay', 40, {}],
      ['dag', 'replay', 40, {}],
    ]);
  }, 120_000);

  it('is disposed when the gateway stops, and goes on where it was when it starts again (ENGINE-065, ENGINE-071)', async () => {
    client.close();
    await gateway.stop();
    expect(gateway.output().split('dag engine disposed')).toHaveLength(2);
    const before = rows('SELECT count(*) AS value FROM messages');
    const bootstraps = events('bootstrap').length;
    gateway = await machine.start();
    client = await machine.connect(gateway);
    expect((await turn('still there?')).result?.meta.contextEngine).toBe('dag');
    expect(events('bootstrap').slice(bootstraps)).toEqual([{ imported: 0 }]);
    await until(async () => Number(rows('SELECT count(*) AS value FROM messages')[0]) === Number(before[0]) + 2, 'the turn, once');
  }, 60_000);

  it('swapped back, the history is whole (ENGINE-017, ENGINE-099, ENGINE-104)', async () => {
    expect((await durar('config', 'unset', 'plugins.slots.contextEngine')).code).toBe(0);
    expect((await turn('and now?')).result?.meta.contextEngine).toBe('legacy');
    const log = await texts();
    for (const n of [1, 42, 299]) expect(log).toContain(`Turn ${n}: the survey`);
    expect((await durar('plugins', 'uninstall', 'dag-context')).code).toBe(0);
    expect((await turn('without it')).status).toBe('ok');
  }, 60_000);
});
