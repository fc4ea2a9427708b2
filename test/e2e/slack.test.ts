import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ANN, ANN_CHAT, APP_TOKEN, BOT_TOKEN, BOT_USER, createSlackServer, GENERAL, SIGNING_SECRET, type SlackServer } from '../fixtures/slack-server.ts';
import { createMachine, type Machine, until } from './gateway-process.ts';

let machine: Machine;
let server: SlackServer;

beforeEach(async () => {
  server = await createSlackServer({ redeliverMs: 1000 });
});
afterEach(async () => {
  await machine.remove();
  await server.close();
});

const retry = { minDelayMs: 5, maxDelayMs: 100 };
const config = (slack: object = {}, more: object = {}) => ({
  agents: { defaults: { model: 'offline/echo' } },
  channels: { slack: { botToken: BOT_TOKEN, appToken: APP_TOKEN, apiUrl: server.url, allowFrom: [ANN], retry, ...slack } },
  ...more,
});
const replies = () => server.messages.map(({ text }) => text);
const replied = (text: string) => until(() => server.messages.find((message) => message.text.includes(text)), `the reply '${text}'`, 40_000);
const inGeneral = { channel: GENERAL, channel_type: 'channel' };

describe('Slack over a socket', () => {
  it('answers a person, in its thread, where it is named, and nobody who may not write (SYS-034)', async () => {
    machine = await createMachine(config({ channels: { general: { users: [ANN] } } }));
    const gateway = await machine.start();
    server.say('hello there');
    expect(await replied('hello there')).toMatchObject({ channel: ANN_CHAT });
    expect(server.messages[0]).not.toHaveProperty('thread_ts');

    server.say('a question in a thread', { thread_ts: '1700000000.000100' });
    expect(await replied('in a thread')).toMatchObject({ channel: ANN_CHAT, thread_ts: '1700000000.000100' });

    server.say('not for the bot', inGeneral);
    const ts = server.say(`<@${BOT_USER}> in the channel`, inGeneral);
    server.emit({ type: 'app_mention', user: ANN, text: `<@${BOT_USER}> in the channel`, ts, channel: GENERAL });
    server.say(`<@${BOT_USER}> let me in`, { ...inGeneral, user: 'U0BEN00001' });
    expect(await replied('in the channel')).toMatchObject({ channel: GENERAL });
    server.say('once more');
    await replied('once more');
    expect(replies()).toHaveLength(4);
    expect(server.pending()).toEqual([]);

    const sessions = await machine.cli(['sessions', 'list', '--json']);
    expect(sessions.stdout).toContain(`agent:main:slack:channel:${GENERAL.toLowerCase()}`);
    const status = await machine.cli(['channels', 'status', '--probe', '--json']);
    expect(status.stdout).toContain('testbot');
    expectNone(status.stdout);
    await gateway.stop();
    await expectNoSecret(gateway.output());
  });

  it('collects what comes during a run into one turn (QUEUE-055)', async () => {
    machine = await createMachine(config({}, { messages: { queue: { mode: 'collect', debounceMs: 50 }, inbound: { debounceMs: 0 } } }));
    await machine.start();
    server.say('[[offline: delay 1500]] first');
    await until(() => server.acked.length === 1, 'the first message');
    server.say('second');
    server.say('third');
    const both = await replied('third');
    expect(both.text).toContain('second');
    expect(replies()).toHaveLength(2);
  });

  it('answers once what comes twice, also when it is killed in between', async () => {
    machine = await createMachine(config());
    let gateway = await machine.start();
    const body = server.emit({
      type: 'message',
      channel: ANN_CHAT,
      channel_type: 'im',
      user: ANN,
      ts: '1700000000.000700',
      text: '[[offline: delay 2500]] [[offline: say the slow one]]',
    });
    await until(() => server.acked.length === 1, 'the confirmation');
    server.again(body);
    await gateway.stop('SIGKILL');
    server.again(body);
    gateway = await machine.start();
    await replied('slow one');
    server.say('afterwards');
    await replied('afterwards');
    expect(replies().filter((text) => text.includes('slow one'))).toHaveLength(1);
    expect(server.pending()).toEqual([]);
  });

  it('shows a reply once when it is killed before Slack has said that it went out, in a thread as well', async () => {
    machine = await createMachine(config());
    let gateway = await machine.start();
    for (const thread of [{}, { thread_ts: '1700000000.000100' }]) {
      const text = 'thread_ts' in thread ? 'shown in a thread' : 'shown at once';
      server.fail('chat.postMessage', 'mute');
      server.say(`[[offline: say ${text}]]`, thread);
      await replied(text);
      await gateway.stop('SIGKILL');
      gateway = await machine.start();
      server.say(`after: ${text}`, thread);
      await replied(`after: ${text}`);
      expect(replies().filter((reply) => reply === text)).toEqual([text]);
    }
    expect(replies()).toHaveLength(4);
  });

  it('answers every message of many people in order, through kill -9, repetitions, closed sockets and faults', async () => {
    const people = Array.from({ length: 6 }, (_, index) => ({ user: `U0PERSON0${index}`, channel: `D0PERSON0${index}` }));
    const rounds = 8;
    const open = { dmPolicy: 'open', allowFrom: ['*'] };
    machine = await createMachine(
      config(open, { session: { dmScope: 'per-channel-peer' }, messages: { queue: { mode: 'followup', debounceMs: 0 }, inbound: { debounceMs: 0 } } }),
    );
    let gateway = await machine.start();
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, place] of people.entries()) {
        const ts = `17000000${index}${round}.000100`;
        const body = server.emit({ type: 'message', channel_type: 'im', ...place, ts, text: `${place.user} says ${round}.` });
        if ((index + round) % 4 === 0) server.again(body);
      }
      if (round % 3 === 0) server.fail('chat.postMessage', 'lost', 'reset', { status: 429, retryAfter: 0 });
      if (round % 3 === 1) server.disconnect(round === 1 ? 'refresh_requested' : undefined);
      // a person's messages are in one order only when those before were taken
      await until(() => server.pending().length === 0, 'the confirmations', 30_000);
      if (round === 3 || round === 5) {
        await gateway.stop('SIGKILL');
        gateway = await machine.start();
      }
    }
    const wanted = people.flatMap(({ user }) => Array.from({ length: rounds }, (_, round) => `${user} says ${round}.`));
    await until(() => wanted.every((text) => replies().some((reply) => reply.includes(text))), 'every reply', 60_000);
    for (const { user, channel } of people) {
      const own = server.messages.filter((message) => message.channel === channel).map(({ text }) => text);
      const firsts = Array.from({ length: rounds }, (_, round) => own.findIndex((text) => text.includes(`${user} says ${round}.`)));
      expect(firsts).toEqual(firsts.toSorted((one, other) => one - other));
    }
    // what was on its way at a kill may show twice, one message of each conversation
    const twice = wanted.filter((text) => replies().filter((reply) => reply.includes(text)).length > 1);
    expect(twice.length).toBeLessThanOrEqual(2 * people.length);
  }, 120_000);

  it('comes back when Slack closes the socket, and when Slack was away', async () => {
    machine = await createMachine(config());
    await machine.start();
    await until(() => server.sockets() === 1, 'the socket');
    server.disconnect('refresh_requested');
    server.say('after the new socket');
    await replied('after the new socket');
    await server.down();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await server.up();
    server.say('after the outage');
    await replied('after the outage');
    expect(replies()).toHaveLength(2);
  });

  it('writes the reply while it grows', async () => {
    const offline = { plugins: { entries: { offline: { config: { wordDelayMs: 60 } } } } };
    machine = await createMachine(config({ streaming: 'partial' }, offline));
    await machine.start();
    const words = Array.from({ length: 40 }, (_, index) => `word${index}`).join(' ');
    server.say(`${words} end`);
    await until(() => server.messages.some(({ text }) => /word39.* end/.test(text)), 'the whole reply', 40_000);
    await until(() => server.of('chat.update').length > 0, 'a preview');
    expect(server.messages).toHaveLength(1);
  });

  it('cuts a long reply into messages, in order, and none twice when answers are lost', async () => {
    machine = await createMachine(config());
    await machine.start();
    server.fail('chat.postMessage', { status: 429, retryAfter: 0 }, 'lost');
    server.say('[[offline: say the start of it]] [[offline: tokens 3000]] [[offline: say the end of it]]');
    await replied('the end of it');
    expect(replies()[0]).toContain('the start of it');
    expect(replies().at(-1)).toContain('the end of it');
    expect(replies().filter((text) => text.includes('the start of it'))).toHaveLength(1);
    expect(replies().length).toBeGreaterThan(2);
  });
});

describe('Slack over HTTP', () => {
  it('answers what is signed, and once, though Slack repeats it and the gateway is killed (SYS-034)', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/slack/events`;
    machine = await createMachine(config({ mode: 'http', appToken: undefined, signingSecret: SIGNING_SECRET, webhookPort: port, groups: { '*': {} } }));
    let gateway = await machine.start();
    const post = (body: object, headers: Record<string, string> = {}) => server.post(url, body, { headers });
    await until(
      () =>
        post({ type: 'url_verification', challenge: 'abc' }).then(
          ({ text }) => text === 'abc',
          () => false,
        ),
      'the webhook',
      30_000,
    );

    const event = (ts: string, text: string, fields: object = {}) => ({
      type: 'event_callback',
      event_id: `Ev${ts}`,
      team_id: 'T1',
      event: { type: 'message', channel: ANN_CHAT, channel_type: 'im', user: ANN, ts, text, ...fields },
    });
    expect((await server.post(url, event('1700000000.000001', 'forged'), { secret: 'another' })).status).toBe(401);
    const hello = event('1700000000.000002', 'hello by HTTP');
    expect((await post(hello)).status).toBe(200);
    expect((await post(hello, { 'x-slack-retry-num': '1', 'x-slack-retry-reason': 'http_timeout' })).status).toBe(200);
    await replied('hello by HTTP');
    expect((await post(event('1700000000.000003', `<@${BOT_USER}> in the channel`, { ...inGeneral, thread_ts: '1700000000.000009' }))).status).toBe(200);
    expect(await replied('in the channel')).toMatchObject({ channel: GENERAL, thread_ts: '1700000000.000009' });

    const slow = event('1700000000.000004', '[[offline: delay 2500]] [[offline: say slow by HTTP]]');
    expect((await post(slow)).status).toBe(200);
    await gateway.stop('SIGKILL');
    gateway = await machine.start();
    await until(
      () =>
        post({ type: 'url_verification', challenge: 'abc' }).then(
          ({ status }) => status === 200,
          () => false,
        ),
      'the webhook again',
      30_000,
    );
    expect((await post(slow, { 'x-slack-retry-num': '1' })).status).toBe(200);
    await replied('slow by HTTP');
    expect((await post(event('1700000000.000005', 'the last'))).status).toBe(200);
    await replied('the last');
    expect(replies()).toHaveLength(4);
    await gateway.stop();
    await expectNoSecret(gateway.output());
  });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

const SECRETS = [BOT_TOKEN, APP_TOKEN, SIGNING_SECRET];

function expectNone(text: string): void {
  for (const secret of SECRETS) expect(text).not.toContain(secret);
}

/** No file that the gateway wrote, and nothing that it printed, has a token. */
async function expectNoSecret(printed: string): Promise<void> {
  expectNone(printed);
  const files = await readdir(machine.stateDir, { recursive: true, withFileTypes: true });
  for (const file of files) {
    if (!file.isFile() || /^Durar\.json/.test(file.name)) continue;
    const content = await readFile(join(file.parentPath, file.name), 'latin1');
    for (const secret of SECRETS) expect(content.includes(secret), file.name).toBe(false);
  }
}
