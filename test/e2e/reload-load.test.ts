import { readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { errorCode } from '../../sdk/errors.ts';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

const CLIENTS = 50;
const MOVES = 3;

let machine: Machine;
let gateway: GatewayProcess;

beforeAll(async () => {
  machine = await createMachine(config(await freePort(), 0));
  gateway = await machine.start({ configured: true });
});
afterAll(() => machine.remove());

const config = (port: number, round: number) => ({
  gateway: { mode: 'local', port, reload: { debounceMs: 5 } },
  agents: { defaults: { maxConcurrent: CLIENTS, timeoutSeconds: 600 + round } },
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const address = async () => (JSON.parse(await readFile(join(machine.stateDir, 'state/gateway-address.json'), 'utf8')) as { url: string }).url;

interface Progress {
  turns: number;
  /** Connections that were closed under a user who waited for something. */
  moved: number;
  isDone: boolean;
}

/** One user: asks, and comes again wherever the gateway is now. */
async function converse(index: number, ended: Progress): Promise<void> {
  const sessionKey = `agent:main:user${index}`;
  let client: GatewayClient | undefined;
  const connected = () => until(async () => machine.connect({ url: await address() }).catch(() => undefined), 'a connection');
  /** Asks again where the connection was lost before the answer came; the key of a run makes that harmless. */
  const ask = async (method: string, params: Record<string, unknown>): Promise<unknown> => {
    for (;;) {
      try {
        client ??= await connected();
        return await client.request(method as 'x', params);
      } catch (error) {
        if (errorCode(error) !== 'DUR_GATEWAY_CLOSED') throw error;
        ended.moved += 1;
        client?.close();
        client = undefined;
      }
    }
  };
  let turns = 0;
  for (; turns < 2 || !ended.isDone; turns += 1) {
    const turn = turns;
    const idempotencyKey = `run-${index}-${turn}`;
    await ask('agent', { message: `[[offline: delay 150]] word ${index} ${turn}`, sessionKey, idempotencyKey });
    expect(await ask('agent.wait', { runId: idempotencyKey, timeoutMs: 20_000 })).toMatchObject({ status: 'ok' });
    ended.turns += 1;
  }
  const { messages } = (await ask('chat.history', { sessionKey })) as { messages: Array<{ role: string; content: unknown }> };
  const texts = messages.map(({ role, content }) => `${role}: ${JSON.stringify(content)}`);
  expect(texts).toHaveLength(turns * 2);
  for (let turn = 0; turn < turns; turn += 1) {
    expect(texts[turn * 2]).toMatch(new RegExp(`^user: .*word ${index} ${turn}`));
    expect(texts[turn * 2 + 1]).toMatch(/^assistant: /);
  }
  (client as GatewayClient | undefined)?.close();
}

it(`${CLIENTS} clients with running turns lose no run and no reply while the configuration changes and the listener moves`, { timeout: 120_000 }, async () => {
  (await machine.connect(gateway)).close();
  const ended: Progress = { turns: 0, moved: 0, isDone: false };
  const all = Promise.all(Array.from({ length: CLIENTS }, (_, index) => converse(index, ended)));
  let port = gateway.port;
  for (let round = 0; round < MOVES * 3; round += 1) {
    const before = ended.turns;
    if (round % 3 === 2) port = await freePort();
    await writeFile(`${machine.configFile}.new`, JSON.stringify(config(port, round)));
    await rename(`${machine.configFile}.new`, machine.configFile);
    await until(async () => (await address()).endsWith(`:${port}`), 'the move', 60_000);
    await until(() => ended.turns > before + 5, 'turns after the change', 60_000);
  }
  ended.isDone = true;
  await all;
  expect(ended.moved).toBeGreaterThan(CLIENTS / 2);
  expect(gateway.child.exitCode).toBeNull();
  expect(gateway.output().match(/the gateway listens on/g)).toHaveLength(MOVES);
  expect(gateway.output()).not.toContain('is not applied');
});
