import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ANN, createTelegramServer, type TelegramServer, TOKEN } from '../fixtures/telegram-server.ts';
import { createMachine, type Machine, until } from './gateway-process.ts';

const GROUP = { id: -100123, type: 'supergroup', title: 'Friends', is_forum: true };

let machine: Machine;
let server: TelegramServer;

beforeEach(async () => {
  server = await createTelegramServer();
});
afterEach(async () => {
  await machine.remove();
  await server.close();
});

const config = (telegram: object = {}, more: object = {}) => ({
  agents: { defaults: { model: 'offline/echo' } },
  channels: { telegram: { botToken: TOKEN, apiRoot: server.url, allowFrom: ['tg:7001'], retry: { minDelayMs: 5, maxDelayMs: 100 }, ...telegram } },
  ...more,
});
const replies = () => server.messages.map(({ text = '' }) => text);
const replied = (text: string) => until(() => replies().some((reply) => reply.includes(text)), `the reply '${text}'`, 30_000);

describe('Telegram', () => {
  it('answers a person, in the topic where it was named, and nobody who may not write (SYS-032)', async () => {
    machine = await createMachine(config({ groups: { '-100123': {} } }));
    const gateway = await machine.start();
    server.say('hello there');
    await replied('hello there');
    expect(server.of('sendMessage').at(-1)?.payload).toMatchObject({ chat_id: 7001, parse_mode: 'HTML' });

    const topic = { chat: GROUP, is_topic_message: true, message_thread_id: 5 };
    server.say('not for the bot', topic);
    const text = '@durar_test_bot in the topic';
    server.say(text, { ...topic, entities: [{ type: 'mention', offset: 0, length: 15 }] });
    server.say('let me in', { from: { ...ANN, id: 666, username: 'stranger' }, chat: { ...GROUP, is_forum: false }, entities: [] });
    await replied('in the topic');
    expect(server.of('sendMessage').at(-1)?.payload).toMatchObject({ chat_id: -100123, message_thread_id: 5 });
    server.say('once more');
    await replied('once more');
    expect(replies()).toHaveLength(3);

    const sessions = await machine.cli(['sessions', 'list', '--json']);
    expect(sessions.stdout).toContain('agent:main:telegram:group:-100123:topic:5');
    await gateway.stop();
    await expectNoToken(gateway.output());
  });

  it('collects what comes during a run into one turn (QUEUE-054)', async () => {
    machine = await createMachine(config({}, { messages: { queue: { mode: 'collect', debounceMs: 50 }, inbound: { debounceMs: 0 } } }));
    await machine.start();
    server.say('[[offline: delay 1500]] first');
    await until(() => server.pending().length === 0 && server.of('getUpdates').length > 1, 'the first message');
    server.say('second');
    server.say('third');
    const both = await until(() => replies().find((reply) => reply.includes('third')), 'the reply', 30_000);
    expect(both).toContain('second');
    expect(replies()).toHaveLength(2);
  });

  it('loses nothing when the gateway is killed between getting an update and keeping it, and answers once', async () => {
    machine = await createMachine(config());
    let gateway = await machine.start();
    // the file holds the delivery up: the update is fetched, and not kept
    server.addFile('doc', Buffer.from('content'));
    server.fail('file', 'stall');
    server.say('', { caption: 'look at this', document: { file_id: 'doc', file_unique_id: 'doc', file_name: 'a.txt', mime_type: 'text/plain', file_size: 7 } });
    await until(() => server.of('file').length === 1, 'the download');
    expect(server.pending()).toHaveLength(1);
    await gateway.stop('SIGKILL');
    gateway = await machine.start();
    await replied('look at this');
    await until(() => server.pending().length === 0, 'the confirmation');
    server.say('and this');
    await replied('and this');
    expect(replies()).toHaveLength(2);
  });

  it('answers once what it had kept when it was killed, though Telegram brings it again', async () => {
    machine = await createMachine(config());
    const gateway = await machine.start();
    const update = {
      message: {
        message_id: 77,
        date: 1,
        from: ANN,
        chat: { id: 7001, type: 'private', first_name: 'Ann' },
        text: '[[offline: delay 2500]] [[offline: say the slow answer]]',
      },
    };
    server.push({ update_id: 500, ...update });
    await until(() => server.pending().length === 0, 'the confirmation');
    await gateway.stop('SIGKILL');
    server.push({ update_id: 500, ...update });
    await machine.start();
    await replied('the slow answer');
    server.say('afterwards');
    await replied('afterwards');
    expect(replies().filter((reply) => reply.includes('the slow answer'))).toHaveLength(1);
  });

  it('answers every message of many chats in order, through kill -9, repetitions and faults', async () => {
    const people = Array.from({ length: 8 }, (_, index) => ({ id: 9000 + index, is_bot: false, first_name: `P${index}` }));
    const perPerson = 10;
    machine = await createMachine(
      config(
        { dmPolicy: 'open', allowFrom: ['*'] },
        { session: { dmScope: 'per-channel-peer' }, messages: { queue: { mode: 'followup', debounceMs: 0 }, inbound: { debounceMs: 0 } } },
      ),
    );
    let gateway = await machine.start();
    const sent: object[] = [];
    for (let round = 0; round < perPerson; round += 1) {
      for (const person of people) {
        const chat = { id: person.id, type: 'private', first_name: person.first_name };
        const update = {
          update_id: 2000 + sent.length,
          message: { message_id: sent.length + 1, date: 1, from: person, chat, text: `${person.first_name} says ${round}.` },
        };
        sent.push(update);
        server.push(update);
        if (sent.length % 7 === 0) server.push(update);
      }
      if (round % 3 === 0) server.fail('sendMessage', 'reset', { error_code: 429, description: 'Too Many Requests' });
      if (round === 3 || round === 6) {
        await gateway.stop('SIGKILL');
        gateway = await machine.start();
      }
    }
    const wanted = people.flatMap(({ first_name }) => Array.from({ length: perPerson }, (_, round) => `${first_name} says ${round}.`));
    await until(() => wanted.every((text) => replies().some((reply) => reply.includes(text))), 'every reply', 60_000);
    for (const { first_name } of people) {
      const firsts = Array.from({ length: perPerson }, (_, round) => replies().findIndex((reply) => reply.includes(`${first_name} says ${round}.`)));
      expect(firsts).toEqual(firsts.toSorted((one, other) => one - other));
    }
    // Telegram drops no repetition: what was on its way at a kill may show twice, one message of each chat
    const twice = wanted.filter((text) => replies().filter((reply) => reply.includes(text)).length > 1);
    expect(twice.length).toBeLessThanOrEqual(2 * people.length);
  }, 90_000);

  it('comes back by itself when the Bot API was away for longer than its tries', async () => {
    machine = await createMachine(config());
    await machine.start();
    server.say('before');
    await replied('before');
    const polls = server.of('getMe').length;
    await server.down();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await server.up();
    server.say('after');
    await replied('after');
    expect(server.of('getMe').length).toBeGreaterThan(polls);
    expect(replies()).toHaveLength(2);
  });

  it('shows that it works, and writes the reply while it grows', async () => {
    const offline = { plugins: { entries: { offline: { config: { wordDelayMs: 60 } } } } };
    machine = await createMachine(config({ streaming: 'partial' }, offline));
    await machine.start();
    const words = Array.from({ length: 40 }, (_, index) => `word${index}`).join(' ');
    server.say(`**${words}** end`);
    await until(() => server.messages.some(({ text = '' }) => /word39.* end/.test(text)), 'the whole reply', 30_000);
    await until(() => server.of('editMessageText').length > 0, 'a preview');
    expect(server.messages).toHaveLength(1);
    expect(server.of('sendChatAction')[0]?.payload).toMatchObject({ chat_id: 7001, action: 'typing' });
  });

  it('cuts a long reply into messages that Telegram takes, in order, whatever it meets', async () => {
    machine = await createMachine(config({ replyToMode: 'first' }));
    await machine.start();
    server.fail('sendMessage', { error_code: 429, description: 'Too Many Requests' }, 'reset');
    const id = server.say('[[offline: say the start of it]] [[offline: tokens 6000]] [[offline: say the end of it]]');
    await replied('the end of it');
    expect(replies().length).toBeGreaterThan(5);
    expect(replies()[0]).toContain('the start of it');
    expect(replies().at(-1)).toContain('the end of it');
    expect(Math.max(...replies().map((reply) => reply.length))).toBeLessThanOrEqual(4000);
    const answered = server.of('sendMessage').filter(({ payload }) => payload.reply_parameters !== undefined);
    expect(answered.map(({ payload }) => payload.reply_parameters)).toEqual(Array(3).fill({ message_id: id, allow_sending_without_reply: true }));
    // each once, and the first twice more
    expect(server.of('sendMessage')).toHaveLength(replies().length + 2);
  });

  it('takes messages by webhook, and none is lost or answered twice by kill -9 (SYS-032)', async () => {
    const free = await createTelegramServer();
    const port = Number(new URL(free.url).port);
    await free.close();
    machine = await createMachine(config({ webhookUrl: `http://127.0.0.1:${port}/telegram-webhook`, webhookSecret: 'hook-secret', webhookPort: port }));
    const gateway = await machine.start();
    await until(() => server.webhook(), 'the webhook');
    const update = (message_id: number, fields: object) => ({
      update_id: message_id,
      message: { message_id, date: 1, from: ANN, chat: { id: 7001, type: 'private', first_name: 'Ann' }, ...fields },
    });
    expect(await server.post(update(1, { text: 'hello' }))).toBe(200);
    expect(await server.post(update(1, { text: 'hello' }))).toBe(200);
    expect(await server.post(update(2, { text: 'forged' }), 'wrong')).toBe(401);
    await replied('hello');

    server.addFile('doc', Buffer.from('content'));
    server.fail('file', 'stall');
    const held = update(3, { caption: 'held up', document: { file_id: 'doc', file_unique_id: 'doc', file_name: 'a.txt', file_size: 7 } });
    const first = server.post(held).catch((error: unknown) => error);
    await until(() => server.of('file').length === 1, 'the download');
    await gateway.stop('SIGKILL');
    expect(await first).toBeInstanceOf(Error);
    const hooks = server.of('setWebhook').length;
    await machine.start();
    await until(() => server.of('setWebhook').length > hooks, 'the webhook again');
    // not answered with 200, so Telegram posts it again
    expect(await server.post(held)).toBe(200);
    await replied('held up');
    expect(replies()).toHaveLength(2);
  });

  it('takes its token from a reference', async () => {
    machine = await createMachine(config({ botToken: { source: 'env', provider: 'default', id: 'MY_BOT' } }));
    const gateway = await machine.start({ env: { MY_BOT: TOKEN } });
    server.say('hello');
    await replied('hello');
    await gateway.stop();
  });

  it('refuses settings that make no sense (RETRY-022, RETRY-031)', async () => {
    machine = await createMachine(config());
    const findings = async () => (await machine.cli(['config', 'validate', '--json'])).json<{ findings: Array<{ code: string; message: string }> }>().findings;
    for (const [telegram, fault] of [
      [{ retry: { attempts: 'x' } }, '/retry/attempts must be integer'],
      [{ retry: { attempts: 0 } }, '/retry/attempts must be >= 1'],
      [{ retry: { jitter: 2 } }, '/retry/jitter must be <= 1'],
      [{ retry: { minDelayMs: -1 } }, '/retry/minDelayMs must be >= 0'],
      [{ retry: { delay: 1 } }, "/retry has the unknown key 'delay'"],
      [{ accounts: { work: { retry: { attempts: 'x' } } } }, '/accounts/work/retry/attempts must be integer'],
      [{ webhookUrl: 'https://example.org/hook' }, 'webhookSecret'],
      [{ bottoken: 'x' }, "the unknown key 'bottoken'"],
    ] as const) {
      await machine.writeConfig(config(telegram));
      expect(await findings()).toEqual([expect.objectContaining({ code: 'DUR_MANIFEST_CONFIG_INVALID', message: expect.stringContaining(fault) })]);
    }
    await machine.writeConfig(config());
    expect((await machine.cli(['config', 'set', 'channels.telegram.retry.attempts', '"x"'])).code).toBe(1);
    await machine.writeConfig(config({ accounts: { work: { botToken: 'b', groups: { '*': { requireMention: false } } } } }));
    expect(await findings()).toEqual([]);
  });
});

/** Neither what was printed nor a file of the log holds the token. */
async function expectNoToken(output: string): Promise<void> {
  expect(output).not.toContain(TOKEN);
  const names = await readdir(machine.stateDir, { recursive: true });
  for (const name of names.filter((each) => each.endsWith('.log'))) expect(await readFile(join(machine.stateDir, name), 'utf8')).not.toContain(TOKEN);
}
