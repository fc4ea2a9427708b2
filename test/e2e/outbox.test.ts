import { appendFile, cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

/** A line of what the service was asked to do. */
interface Sent {
  call: string;
  to: string;
  text: string;
  key?: string;
  replyToId?: string;
  messageId?: string;
  emoji?: string;
}

type Service = 'ledger' | 'ledger-once';

let machine: Machine;
let gateway: GatewayProcess;

const open = { enabled: true, dmPolicy: 'open', allowFrom: ['*'] };

async function setUp(channel: object = {}, more: object = {}): Promise<void> {
  machine = await createMachine();
  const extension = join(machine.home, 'ledger-chat');
  await cp(join(root, 'test/fixtures/ledger-chat'), extension, { recursive: true });
  await machine.writeConfig({
    agents: { defaults: { model: 'offline/script' } },
    session: { dmScope: 'per-peer' },
    plugins: { load: { paths: [extension] }, entries: { 'ledger-chat': { enabled: true } } },
    channels: { ledger: { ...open, ...channel }, 'ledger-once': { ...open, ...channel } },
    ...more,
  });
}

/** The same with a model that takes its time. */
async function setUpSlow(channel: object, more: object = {}): Promise<void> {
  await setUp(channel, more);
  const config = JSON.parse(await readFile(machine.configFile, 'utf8')) as { plugins: { entries: object } };
  const entries = { ...config.plugins.entries, offline: { config: { wordDelayMs: 150 } } };
  await machine.writeConfig({ ...config, plugins: { ...config.plugins, entries } });
}

const file = (service: Service, name: string) => join(machine.stateDir, `${service}.${name}`);
const behave = (service: Service, mode: object) => writeFile(file(service, 'mode.json'), JSON.stringify(mode));

let written = 0;
async function write(service: Service, text: string, more: object = {}): Promise<void> {
  written += 1;
  await appendFile(file(service, 'in'), `${JSON.stringify({ text, messageId: `in-${written}`, ...more })}\n`);
}

async function out(service: Service): Promise<Sent[]> {
  const text = await readFile(file(service, 'out'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Sent);
}
const said = async (service: Service) => (await out(service)).filter(({ call }) => call === 'text');
const texts = async (service: Service) => (await said(service)).map(({ text }) => text);
const spoken = (service: Service, count: number) =>
  until(async () => ((await said(service)).length >= count ? said(service) : undefined), `${count} messages of ${service}`);

beforeEach(() => {
  written = 0;
});
afterEach(() => machine.remove());

describe('kill -9 while a reply is being sent', () => {
  it('sends it once where the service drops a repetition', async () => {
    await setUp();
    gateway = await machine.start();
    await behave('ledger-once', { silentAfter: 'hello' });
    await write('ledger-once', '[[offline: say hello]]');
    await spoken('ledger-once', 1);
    await gateway.stop('SIGKILL');
    await behave('ledger-once', {});
    gateway = await machine.start();
    await write('ledger-once', '[[offline: say and on]]');
    await spoken('ledger-once', 2);
    expect(await texts('ledger-once')).toEqual(['hello', 'and on']);
  }, 60_000);

  it('sends it again where it does not, and says so', async () => {
    await setUp();
    gateway = await machine.start();
    await behave('ledger', { silentAfter: 'hello' });
    await write('ledger', '[[offline: say hello]]');
    const [first] = await spoken('ledger', 1);
    await gateway.stop('SIGKILL');
    await behave('ledger', {});
    gateway = await machine.start();
    const [, second] = await spoken('ledger', 2);
    expect(second).toEqual(first);
    await until(() => gateway.output().includes('may have gone out before a crash'), 'the warning');
  }, 60_000);

  it('repeats no part of a long reply that was out (RETRY-037)', async () => {
    await setUp();
    gateway = await machine.start();
    await behave('ledger', { silentAfter: 'Second' });
    const parts = ['First part of a reply that takes three messages.', 'Second part of a reply that takes three messages.', 'Third part of it.'];
    await write('ledger', `[[offline: say ${parts.join('\n\n')}]]`);
    await spoken('ledger', 2);
    await gateway.stop('SIGKILL');
    await behave('ledger', {});
    gateway = await machine.start();
    await until(async () => (await texts('ledger')).includes('Third part of it.'), 'the last part');
    expect(await texts('ledger')).toEqual([parts[0], parts[1], parts[1], parts[2]]);
  }, 60_000);

  it('loses nothing, answers nothing twice and keeps the order, whenever it comes', async () => {
    await setUp();
    const people = ['amy', 'bob', 'cy'];
    const each = 12;
    let rounds = 0;
    gateway = await machine.start();
    for (let n = 0; n < each; n += 1) {
      for (const from of people) await write('ledger-once', `[[offline: say ${from} ${n}]]`, { from });
      if (n % 4 !== 3) continue;
      await spoken('ledger-once', Math.floor((rounds + 0.5) * people.length));
      await gateway.stop('SIGKILL');
      rounds += 1;
      gateway = await machine.start();
    }
    const sent = await until(async () => {
      const all = await said('ledger-once');
      return people.every((from) => all.some(({ text }) => text.includes(`${from} ${each - 1}`))) ? all : undefined;
    }, 'the last answers');
    for (const from of people) {
      const numbers = sent
        .filter(({ to }) => to === from)
        .flatMap(({ text }) => Array.from(text.matchAll(new RegExp(`${from} (\\d+)`, 'g')), ([, number]) => Number(number)));
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    }
  }, 120_000);
});

describe('a reply that cannot be sent', () => {
  it('is given up when the service says so, listed, and sent when a person has it tried anew', async () => {
    await setUp();
    gateway = await machine.start();
    await behave('ledger', { refuse: 'no' });
    await write('ledger', '[[offline: say no way]]');
    await until(() => gateway.output().includes('is given up'), 'the end of the tries');
    await write('ledger', '[[offline: say fine]]');
    await spoken('ledger', 1);
    expect(await texts('ledger')).toEqual(['fine']);
    await behave('ledger', {});
    const listed = await machine.cli(['queue', 'list', '--json']);
    const id = /"id": "([^"]+:0)"/.exec(listed.stdout)?.[1];
    expect(listed.stdout).toContain('the service refuses this');
    expect(await machine.cli(['queue', 'retry', String(id)])).toMatchObject({ code: 0 });
    await until(async () => (await texts('ledger')).includes('no way'), 'the reply');
  }, 60_000);

  it('waits for its account over a restart', async () => {
    await setUp();
    await behave('ledger', { fail: 'later' });
    gateway = await machine.start();
    await write('ledger', '[[offline: say later]]');
    await until(() => gateway.output().includes('was not sent: the service is busy'), 'the first try');
    await gateway.stop();
    await behave('ledger', {});
    gateway = await machine.start();
    expect(await spoken('ledger', 1)).toMatchObject([{ text: 'later', to: 'amy' }]);
  }, 60_000);
});

describe('what is shown of a reply', () => {
  it('answers as the configuration says, with typing and a mark (QUEUE-016)', async () => {
    await setUp(
      { replyToMode: 'first' },
      { messages: { ackReaction: '👀', ackReactionScope: 'direct', removeAckAfterReply: true, responsePrefix: '{model}:' } },
    );
    gateway = await machine.start();
    await write('ledger', '[[offline: say one]]');
    await spoken('ledger', 1);
    await write('ledger', '[[offline: say NO_REPLY]]');
    await write('ledger', '[[offline: say two]]');
    const sent = await spoken('ledger', 2);
    expect(sent.map(({ text, replyToId }) => [text, replyToId])).toEqual([
      ['script: one', 'in-1'],
      ['script: two', 'in-3'],
    ]);
    const all = await until(async () => {
      const lines = await out('ledger');
      return lines.filter(({ call, emoji }) => call === 'reaction' && emoji === '').length >= 2 ? lines : undefined;
    }, 'the marks to go');
    const calls = all.filter(({ call }) => call !== 'reaction');
    expect(calls[0]?.call).toBe('typing');
    expect(all.filter(({ call, emoji }) => call === 'reaction' && emoji === '👀').map(({ messageId }) => messageId)).toContain('in-1');
  }, 60_000);

  it('grows in a draft that becomes the reply', async () => {
    await setUpSlow({ streaming: 'partial' });
    gateway = await machine.start();
    await write('ledger', '[[offline: say These are the words of a reply that grows slowly.]]');
    const lines = await until(async () => {
      const all = await out('ledger');
      return all.some(({ call, text }) => call === 'edit' && text.endsWith('slowly.')) ? all : undefined;
    }, 'the whole reply');
    const shown = lines.filter(({ call }) => call === 'text' || call === 'edit');
    expect(shown[0]?.call).toBe('text');
    expect(shown.slice(1).every(({ call }) => call === 'edit')).toBe(true);
    expect(shown.at(-1)).toMatchObject({ text: 'These are the words of a reply that grows slowly.' });
  }, 60_000);

  it('grows in one draft, also when kill -9 comes in between', async () => {
    await setUpSlow({ streaming: 'partial' });
    gateway = await machine.start();
    await write('ledger', '[[offline: say These are the words of a reply that grows slowly.]]');
    await spoken('ledger', 1);
    await gateway.stop('SIGKILL');
    gateway = await machine.start();
    await until(async () => (await out('ledger')).some(({ text }) => text.endsWith('slowly.')), 'the whole reply');
    const shown = (await out('ledger')).filter(({ call }) => call === 'text' || call === 'edit');
    expect(shown.filter(({ call }) => call === 'text')).toHaveLength(1);
    expect(shown.at(-1)).toMatchObject({ call: 'edit', messageId: expect.stringMatching(/^ledger-/) });
  }, 60_000);

  it('goes out in blocks while it is written, each once over a kill -9', async () => {
    await setUpSlow({ blockStreaming: true }, { agents: { defaults: { model: 'offline/script', blockStreamingChunk: { minChars: 10, maxChars: 60 } } } });
    gateway = await machine.start();
    const blocks = ['The first paragraph of it.', 'The second paragraph of it.', 'The third paragraph of it.', 'The end.'];
    await write('ledger-once', `[[offline: say ${blocks.join('\n\n')}]]`);
    await spoken('ledger-once', 1);
    await gateway.stop('SIGKILL');
    gateway = await machine.start();
    await until(async () => (await texts('ledger-once')).some((text) => text.endsWith('The end.')), 'the end');
    expect((await texts('ledger-once')).join('\n\n')).toBe(blocks.join('\n\n'));
  }, 60_000);
});

describe('the message tool', () => {
  it('sends once over a kill -9 after it, and the reply does not say it again', async () => {
    await setUp();
    gateway = await machine.start();
    const call = JSON.stringify({ action: 'send', message: 'The build is done.' });
    await write('ledger', `[[offline: tool message ${call}]][[offline: delay 3000]][[offline: say The build is done.]]`);
    await spoken('ledger', 1);
    await gateway.stop('SIGKILL');
    gateway = await machine.start();
    await write('ledger', '[[offline: say next]]');
    await until(async () => (await texts('ledger')).includes('next'), 'the next reply');
    expect(await texts('ledger')).toEqual(['The build is done.', 'next']);
  }, 60_000);

  it('reaches other conversations as far as its run may', async () => {
    await setUp();
    gateway = await machine.start();
    const across = JSON.stringify({ action: 'send', channel: 'ledger-once', to: 'bob', message: 'psst' });
    await write('ledger', `[[offline: tool message ${across}]][[offline: say refused]]`);
    expect(await spoken('ledger', 1)).toMatchObject([{ text: 'refused' }]);
    expect(await said('ledger-once')).toEqual([]);
    const run = await machine.cli(['agent', '--message', `[[offline: tool message ${across}]][[offline: say sent]]`, '--json']);
    expect(run.code).toBe(0);
    expect(await spoken('ledger-once', 1)).toMatchObject([{ to: 'bob', text: 'psst' }]);
  }, 60_000);
});

it('a message of the command line is sent once for its key, over a restart', async () => {
  await setUp();
  gateway = await machine.start();
  const params = JSON.stringify({ channel: 'ledger', to: 'amy', message: 'deployed', idempotencyKey: 'k1' });
  const first = await machine.cli(['gateway', 'call', 'send', '--params', params, '--json']);
  expect(first.stdout).toContain('"messageId": "ledger-');
  await gateway.stop('SIGKILL');
  gateway = await machine.start();
  expect(await machine.cli(['gateway', 'call', 'send', '--params', params, '--json'])).toMatchObject({ code: 0 });
  expect(await texts('ledger')).toEqual(['deployed']);
}, 60_000);
