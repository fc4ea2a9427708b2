import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type IrcServer, noNgircd, type Person, person, startNgircd } from '../irc-servers.ts';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

const PASSWORD = 'server-secret-7';

let machine: Machine;
let gateway: GatewayProcess;
let server: IrcServer;
let people: Person[] = [];

const irc = (more: object = {}) => ({
  host: server.host,
  port: server.port,
  tls: false,
  nick: 'durar',
  channels: ['#lab'],
  allowFrom: ['*!*@127.0.0.1'],
  groups: { '#lab': {} },
  messagesPerSecond: 500,
  messageBurst: 500,
  ...more,
});
const config = (block: object = {}, more: object = {}) => ({
  agents: { defaults: { model: 'offline/echo' } },
  channels: { irc: irc(block) },
  messages: { inbound: { debounceMs: 0 } },
  ...more,
});

async function guest(nick: string, ...rooms: string[]): Promise<Person> {
  const each = await person(server, nick, { join: rooms });
  people.push(each);
  return each;
}

/** Waits until the bot is in the channel. */
async function present(witness: Person, nick = 'durar'): Promise<void> {
  await until(
    async () => {
      witness.raw.length = 0;
      witness.client.raw('NAMES', '#lab');
      await new Promise((resolve) => setTimeout(resolve, 100));
      return witness.raw.some((line) => / 353 /.test(line) && new RegExp(`[ :@]${nick}\\s`).test(line));
    },
    `${nick} in #lab`,
    40_000,
  );
}

describe.skipIf(noNgircd !== '')(`IRC on a gateway process${noNgircd}`, () => {
  beforeAll(async () => {
    server = await startNgircd();
  }, 60_000);
  afterEach(async () => {
    for (const each of people) each.leave();
    people = [];
    await machine?.remove();
  });
  afterAll(() => server?.remove());

  it('answers a person and a channel that names it; model, context engine and rules change while they chat', { timeout: 120_000 }, async () => {
    machine = await createMachine(config());
    gateway = await machine.start();
    const alice = await guest('alice', '#lab');
    await present(alice);
    alice.say('durar', 'hello there');
    expect(await alice.hears(/^alice <durar> .*hello there/)).toBeDefined();
    alice.say('#lab', 'nothing for the bot');
    alice.say('#lab', 'Durar: what is **this**?');
    await alice.hears(/^#lab <durar> .*what is .?this/);

    const probed = await machine.cli(['channels', 'status', '--probe', '--json']);
    expect(probed.json()).toMatchObject({
      channelAccounts: {
        irc: [{ accountId: 'default', running: true, connected: true, nick: 'durar', channels: ['#lab'], probe: { ok: true, server: 'irc.test' } }],
      },
    });
    const sent = await machine.cli(['message', 'send', '--channel', 'irc', '--target', '#lab', '--message', 'from the **operator**']);
    expect(sent.code, sent.stderr).toBe(0);
    await alice.hears(/^#lab <durar> from the .operator./);
    const refused = await machine.cli(['message', 'send', '--channel', 'irc', '--target', 'NickServ', '--message', 'DROP durar']);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('service of the network');

    alice.raw.length = 0;
    const change = async (next: object, ask: string, expected: RegExp) => {
      await machine.writeConfig(next);
      await until(async () => {
        alice.heard.length = 0;
        alice.say('durar', ask);
        return await alice.hears(expected, 1_500).catch(() => undefined);
      }, `${expected} after a change`);
    };
    await change(config({}, { agents: { defaults: { model: 'offline/script' } } }), 'hello', /^alice <durar> done$/);
    const recall = { plugins: { slots: { contextEngine: 'recall' } } };
    await change(config({}, recall), 'hello again', /hello again/);
    const status = await machine.cli(['status', '--json']);
    expect(status.stdout).toContain('recall');
    // rules hold for the next message, without a new connection
    await machine.writeConfig(config({ allowFrom: ['account:somebody'] }, recall));
    await until(async () => {
      alice.heard.length = 0;
      alice.say('durar', 'am I still known?');
      return await alice.hears(/pairing|code/i, 1_000).catch(() => undefined);
    }, 'the stranger is asked to pair');
    await change(config({ allowFrom: ['alice!*@127.0.0.*'] }, recall), 'and now?', /and now\?/);
    expect(alice.raw.filter((line) => /^:durar\S* (QUIT|PART|JOIN)/.test(line))).toEqual([]);
    // another nick is another connection
    await machine.writeConfig(config({ nick: 'sultan', allowFrom: ['alice!*@127.0.0.*'] }, recall));
    await present(alice, 'sultan');
    alice.say('sultan', 'who are you?');
    await alice.hears(/<sultan> .*who are you\?/);
    await gateway.stop();
    await until(() => alice.raw.some((line) => /^:sultan\S* QUIT/.test(line)), 'the goodbye');
  });

  it('comes back when the server was killed, and delivers what became due meanwhile', { timeout: 120_000 }, async () => {
    machine = await createMachine(config());
    gateway = await machine.start();
    let bob = await guest('bob', '#lab');
    await present(bob);
    bob.say('durar', '[[offline: delay 2000]] [[offline: say the late answer]]');
    await until(async () => (await machine.cli(['sessions', 'list', '--json'])).stdout.includes('agent:'), 'the run');
    await server.kill();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await server.start();
    bob = await guest('bob', '#lab');
    await present(bob);
    await bob.hears(/the late answer/, 40_000);
    bob.say('durar', 'are you back?');
    await bob.hears(/are you back\?/);
    expect(bob.heard.filter((line) => line.includes('the late answer'))).toHaveLength(1);
    await gateway.stop();
  });

  it('answers 200 messages in their order', { timeout: 180_000 }, async () => {
    machine = await createMachine(config({}, { messages: { inbound: { debounceMs: 0 }, queue: { mode: 'followup', debounceMs: 0, cap: 1000 } } }));
    gateway = await machine.start();
    const carol = await guest('carol', '#lab');
    await present(carol);
    for (let index = 0; index < 200; index += 1) carol.say('durar', `[[offline: say answer ${index}]]`);
    await carol.hears(/answer 199/, 120_000);
    expect(carol.heard.map((line) => Number(/answer (\d+)/.exec(line)?.[1]))).toEqual(Array.from({ length: 200 }, (_, index) => index));
    await gateway.stop();
  });

  it('collects what comes during a run into one turn (QUEUE-052)', { timeout: 60_000 }, async () => {
    machine = await createMachine(config({}, { messages: { inbound: { debounceMs: 0 }, queue: { mode: 'collect', debounceMs: 50 } } }));
    gateway = await machine.start();
    const dora = await guest('dora', '#lab');
    await present(dora);
    dora.say('durar', '[[offline: delay 1500]] first');
    await until(async () => (await machine.cli(['sessions', 'list', '--json'])).stdout.includes('agent:'), 'the run');
    dora.say('durar', 'second');
    dora.say('durar', 'third');
    await dora.hears(/third/, 30_000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const all = dora.heard.join('\n');
    expect(all).toContain('second');
    expect(all.match(/third/g)).toHaveLength(1);
    await gateway.stop();
  });

  it('what was taken before kill -9 is answered after it', { timeout: 90_000 }, async () => {
    machine = await createMachine(config());
    gateway = await machine.start();
    const erin = await guest('erin', '#lab');
    await present(erin);
    erin.say('durar', '[[offline: delay 3000]] [[offline: say the slow answer]]');
    await until(async () => (await machine.cli(['sessions', 'list', '--json'])).stdout.includes('agent:'), 'the run');
    await gateway.stop('SIGKILL');
    gateway = await machine.start();
    await erin.hears(/the slow answer/, 40_000);
    erin.say('durar', 'afterwards');
    await erin.hears(/afterwards/);
    expect(erin.heard.filter((line) => line.includes('the slow answer'))).toHaveLength(1);
    await gateway.stop();
  });

  it('hostile text comes through the whole way as text', { timeout: 60_000 }, async () => {
    machine = await createMachine(config());
    gateway = await machine.start();
    const mallory = await guest('mallory', '#lab');
    await present(mallory);
    const hostile = [
      '\x02\x1f\x03 4,2bold\x0f',
      '\u202e\u2066rtl\u200b\ufeff',
      '𝕳𝖊𝖑𝖑𝖔 👩‍👩‍👧‍👦',
      'a'.repeat(380),
      "'; DROP TABLE --",
      '$HOME %s %n \\r\\nQUIT',
      ':colon first',
      '\x01DCC SEND x\x01 tail',
    ];
    for (const [index, text] of hostile.entries()) mallory.say('durar', `${text} end${index}`);
    for (const index of hostile.keys()) await mallory.hears(new RegExp(`end${index}`));
    expect(mallory.raw.some((line) => /^:durar\S* QUIT/.test(line))).toBe(false);
    mallory.say('durar', 'still there?');
    await mallory.hears(/still there\?/);
    await gateway.stop();
  });

  it('goes to a server with TLS and a password from a reference, and tells it to nobody', { timeout: 60_000 }, async () => {
    const secured = await startNgircd({ password: PASSWORD });
    machine = await createMachine(
      config({
        host: 'localhost',
        port: secured.tlsPort,
        tls: true,
        caFile: secured.certificateFile,
        password: { source: 'env', provider: 'default', id: 'IRC_TEST' },
      }),
    );
    gateway = await machine.start({ env: { IRC_TEST: PASSWORD } });
    const frank = await person(secured, 'frank', { join: ['#lab'], password: PASSWORD });
    people.push(frank);
    await present(frank);
    frank.say('#lab', 'durar, hello over TLS');
    await frank.hears(/#lab <durar> .*hello over TLS/);
    await gateway.stop();
    expect(gateway.output()).not.toContain(PASSWORD);
    const logs = join(machine.stateDir, 'logs');
    for (const name of await readdir(logs).catch(() => [])) expect(await readFile(join(logs, name), 'utf8')).not.toContain(PASSWORD);
    await secured.remove();
  });
});
