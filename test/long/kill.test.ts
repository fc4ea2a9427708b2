import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { type AgentMessage, errorCode } from '../../sdk/index.ts';
import { createMachine, type GatewayProcess, type Machine, until } from '../e2e/gateway-process.ts';
import { generator } from './corpus.ts';
import { pairingFaults } from './talk.ts';

const LONG = process.env.DURAR_LONG === '1';
const TURNS = LONG ? 10_000 : 300;
const KILLS = LONG ? 200 : 6;
const SESSIONS = ['main', 'second', 'third'];
const SEED = Number(process.env.DURAR_SEED ?? 20_261_120);

interface Delivery {
  session: string;
  id: string;
  seq: number;
  replay: boolean;
}

/** An engine that writes down what it is given before it says that it has it. */
const engineSource = (id: string, isBatch: boolean) => `
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
export default function register(api) {
  const file = join(api.runtime.state.resolveStateDir(), '${id}.log');
  const note = (sessionKey, all) => appendFileSync(file, all.map((one) => JSON.stringify({ session: sessionKey, ...one }) + '\\n').join(''));
  api.registerContextEngine('${id}', () => ({
    info: { id: '${id}', name: '${id}' },
    async ingest({ sessionKey, entryId, seq, replay }) {
      note(sessionKey, [{ id: entryId, seq, replay: replay === true }]);
      return { ingested: true };
    },
    ${isBatch ? `async ingestBatch({ sessionKey, entries, replay }) { note(sessionKey, entries.map(({ entryId, seq }) => ({ id: entryId, seq, replay: replay === true }))); return { ingestedCount: entries.length }; },` : ''}
    async assemble({ messages }) { return { messages: messages.slice(-40), estimatedTokens: 1 }; },
    async compact() { return { ok: true, compacted: false }; },
  }));
}`;

let machine: Machine;
let gateway: GatewayProcess;

async function addEngine(id: string, isBatch: boolean): Promise<void> {
  const dir = join(machine.stateDir, 'extensions', id);
  await mkdir(dir, { recursive: true, mode: 0o755 });
  await writeFile(
    join(dir, 'Durar.plugin.json'),
    JSON.stringify({ id, name: id, kind: 'context-engine', contextEngines: [id], configSchema: { type: 'object' } }),
  );
  await writeFile(join(dir, 'index.js'), engineSource(id, isBatch));
}

beforeAll(async () => {
  machine = await createMachine({ plugins: { slots: { contextEngine: 'each', contextEngineShadow: 'batch' } } });
  await addEngine('each', false);
  await addEngine('batch', true);
});
afterAll(() => machine.remove());

const deliveries = async (engine: string, session: string): Promise<Delivery[]> =>
  (await readFile(join(machine.stateDir, `${engine}.log`), 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Delivery)
    .filter((one) => one.session === `agent:main:${session}`);

/** Of a session what its file says, message by message. */
async function transcript(client: GatewayClient, session: string): Promise<Array<{ id: string; message: AgentMessage }>> {
  const { sessions } = (await client.request('sessions.list', {})) as { sessions: Array<{ key: string; sessionId: string }> };
  const { sessionId = '' } = sessions.find(({ key }) => key === `agent:main:${session}`) ?? {};
  const lines = (await readFile(join(machine.stateDir, 'agents/main/sessions', `${sessionId}.jsonl`), 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'message');
}

it(`kill -9 at ${KILLS} random points of ${TURNS} turns: no entry is missing, none is given twice without a word of it (ENGINE-019, ENGINE-104)`, async () => {
  const random = generator(SEED);
  const answered = new Map<string, string[]>(SESSIONS.map((session) => [session, []]));
  let asked = 0;
  let done = 0;
  const turn = async (client: GatewayClient, session: string, message: string): Promise<void> => {
    const params = { message, sessionKey: session, idempotencyKey: `kill-${asked}` };
    const { status } = (await client.request('agent', params, { expectFinal: true })) as { status: string };
    expect(status).toBe('ok');
    answered.get(session)?.push(message);
    done += 1;
  };
  /** Turns in all sessions at once, until so many are done. */
  const converse = (client: GatewayClient, target: number) =>
    Promise.all(
      SESSIONS.map(async (session) => {
        while (done < target) {
          asked += 1;
          const read = `[[offline: tool read {"path":"AGENTS.md"}]] [[offline: also read {"path":"SOUL.md"}]] [[offline: say read ${asked}]]`;
          await turn(client, session, asked % 3 === 0 ? read : `number ${asked}`);
        }
      }),
    );
  for (let kills = 0; kills < KILLS; kills += 1) {
    gateway = await machine.start();
    const client = await machine.connect(gateway);
    await converse(client, Math.ceil((TURNS * (kills + random())) / (KILLS + 1)));
    // in the middle of whatever comes next
    const lost = converse(client, Number.POSITIVE_INFINITY).catch((error: unknown) => errorCode(error));
    await new Promise((resolve) => setTimeout(resolve, random() * 60));
    await gateway.stop('SIGKILL');
    expect(await lost).toBe('DUR_GATEWAY_CLOSED');
    client.close();
  }
  gateway = await machine.start();
  const client = await machine.connect(gateway);
  await converse(client, Math.max(TURNS, done + SESSIONS.length));

  for (const session of SESSIONS) {
    const entries = await transcript(client, session);
    const ids = entries.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    // all that was answered is there, in its order, and every call has its result
    const said = entries.filter(({ message }) => message.role === 'user').map(({ message }) => JSON.stringify(message.content));
    let at = 0;
    for (const message of answered.get(session) ?? []) {
      at = said.findIndex((text, index) => index >= at && text.includes(JSON.stringify(message).slice(1, -1))) + 1;
      expect(at, message).toBeGreaterThan(0);
    }
    expect(pairingFaults(entries.map(({ message }) => message))).toEqual([]);
    for (const engine of ['each', 'batch']) {
      const given = await until(async () => {
        const all = await deliveries(engine, session);
        return new Set(all.map(({ id }) => id)).size >= ids.length ? all : undefined;
      }, `all entries of ${session} in the log of ${engine}`);
      const byId = new Map<string, Delivery>();
      for (const one of given) if (!byId.has(one.id)) byId.set(one.id, one);
      const first = [...byId.values()];
      expect(first.map(({ id }) => id)).toEqual(ids);
      expect(first.map(({ seq }) => seq)).toEqual([...first.map(({ seq }) => seq)].sort((a, b) => a - b));
      const again = given.filter((one) => byId.get(one.id) !== one);
      expect(again.filter(({ replay }) => !replay)).toEqual([]);
      expect(again.length).toBeLessThanOrEqual(KILLS * 8);
    }
    // the ledger can be read to its end, and names entries that exist
    const { turns } = await client.request('sessions.turns', { key: session, limit: 200 });
    expect(turns.length).toBeGreaterThan(Math.min(200, ids.length / 5) - KILLS);
    for (const { runId } of turns.filter((_turn, index) => index % 10 === 0)) {
      const record = await client.request('sessions.turn', { key: session, turn: runId });
      const named = record.parts.flatMap(({ entryId }) => (entryId === undefined ? [] : [entryId]));
      expect(named.length).toBeGreaterThan(0);
      expect(named.filter((id) => !ids.includes(id))).toEqual([]);
    }
  }
  client.close();
  await gateway.stop();
  const db = new DatabaseSync(join(machine.stateDir, 'state/durar.db'), { readOnly: true });
  expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  const runs = db
    .prepare('SELECT row FROM shadow_turns')
    .all()
    .map(({ row }) => (JSON.parse(String(row)) as { runId: string }).runId);
  expect(new Set(runs).size).toBe(runs.length);
  db.close();
}, 3_600_000);
