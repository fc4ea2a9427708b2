import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

interface Message {
  role: string;
  content: string | Array<{ type: string; text?: string }>;
  runIds?: string[];
}

let machine: Machine;
afterEach(() => machine.remove());

/** The messages of every session, by session id. */
async function transcripts(): Promise<Message[][]> {
  const dir = join(machine.stateDir, 'agents/main/sessions');
  const names = (await readdir(dir)).filter((name) => name.endsWith('.jsonl'));
  return Promise.all(
    names.map(async (name) =>
      (await readFile(join(dir, name), 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { type: string; message?: Message })
        .flatMap(({ type, message }) => (type === 'message' && message !== undefined ? [message] : [])),
    ),
  );
}

const callsTool = ({ content }: Message) => typeof content !== 'string' && content.some(({ type }) => type === 'toolCall');

describe('kill -9 while people write', () => {
  it('every accepted message is answered once, in the order of its session', async () => {
    machine = await createMachine({ messages: { queue: { debounceMs: 30 } }, agents: { defaults: { model: 'offline/script', maxConcurrent: 8 } } });
    let gateway: GatewayProcess | undefined = await machine.start();
    const SESSIONS = 6;
    const EACH = 14;
    const accepted = new Map<string, string[]>();
    let isDone = false;

    /** One person: the next message goes out when the last one is accepted; what got no answer is sent again under its key. */
    async function write(session: string, useAgent: boolean): Promise<void> {
      const mine: string[] = [];
      accepted.set(session, mine);
      let client: GatewayClient | undefined;
      for (let n = 0; n < EACH; n += 1) {
        const idempotencyKey = `${session}-${n}`;
        const tool = n % 3 === 0 ? '[[offline: tool read {"path":"AGENTS.md"}]] ' : '';
        const message = `${tool}[[offline: delay ${(n * 37) % 60}]] [[offline: say ok ${idempotencyKey}]]`;
        for (;;) {
          try {
            if (gateway === undefined) throw new Error('the gateway is down');
            client ??= await machine.connect(gateway);
            await client.request(useAgent ? 'agent' : 'chat.send', { sessionKey: session, message, idempotencyKey });
            mine.push(idempotencyKey);
            break;
          } catch {
            client?.close();
            client = undefined;
            await new Promise((resolve) => setTimeout(resolve, 60));
          }
        }
      }
      client?.close();
    }

    const people = Array.from({ length: SESSIONS }, (_, index) => write(`room-${index}`, index === 0));
    const everybody = Promise.all(people).then(() => {
      isDone = true;
    });
    let kills = 0;
    for (const ms of [400, 700, 250, 900, 500]) {
      await new Promise((resolve) => setTimeout(resolve, ms));
      if (isDone && kills > 2) break;
      const dying = gateway;
      gateway = undefined;
      await dying?.stop('SIGKILL');
      kills += 1;
      gateway = await machine.start();
    }
    await everybody;
    const client = await machine.connect(gateway as GatewayProcess);
    await until(
      async () => {
        const { state } = (await client.request('queue.list', {})) as { state: { inbox: Record<string, number> } };
        return Object.values(state.inbox).every((count) => count === 0);
      },
      'an empty inbox',
      60_000,
    );
    client.close();
    expect(kills).toBeGreaterThan(2);

    const sessions = await transcripts();
    for (const [session, ids] of accepted) {
      expect(ids).toHaveLength(EACH);
      const own = sessions.find((messages) => messages.some(({ runIds = [] }) => runIds.some((id) => id.startsWith(`${session}-`)))) ?? [];
      const turns = own.filter(({ role, runIds }) => role === 'user' && runIds !== undefined);
      // a collected turn goes by the newest one's id
      const written = turns.flatMap(({ runIds = [] }) => [...runIds].sort((a, b) => Number(a.split('-').at(-1)) - Number(b.split('-').at(-1))));
      expect(written, session).toEqual(ids);
      expect(
        own.filter((message) => message.role === 'assistant' && !callsTool(message)),
        session,
      ).toHaveLength(turns.length);
      expect(own.at(-1)?.role).toBe('assistant');
    }
  }, 120_000);

  it('a request of before the kill is not run again, and its result is told', async () => {
    machine = await createMachine({ agents: { defaults: { model: 'offline/script' } } });
    let gateway = await machine.start();
    let client = await machine.connect(gateway);
    const done = { sessionKey: 'main', message: '[[offline: say once]]', idempotencyKey: 'done' };
    await client.request('chat.send', done);
    await until(async () => ((await client.request('agent.wait', { runId: 'done', timeoutMs: 1_000 })) as { status: string }).status === 'ok', 'the end');
    const open = { sessionKey: 'main', message: '[[offline: delay 1500]] [[offline: say late]]', idempotencyKey: 'open' };
    await client.request('chat.send', open);
    await gateway.stop('SIGKILL');
    client.close();
    gateway = await machine.start();
    client = await machine.connect(gateway);
    expect(await client.request('chat.send', done)).toMatchObject({ runId: 'done', status: 'ok' });
    expect(await client.request('agent', { ...done, sessionKey: 'main' })).toMatchObject({ status: 'ok', result: { payloads: [{ text: 'once' }] } });
    expect(await client.request('chat.send', open)).toMatchObject({ runId: 'open', status: 'in_flight' });
    expect(await client.request('agent.wait', { runId: 'open', timeoutMs: 20_000 })).toMatchObject({ status: 'ok' });
    const [messages = []] = await transcripts();
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    client.close();
  });

  it('durar queue shows what waits and takes it out; a message that kills the process is given up', async () => {
    machine = await createMachine({ agents: { defaults: { model: 'offline/script' } } });
    expect((await machine.cli(['queue', 'list'])).stderr).toContain('DUR_GATEWAY_UNREACHABLE');
    let gateway = await machine.start();
    const first = await machine.connect(gateway);
    await first.request('chat.send', { sessionKey: 'main', message: '[[offline: stall]] poison', idempotencyKey: 'poison' });
    first.close();
    const entries = async () =>
      (await machine.cli(['queue', 'list', '--json'])).json<{ entries: Array<{ id: string; state: string; attempts: number }> }>().entries;
    for (let deaths = 1; deaths <= 3; deaths += 1) {
      await until(async () => (await entries()).some(({ id, attempts }) => id === 'poison' && attempts === deaths), `attempt ${deaths}`);
      await gateway.stop('SIGKILL');
      gateway = await machine.start();
    }
    await until(async () => (await entries())[0]?.state === 'dead', 'the end of the attempts');
    const shown = await machine.cli(['queue', 'list']);
    expect(shown.stdout).toContain('given up, 3 attempts');
    expect(shown.stdout).toContain('poison');
    const status = await machine.cli(['status', '--json']);
    expect(status.json<{ queue: { inbox: object } }>().queue.inbox).toEqual({ waiting: 0, started: 0, dead: 1 });
    expect((await machine.cli(['status'])).stdout).toContain('1 given up, see `durar queue list`');
    expect((await machine.cli(['queue', 'retry'])).code).toBe(2);
    expect((await machine.cli(['queue', 'retry', '--all', '--json'])).json()).toEqual({ ids: ['poison'] });
    await until(async () => (await entries())[0]?.state === 'started', 'the next attempt');
    expect((await machine.cli(['queue', 'retry', 'poison'])).code).not.toBe(0);
    expect((await machine.cli(['queue', 'drop', 'poison'])).stdout).toContain('Dropped poison.');
    expect(await entries()).toEqual([]);
    expect((await machine.cli(['queue', 'drop', 'poison'])).stderr).toContain("nothing with the id 'poison' is in the queue");

    const last = await machine.connect(gateway);
    await last.request('chat.send', { sessionKey: 'main', message: '[[offline: stall]] left over', idempotencyKey: 'left' });
    last.close();
    await gateway.stop('SIGKILL');
    expect((await machine.cli(['queue', 'list', '--json'])).json()).toMatchObject({ state: { lanes: [], backlog: 1 }, entries: [{ id: 'left' }] });
    expect((await machine.cli(['queue', 'retry', 'left'])).stderr).toContain('DUR_QUEUE_NOT_DEAD');
    expect((await machine.cli(['queue', 'drop', 'left'])).stdout).toContain('Dropped left.');
    gateway = await machine.start();
    expect(await entries()).toEqual([]);
  }, 120_000);
});
