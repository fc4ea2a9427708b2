import { readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { errorCode } from '../../sdk/errors.ts';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

const CLIENTS = 50;
const TURNS = 4;

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

/** One user: asks, and comes again wherever the gateway is now. */
async function converse(index: number, ended: { turns: number; moved: number }): Promise<void> {
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
  for (let turn = 0; turn < TURNS; turn += 1) {
    const idempotencyKey = `run-${index}-${turn}`;
    await ask('agent', { message: `[[offline: delay 150]] word ${index} ${turn}`, sessionKey, idempotencyKey });
    expect(await ask('agent.wait', { runId: idempotencyKey, timeoutMs: 20_000 })).toMatchObject({ status: 'ok' });
    ended.turns += 1;
  }
  const { messages } = (await ask('chat.history', { sessionKey })) as { messages: Array<{ role: string; content: unknown }> };
  const texts = messages.map(({ role, content }) => `${role}: ${JSON.stringify(content)}`);
  expect(texts).toHaveLength(TURNS * 2);
  for (let turn = 0; turn < TURNS; turn += 1) {
    expect(texts[turn * 2]).toMatch(new RegExp(`^user: .*word ${index} ${turn}`));
    expect(texts[turn * 2 + 1]).toMatch(/^assistant: /);
  }
  (client as GatewayClient | undefined)?.close();
}

it(`${CLIENTS} clients with running turns lose no run and no reply while the configuration changes and the listener moves`, { timeout: 120_000 }, async () => {
  (await machine.connect(gateway)).close();
  const ended = { turns: 0, moved: 0 };
  const all = Promise.all(Array.from({ length: CLIENTS }, (_, index) => converse(index, ended)));
  let isOver = false;
  void all.catch(() => undefined).then(() => (isOver = true));
  let port = gateway.port;
  let round = 0;
  for (let moves = 0; !isOver; round += 1) {
    // about three moves among the hot edits
    if (moves < 3 && ended.turns >= 10 + moves * CLIENTS) {
      port = await freePort();
      moves += 1;
    }
    await writeFile(`${machine.configFile}.new`, JSON.stringify(config(port, round)));
    await rename(`${machine.configFile}.new`, machine.configFile);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  await all;
  expect(ended.turns).toBe(CLIENTS * TURNS);
  expect(ended.moved).toBeGreaterThan(CLIENTS / 2);
  expect(round).toBeGreaterThan(5);
  expect(gateway.child.exitCode).toBeNull();
  expect(gateway.output()).not.toContain('is not applied');
});
