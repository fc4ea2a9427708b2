import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ANN, ANN_DM, BOT, createDiscordServer, type DiscordServer, GENERAL, GUILD, NAMED, QUIET, THREAD, TOKEN } from '../fixtures/discord-server.ts';
import { createMachine, type Machine, until } from './gateway-process.ts';

let machine: Machine;
let server: DiscordServer;

beforeEach(async () => {
  server = await createDiscordServer();
});
afterEach(async () => {
  await machine.remove();
  await server.close();
});

const config = (discord: object = {}, more: object = {}) => ({
  agents: { defaults: { model: 'offline/echo' } },
  channels: { discord: { token: TOKEN, apiRoot: server.url, allowFrom: [ANN.id], retry: { minDelayMs: 5, maxDelayMs: 100 }, ...discord } },
  ...more,
});
const sent = () => server.messages.filter(({ author }) => author.id === BOT.id);
const replies = () => sent().map(({ content }) => content);
const replied = (text: string) => until(() => replies().some((reply) => reply.includes(text)), `the reply '${text}'`, 30_000);
const connected = () => until(() => server.listens(), 'the connection', 30_000);
const limited = { status: 429, body: { message: 'You are being rate limited.', retry_after: 0.05, global: false } };

describe('Discord', () => {
  it('answers a person, on a server only when it is named, and nobody who may not write (SYS-033)', async () => {
    machine = await createMachine(config());
    const gateway = await machine.start();
    await connected();
    server.say('hello there');
    await replied('hello there');
    expect(sent()[0]).toMatchObject({ channel_id: ANN_DM });
    expect(server.of('POST typing').length).toBeGreaterThan(0);

    server.say('not for the bot', { channel_id: GENERAL.id });
    server.say('let me in', { channel_id: GENERAL.id, ...NAMED, author: { id: '666', username: 'stranger' } });
    server.say(`<@${BOT.id}> on the server`, { channel_id: GENERAL.id, ...NAMED });
    await replied('on the server');
    expect(sent().at(-1)).toMatchObject({ channel_id: GENERAL.id });
    server.say(`<@${BOT.id}> in the thread`, { channel_id: THREAD.id, ...NAMED });
    await replied('in the thread');
    expect(sent().at(-1)).toMatchObject({ channel_id: THREAD.id });
    expect(replies()).toHaveLength(3);

    // a stranger gets a code, and no more
    server.say('let me in', { channel_id: '720000000000000001', author: { id: '667', username: 'other' } });
    await until(() => sent().some(({ channel_id }) => channel_id === '720000000000000001'), 'the pairing code');
    expect(sent().at(-1)?.content).toContain('667');

    const sessions = await machine.cli(['sessions', 'list', '--json']);
    expect(sessions.stdout).toContain(`:thread:${THREAD.id}`);
    const status = await machine.cli(['channels', 'status', '--probe', '--json']);
    expect(status.stdout).toContain('"messageContentIntent": true');
    expect(status.stdout).not.toContain(TOKEN);
    await gateway.stop();
    await expectNoToken(gateway.output());
  });

  it('goes by the rules of servers and channels', async () => {
    const guilds = { [GUILD]: { users: ['*'], channels: { general: { requireMention: false } } } };
    machine = await createMachine(config({ guilds }));
    await machine.start();
    await connected();
    const bob = { id: '701', username: 'bob' };
    server.say('elsewhere', { channel_id: QUIET.id, ...NAMED, author: bob });
    server.say('to everybody', { channel_id: GENERAL.id, author: bob });
    await replied('to everybody');
    expect(replies()).toHaveLength(1);
  });

  it('collects what comes during a run into one turn (QUEUE-056)', async () => {
    machine = await createMachine(
      config({}, { messages: { queue: { mode: 'followup', byChannel: { discord: 'collect' }, debounceMs: 50 }, inbound: { debounceMs: 0 } } }),
    );
    await machine.start();
    await connected();
    server.say('[[offline: delay 1500]] first');
    await until(() => server.of('POST typing').length > 0, 'the first run');
    server.say('second');
    server.say('third');
    await replied('third');
    expect(replies().find((reply) => reply.includes('third'))).toContain('second');
    expect(replies()).toHaveLength(2);
  });

  it('loses nothing when the connection breaks, is moved or begins anew', async () => {
    machine = await createMachine(config());
    await machine.start();
    await connected();
    server.say('before');
    await replied('before');
    server.drop();
    server.say('while it was away');
    await replied('while it was away');
    server.send(7);
    server.say('while it moved');
    await replied('while it moved');
    server.forget();
    server.drop();
    server.say('while it had no session');
    await replied('while it had no session');
    expect(replies()).toHaveLength(4);
  });

  it('keeps the order through a storm of rate limits, and says everything once (RETRY-002)', async () => {
    machine = await createMachine(config({}, { messages: { queue: { mode: 'followup', debounceMs: 0 }, inbound: { debounceMs: 0 } } }));
    await machine.start();
    await connected();
    server.fail('POST messages', ...Array.from({ length: 12 }, (_, index) => (index % 3 === 2 ? undefined : limited)));
    const texts = Array.from({ length: 6 }, (_, index) => `number ${index}.`);
    for (const text of texts) server.say(text);
    await replied('number 5.');
    expect(replies()).toHaveLength(6);
    expect(replies().map((reply) => /number \d\./.exec(reply)?.[0])).toEqual(texts);
    expect(server.of('POST messages')).toHaveLength(14);
  });

  it('answers every message of many chats once and in order, through kill -9, repetitions and faults', async () => {
    const people = Array.from({ length: 6 }, (_, index) => ({ id: `70200000000000000${index}`, username: `p${index}` }));
    const perPerson = 8;
    machine = await createMachine(
      config(
        { dmPolicy: 'open', allowFrom: ['*'] },
        { session: { dmScope: 'per-channel-peer' }, messages: { queue: { mode: 'followup', debounceMs: 0 }, inbound: { debounceMs: 0 } } },
      ),
    );
    let gateway = await machine.start();
    await connected();
    server.say('hello');
    await replied('hello');
    for (let round = 0; round < perPerson; round += 1) {
      for (const [index, author] of people.entries()) {
        server.say(`${author.username} says ${round}.`, { author, channel_id: `71200000000000000${index}` });
        if ((round + index) % 3 === 0) server.repeat();
      }
      if (round % 3 === 0) server.fail('POST messages', 'lost', limited);
      if (round === 2) server.drop();
      if (round === 3 || round === 5) {
        await gateway.stop('SIGKILL');
        gateway = await machine.start();
      }
    }
    const wanted = people.flatMap(({ username }) => Array.from({ length: perPerson }, (_, round) => `${username} says ${round}.`));
    await until(() => wanted.every((text) => replies().some((reply) => reply.includes(text))), 'every reply', 60_000);
    for (const { username } of people) {
      const said = replies().flatMap((reply) => reply.match(new RegExp(`${username} says \\d\\.`, 'g')) ?? []);
      expect(said).toEqual(Array.from({ length: perPerson }, (_, round) => `${username} says ${round}.`));
    }
    expect(replies()).toHaveLength(wanted.length + 1);
  }, 120_000);

  it('says why it is not connected', async () => {
    await server.close();
    server = await createDiscordServer({ hasContentIntent: false });
    machine = await createMachine(config());
    const gateway = await machine.start();
    await until(() => gateway.output().includes('message content intent is off'), 'the reason', 30_000);
    await expectNoToken(gateway.output());
  });

  it('cuts a long reply into messages that Discord takes, in order', async () => {
    machine = await createMachine(config({ replyToMode: 'first' }));
    await machine.start();
    await connected();
    const id = server.say('[[offline: say the start of it]] [[offline: tokens 2000]] [[offline: say the end of it]]');
    await replied('the end of it');
    expect(replies().length).toBeGreaterThan(2);
    expect(replies()[0]).toContain('the start of it');
    expect(replies().at(-1)).toContain('the end of it');
    expect(Math.max(...replies().map((reply) => reply.length))).toBeLessThanOrEqual(2000);
    expect(sent()[0]).toMatchObject({ type: 19, referenced_message: { id } });
    expect(sent()[1]).toMatchObject({ type: 0 });
  });

  it('refuses settings that make no sense (RETRY-022, RETRY-031)', async () => {
    machine = await createMachine(config());
    const findings = async () => (await machine.cli(['config', 'validate', '--json'])).json<{ findings: Array<{ code: string; message: string }> }>().findings;
    for (const [discord, fault] of [
      [{ retry: { attempts: 'x' } }, '/retry/attempts must be integer'],
      [{ retry: { jitter: 2 } }, '/retry/jitter must be <= 1'],
      [{ accounts: { work: { retry: { minDelayMs: -1 } } } }, '/accounts/work/retry/minDelayMs must be >= 0'],
      [{ guilds: { friends: {} } }, '/guilds'],
      [{ guilds: { '1': { channels: { general: { user: [] } } } } }, "the unknown key 'user'"],
      [{ textChunkLimit: 3000 }, '/textChunkLimit must be <= 2000'],
    ] as const) {
      await machine.writeConfig(config(discord));
      expect(await findings()).toEqual([expect.objectContaining({ code: 'DUR_MANIFEST_CONFIG_INVALID', message: expect.stringContaining(fault) })]);
    }
    await machine.writeConfig(
      config({ guilds: { '*': { channels: { general: { users: [1, 'bob'] } } } }, accounts: { work: { token: 'b', groups: { '*': {} } } } }),
    );
    expect(await findings()).toEqual([]);
  });
});

/** Neither what was printed nor a file of the log holds the token. */
async function expectNoToken(output: string): Promise<void> {
  expect(output).not.toContain(TOKEN);
  const names = await readdir(machine.stateDir, { recursive: true });
  for (const name of names.filter((each) => each.endsWith('.log'))) expect(await readFile(join(machine.stateDir, name), 'utf8')).not.toContain(TOKEN);
}
