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
