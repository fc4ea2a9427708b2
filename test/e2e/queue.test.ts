import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

interface ChatEvent {
  runId: string;
  state: string;
  message?: { content: Array<{ text: string }> };
  errorMessage?: string;
}

let machine: Machine;
afterEach(() => machine.remove());

const MODEL = { agents: { defaults: { model: 'offline/script' } } };

async function chat(gateway: GatewayProcess) {
  const client: GatewayClient = await machine.connect(gateway);
  const ends: ChatEvent[] = [];
  client.on('chat', (payload: unknown) => {
    const event = payload as ChatEvent;
    if (event.state !== 'delta') ends.push(event);
  });
  const begun = new Set<string>();
  client.on('agent', ({ runId }: { runId: string }) => {
    begun.add(runId);
  });
  const begin = (runId: string) => until(() => begun.has(runId), `the begin of ${runId}`);
  const say = (idempotencyKey: string, message: string, sessionKey = 'main') => client.request('chat.send', { sessionKey, message, idempotencyKey });
  const end = (runId: string) => until(() => ends.find((event) => event.runId === runId), `the end of ${runId}`);
  const users = async (sessionKey = 'main') => {
    const { messages } = (await client.request('chat.history', { sessionKey })) as unknown as { messages: Array<{ role: string; content: unknown }> };
    return messages.filter(({ role }) => role === 'user').map(({ content }) => JSON.stringify(content));
  };
  return { client, ends, say, begin, end, users };
}

/** An extension with a channel of that id: `fake.hear` is a person who writes, `fake.said` is what that person was told. */
async function fakeChannel(id: string): Promise<string> {
  const folder = join(machine.home, 'fake');
  await mkdir(folder);
  const manifest = {
    id: 'fake',
    version: '1.0.0',
    channels: [id],
    contracts: { gatewayMethods: ['fake.hear', 'fake.said'] },
    configSchema: { type: 'object', additionalProperties: false, properties: {} },
  };
  await writeFile(join(folder, 'Durar.plugin.json'), JSON.stringify(manifest));
  await writeFile(
    join(folder, 'index.js'),
    `import { definePluginEntry } from 'Durar/plugin-sdk/core';
export default definePluginEntry({
  id: 'fake',
  register(api) {
    const said = [];
    const begun = Promise.withResolvers();
    api.registerChannel({
      id: '${id}',
      meta: { label: '${id}' },
      capabilities: { chatTypes: ['direct'] },
      config: { listAccountIds: () => ['default'], resolveAccount: () => ({}) },
      gateway: {
        async startAccount(context) {
          begun.resolve(context);
          await new Promise((resolve) => context.abortSignal.addEventListener('abort', resolve, { once: true }));
        },
      },
      outbound: {
        deliveryMode: 'direct',
        async sendText({ text }) {
          said.push(text);
          return {};
        },
      },
    });
    let heard = 0;
    const hear = async ({ text }) =>
      (await begun.promise).deliver({ messageId: String((heard += 1)), conversationId: 'ann', senderId: 'ann', chatType: 'direct', text });
    api.registerGatewayMethod('fake.hear', hear, { scope: 'operator.write' });
    api.registerGatewayMethod('fake.said', () => ({ said }), { scope: 'operator.read' });
  },
});
`,
  );
  return folder;
}

const textOf = (event: ChatEvent) => event.message?.content.map(({ text }) => text).join('');

describe('a client that writes while the agent is at work', () => {
  it('collect: one more turn answers all, and each message has its end (QUEUE-003, QUEUE-021, QUEUE-033, QUEUE-059, SYS-037)', async () => {
    machine = await createMachine(MODEL);
    const { say, end, users, client } = await chat(await machine.start());
    await say('m0', '[[offline: delay 600]] [[offline: say first]]');
    for (let n = 1; n <= 5; n += 1) expect(await say(`m${n}`, `message ${n}`)).toMatchObject({ status: 'started' });
    expect(textOf(await end('m0'))).toBe('first');
    const first = Date.now();
    expect(textOf(await end('m5'))).toBe('done');
    // the messages came before the first turn ended, so that at least half a second of quiet is left
    expect(Date.now() - first).toBeGreaterThan(200);
    for (let n = 1; n < 5; n += 1) expect(await end(`m${n}`)).toMatchObject({ state: 'final' });
    const said = await users();
    expect(said).toHaveLength(2);
    for (let n = 1; n <= 5; n += 1) expect(said[1]).toContain(`message ${n}`);
    client.close();
  });

  it('/queue sets the mode of its session, also after a restart; reset takes it back (QUEUE-030, QUEUE-047 to QUEUE-051)', async () => {
    machine = await createMachine({ ...MODEL, messages: { queue: { debounceMs: 50 } } });
    let gateway = await machine.start();
    const before = await chat(gateway);
    await before.say('set', '/queue steer debounce:60ms cap:25 drop:old');
    expect(textOf(await before.end('set'))).toContain('Queue mode set to steer.');
    before.client.close();
    await gateway.stop();
    gateway = await machine.start();
    const { say, begin, end, users, client, ends } = await chat(gateway);
    await say('show', '/queue');
    expect(textOf(await end('show'))).toContain('mode=steer, debounce=60ms, cap=25, drop=old');
    await say('m0', '[[offline: delay 400]] [[offline: tool read {"path":"AGENTS.md"}]] [[offline: say unchanged]]');
    await begin('m0');
    await say('m1', '[[offline: say steered]]');
    expect(textOf(await end('m0'))).toBe('steered');
    expect(ends.map(({ runId }) => runId)).toEqual(['show', 'm1', 'm0']);
    await say('other', '[[offline: delay 300]]', 'other');
    await say('other1', 'one', 'other');
    await say('other2', 'two', 'other');
    await end('other2');
    expect(await users('other')).toHaveLength(2);
    await say('reset', '/queue reset');
    expect(textOf(await end('reset'))).toBe('Queue mode reset to default.');
    await say('again', '/queue');
    expect(textOf(await end('again'))).toContain('mode=collect, debounce=50ms, cap=20, drop=summarize');
    client.close();
  });

  it('a full queue tells whom it drops (QUEUE-032, QUEUE-034, QUEUE-044)', async () => {
    machine = await createMachine({ ...MODEL, messages: { queue: { mode: 'nonsense' } } });
    const invalid = await machine.cli(['config', 'validate']);
    expect(invalid.code).toBe(1);
    await machine.writeConfig({ ...MODEL, messages: { queue: { mode: 'followup', debounceMs: 20, cap: 2, drop: 'new' } } });
    const { say, end, users, client } = await chat(await machine.start());
    await say('m0', '[[offline: delay 500]]');
    for (const id of ['m1', 'm2', 'm3']) await say(id, `message ${id}`);
    expect(await end('m3')).toMatchObject({ state: 'error', errorMessage: 'the message was dropped: 2 others wait in its session' });
    await end('m2');
    expect((await users()).slice(1)).toEqual([expect.stringContaining('message m1'), expect.stringContaining('message m2')]);
    client.close();
  });

  it.each([['whatsapp'], ['signal'], ['imessage']])(
    'collects for a channel that calls itself %s, which is not bundled; each has its own mode (QUEUE-036, QUEUE-053, QUEUE-057, QUEUE-058)',
    async (id) => {
      machine = await createMachine();
      const folder = await fakeChannel(id);
      await machine.writeConfig({
        ...MODEL,
        plugins: { load: { paths: [folder] }, entries: { fake: { enabled: true } } },
        channels: { [id]: { enabled: true, dmPolicy: 'open', allowFrom: ['*'] } },
        messages: { inbound: { debounceMs: 0 }, queue: { mode: 'followup', debounceMs: 50, byChannel: { [id]: 'collect', irc: 'steer' } } },
      });
      const { client, begin, users } = await chat(await machine.start());
      const hear = (text: string) => client.request('fake.hear' as never, { text } as never) as Promise<{ accepted: boolean; runId: string }>;
      const said = async () => ((await client.request('fake.said' as never, {} as never)) as { said: string[] }).said;
      await begin((await hear('[[offline: delay 1200]] [[offline: say first]]')).runId);
      for (const text of ['second', 'third']) expect(await hear(text)).toMatchObject({ accepted: true });
      await until(async () => (await said()).length === 2, 'two replies');
      expect(await said()).toEqual(['first', 'done']);
      const [, collected] = await users();
      for (const text of ['second', 'third']) expect(collected).toContain(text);
      await hear('/queue bogus');
      await until(async () => (await said())[2]?.startsWith('Unrecognized queue mode "bogus".'), 'why a command was refused');
      client.close();
    },
  );

  it('interrupt: the running turn is aborted (QUEUE-025)', async () => {
    machine = await createMachine({ ...MODEL, messages: { queue: { mode: 'interrupt' } } });
    const { say, end, client } = await chat(await machine.start());
    await say('m0', '[[offline: say partly]] [[offline: stall]]');
    await say('m1', '[[offline: say newest]]');
    expect(await end('m0')).toMatchObject({ state: 'aborted' });
    expect(textOf(await end('m1'))).toBe('newest');
    client.close();
  });

  it('never more at once than the cap, the rest in the order of arrival; the log tells of long waits (QUEUE-004, QUEUE-005, QUEUE-008, QUEUE-015, QUEUE-065, QUEUE-066)', async () => {
    machine = await createMachine(MODEL);
    const gateway = await machine.start({ args: ['--verbose'] });
    const { say, end, client, ends } = await chat(gateway);
    for (let n = 0; n < 6; n += 1) await say(`m${n}`, `[[offline: delay ${n < 4 ? 2_300 + n * 60 : 0}]]`, `room-${n}`);
    const { state } = (await client.request('queue.list', {})) as { state: { lanes: Array<{ lane: string }> } };
    expect(state.lanes).toMatchObject([{ lane: 'main', running: 4, waiting: 2 }]);
    await end('m5');
    const [, , fifth] = ends.map(({ runId }) => runId);
    expect(['m1', 'm4']).toContain(fifth === 'm5' ? 'm4' : fifth);
    const log = await until(() => (gateway.output().includes('queued for ') ? gateway.output() : undefined), 'the notice');
    expect(log).toMatch(/queued for \d+ms/);
    expect(log).toMatch(/queued in lane session:agent:main:room-5/);
    expect(log).toMatch(/queued in lane main/);
    client.close();
  });
});
