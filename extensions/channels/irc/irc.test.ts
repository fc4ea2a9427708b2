import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bench, isIn } from '../../../test/irc-bench.ts';
import { type IrcServer, noNgircd, type Person, person, startNgircd } from '../../../test/irc-servers.ts';
import { MONOSPACE } from './formatting.ts';

const HINTED = { hint: expect.stringMatching(/\.$/) };

describe.skipIf(noNgircd !== '')(`against ngircd${noNgircd}`, () => {
  let server: IrcServer;
  let secured: IrcServer;
  const people: Person[] = [];

  beforeAll(async () => {
    server = await startNgircd();
    secured = await startNgircd({ password: 'let me in' });
  }, 60_000);
  afterAll(async () => {
    for (const each of people) each.leave();
    await server?.remove();
    await secured?.remove();
  });

  async function guest(nick: string, ...rooms: string[]): Promise<Person> {
    const each = await person(server, nick, { join: rooms });
    people.push(each);
    return each;
  }

  const at = ({ host, port }: IrcServer) => ({ host, port });

  it('takes direct and channel messages with their sender, and answers both', async () => {
    const alice = await guest('Alice', '#Lab');
    const it = bench({ ...at(server), nick: 'durar', channels: ['#lab'] });
    const run = it.start();
    await it.until(isIn(it, '#lab'), 'joining');
    expect(it.status()).toMatchObject({ connected: true, nick: 'durar', server: 'irc.test', lastEventAt: expect.any(Number) });

    alice.say('durar', 'hello \x02bold\x02 \x0304,05red');
    alice.say('#Lab', 'just talking');
    alice.say('#lab', 'DURAR: what time is it?');
    alice.client.say('#lab', '\x01ACTION waves at durar\x01');
    alice.client.notice('durar', 'a notice is never answered');
    await it.until(() => it.inbox.length === 4, 'four messages');
    const from = { senderId: 'alice!~alice@127.0.0.1', senderName: 'Alice', timestamp: expect.any(Number) };
    const inLab = { ...from, conversationId: '#lab', chatType: 'group' };
    expect(it.inbox).toEqual([
      { ...from, text: 'hello bold red', conversationId: 'alice', conversationName: 'Alice', chatType: 'direct' },
      { ...inLab, text: 'just talking', conversationName: '#Lab', mentioned: false },
      { ...inLab, text: 'what time is it?', conversationName: '#Lab', mentioned: true },
      { ...inLab, text: '* Alice waves at durar', conversationName: '#Lab', mentioned: true },
    ]);

    await it.send('#lab', '**It** is `noon`.');
    await it.send('alice', 'hello *you*');
    await it.send(it.inbox[0]?.senderId ?? '', 'by the full name');
    expect(await alice.hears(/#Lab <durar>/)).toBe('#Lab <durar> \x02It\x02 is \x11noon\x11.');
    expect(await alice.hears(/full name/)).toBe('Alice <durar> by the full name');
    expect(alice.heard).toContain('Alice <durar> hello \x1dyou\x1d');
    await run.stop();
    expect(await run.ended).toBeUndefined();
    expect(it.status()).toMatchObject({ connected: false });
    await it.until(() => alice.raw.some((line) => /durar.* QUIT /.test(line)), 'the goodbye');
  });

  it('keeps the order of 200 messages each way, and those to another target do not wait for them (RETRY-002)', { timeout: 60_000 }, async () => {
    const [bob, carol] = [await guest('bob'), await guest('carol')];
    const it = bench({ ...at(server), nick: 'flood' });
    const run = it.start();
    await it.until(() => it.status().connected === true);
    const numbers = Array.from({ length: 200 }, (_, index) => `number ${index}`);
    for (const each of numbers) bob.say('flood', each);
    await it.until(() => it.inbox.length === 200, '200 messages');
    expect(it.inbox.map(({ text }) => text)).toEqual(numbers);
    await Promise.all(numbers.map((each) => it.send('bob', each)));
    await bob.hears(/number 199/);
    expect(bob.heard).toEqual(numbers.map((each) => `bob <flood> ${each}`));
    await run.stop();

    const slow = bench({ ...at(server), nick: 'slow', messagesPerSecond: 20, messageBurst: 1 });
    const slowRun = slow.start();
    await slow.until(() => slow.status().connected === true);
    const long = slow.send('bob', Array.from({ length: 60 }, (_, index) => `- line ${index}`).join('\n'));
    await slow.send('carol', 'short');
    expect(bob.heard.filter((line) => line.includes('line')).length).toBeLessThan(20);
    await carol.hears(/short/);
    await slowRun.stop();
    await expect(long).rejects.toMatchObject({ retryable: true });
  });

  it('no text and no target can begin a command of its own', async () => {
    const mallory = await guest('mallory', '#inject');
    const it = bench({ ...at(server), nick: 'safe', channels: ['#inject'] });
    const run = it.start();
    await it.until(isIn(it, '#inject'));
    const hostile = 'one\r\nQUIT :gone\rJOIN #evil\nPRIVMSG mallory :forged\0PART #inject\x01VERSION\x01 \u2028QUIT \u0085QUIT';
    await it.send('#inject', hostile);
    await it.send('#inject', '```\r\nQUIT\r\n```');
    await it.send('#inject', '\x01ACTION is no action\x01');
    await mallory.hears(/is no action/);
    expect(mallory.heard.every((line) => line.startsWith('#inject <safe> '))).toBe(true);
    expect([...mallory.heard.join('')].filter((each) => each < ' ' && each !== MONOSPACE)).toEqual([]);
    expect(mallory.raw.some((line) => /^:safe\S* (QUIT|PART|JOIN :?#evil)/.test(line))).toBe(false);
    for (const to of [
      '',
      ' ',
      '#',
      ':x',
      '#a,#b',
      'a b',
      '#inject\r\nQUIT',
      'x\0y',
      '$*',
      '$$irc.test',
      '*',
      '@#inject',
      'account:alice',
      '-',
      `#${'x'.repeat(300)}`,
    ]) {
      await expect(it.send(to, 'text'), to).rejects.toMatchObject({ code: 'IRC_TARGET', retryable: false, ...HINTED });
    }
    await expect(it.send('NickServ', 'DROP safe')).rejects.toMatchObject({ code: 'IRC_TARGET', ...HINTED });
    await expect(it.send('#inject', ' \x02 \r\n')).rejects.toMatchObject({ code: 'IRC_EMPTY', retryable: false });
    expect(it.status().connected).toBe(true);
    await run.stop();
  });

  it('cuts a megabyte and every script into lines that arrive whole', { timeout: 60_000 }, async () => {
    const dora = await guest('dora');
    const it = bench({ ...at(server), nick: 'long', messagesPerSecond: 1_000, messageBurst: 1_000 });
    const run = it.start();
    await it.until(() => it.status().connected === true);
    const scripts = ['日本語のとても長い文'.repeat(200), '👩‍👩‍👧‍👦'.repeat(120), 'é'.repeat(900), `ال${'عربية '.repeat(150)}`, 'Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢'.repeat(30)];
    for (const text of scripts) {
      const before = dora.heard.length;
      await it.send('dora', text);
      await it.send('dora', 'end');
      await it.until(() => dora.heard.at(-1)?.endsWith('> end') === true);
      const got = dora.heard.slice(before, -1).map((line) => line.replace('dora <long> ', ''));
      expect(got.join('').replace(/\s/g, '')).toBe(text.replace(/\s/g, ''));
      expect(got.join('')).not.toContain('\ufffd');
      if (text.startsWith('👩')) expect(got.every((line) => line.replaceAll('👩‍👩‍👧‍👦', '') === '')).toBe(true);
      dora.heard.length = 0;
    }
    await it.send('dora', 'x'.repeat(1_000_000));
    await it.send('dora', 'end');
    await it.until(() => dora.heard.at(-1)?.endsWith('> end') === true);
    expect(dora.heard.slice(0, -1).reduce((sum, line) => sum + line.length - 'dora <long> '.length, 0)).toBe(1_000_000);
    await run.stop();
  });

  it('takes another nick when its own is taken, and its own again as soon as it is free', async () => {
    const thief = await guest('popular', '#nick');
    const it = bench({ ...at(server), nick: 'popular', channels: ['#nick'] });
    const run = it.start();
    await it.until(isIn(it, '#nick'));
    expect(it.status()).toMatchObject({ nick: 'popular_' });
    thief.say('#nick', 'popular_: hello');
    await it.until(() => it.inbox.length === 1);
    expect(it.inbox[0]).toMatchObject({ text: 'hello', mentioned: true });
    thief.client.quit();
    await it.until(() => it.status().nick === 'popular', 'the nick');
    await run.stop();
  });

  it('joins again after a kick, and says why it cannot join', { timeout: 40_000 }, async () => {
    const op = await guest('op', '#kick', '#closed');
    op.client.raw('MODE', '#closed', '+k', 'sesame');
    const it = bench({ ...at(server), nick: 'kicked', channels: ['#kick', '#closed'] });
    const run = it.start();
    await it.until(isIn(it, '#kick'));
    await it.until(() => it.log.some((line) => /warn: cannot join #closed: the key is wrong/.test(line)));
    op.client.raw('KICK', '#kick', 'kicked', 'out');
    await it.until(() => !isIn(it, '#kick')());
    await it.until(isIn(it, '#kick'), 'coming back');
    await run.stop();

    const keyed = bench({ ...at(server), nick: 'keyed', channels: ['#closed'], channelKeys: { '#CLOSED': 'sesame' } });
    const keyedRun = keyed.start();
    await keyed.until(isIn(keyed, '#closed'));
    await keyedRun.stop();
  });

  it('ends with a clear error when the server goes, and tells senders whose message may be lost (RETRY-001)', async () => {
    const own = await startNgircd();
    const it = bench({ ...at(own), nick: 'orphan', messagesPerSecond: 1, messageBurst: 1 });
    const run = it.start();
    await it.until(() => it.status().connected === true);
    const sending = it.send('orphan2', 'one\n\ntwo').catch((error: unknown) => error);
    await own.kill();
    expect(await run.ended).toMatchObject({ name: 'IrcError', retryable: true, ...HINTED });
    expect(await sending).toMatchObject({ name: 'IrcError', retryable: true });
    expect(it.status()).toMatchObject({ connected: false });
    await expect(it.send('somebody', 'text')).rejects.toMatchObject({ code: 'IRC_NOT_CONNECTED', retryable: true, ...HINTED });
    expect(await it.start().ended).toMatchObject({ code: 'IRC_CONNECTION', message: expect.stringContaining('ECONNREFUSED'), retryable: true, ...HINTED });
    await own.start();
    const again = it.start();
    await it.until(() => it.status().connected === true);
    await again.stop();
    await own.remove();
  });

  it('goes on with the lines that did not arrive, and sends none twice (RETRY-003, RETRY-037)', { timeout: 40_000 }, async () => {
    const own = await startNgircd();
    const it = bench({ ...at(own), nick: 'steps', messagesPerSecond: 4, messageBurst: 5 });
    const first = it.start();
    let erin = await person(own, 'erin');
    await it.until(() => it.status().connected === true);
    const text = Array.from({ length: 10 }, (_, index) => `- step ${index}`).join('\n');
    const sending = it.send('erin', text, { idempotencyKey: 'k1' }).catch((error: unknown) => error);
    await erin.hears(/step 6/);
    const before = erin.heard.length;
    await own.kill();
    expect(await sending).toMatchObject({ retryable: true });
    await first.ended;
    await own.start();
    erin = await person(own, 'erin');
    const second = it.start();
    await it.until(() => it.status().connected === true);
    await it.send('erin', text, { idempotencyKey: 'k1' });
    await erin.hears(/step 9/);
    expect(before).toBeGreaterThanOrEqual(7);
    // five were confirmed; the one or two behind them may come again
    expect(erin.heard.map((line) => line.at(-1))).toEqual(['5', '6', '7', '8', '9']);
    await second.stop();
    erin.leave();
    await own.remove();
  });

  it('what the server refuses fails once, with its reason (RETRY-003)', async () => {
    const frank = await guest('frank', '#quiet');
    frank.client.raw('MODE', '#quiet', '+n');
    const it = bench({ ...at(server), nick: 'sender', retry: { attempts: 3, minDelayMs: 0, maxDelayMs: 0 } });
    const run = it.start();
    await it.until(() => it.status().connected === true);
    const results = await Promise.allSettled([
      it.send('nobody', 'a'),
      it.send('frank', 'b'),
      it.send('nobody', 'c'),
      it.send('#quiet', 'd'),
      it.send('#nowhere', 'e'),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'rejected', 'rejected']);
    expect(results[0]).toMatchObject({ reason: { code: 'IRC_REFUSED', retryable: false, message: expect.stringContaining('nobody'), ...HINTED } });
    expect(results[3]).toMatchObject({ reason: { code: 'IRC_REFUSED', ...HINTED } });
    await run.stop();
  });

  it('a send that is given up takes its waiting lines with it', async () => {
    const gina = await guest('gina');
    const it = bench({ ...at(server), nick: 'giver', messagesPerSecond: 5, messageBurst: 1 });
    const run = it.start();
    await it.until(() => it.status().connected === true);
    const controller = new AbortController();
    const sending = it.send('gina', 'a\n\nb\n\nc\n\nd\n\ne\n\nf', { signal: controller.signal });
    await gina.hears(/<giver> a/);
    controller.abort(new Error('given up'));
    await expect(sending).rejects.toThrow('given up');
    await it.send('gina', 'next');
    await gina.hears(/next/);
    expect(gina.heard.some((line) => line.endsWith(' f'))).toBe(false);
    await run.stop();
  });

  it('answers CTCP VERSION and PING, seldom, and nothing else', async () => {
    const hal = await guest('hal', '#ctcp');
    const it = bench({ ...at(server), nick: 'client', channels: ['#ctcp'] });
    const run = it.start();
    await it.until(isIn(it, '#ctcp'));
    for (let index = 0; index < 5; index += 1) hal.client.ctcpRequest('client', 'PING', `1${index}`);
    hal.client.ctcpRequest('#ctcp', 'VERSION');
    hal.client.ctcpRequest('client', 'FINGER');
    hal.say('client', 'done');
    await it.until(() => it.inbox.length === 1);
    await it.until(() => hal.raw.some((line) => line.includes('\x01PING 10\x01')));
    expect(hal.raw.filter((line) => line.includes('NOTICE hal')).length).toBe(1);
    expect(it.inbox).toMatchObject([{ text: 'done' }]);
    await run.stop();
  });

  it('logs in with the password of the server, and says what is wrong with another', async () => {
    const good = bench({ ...at(secured), nick: 'member', password: 'let me in' });
    const run = good.start();
    await good.until(() => good.status().connected === true);
    await run.stop();
    const bad = bench({ ...at(secured), nick: 'member', password: 'wrong-secret' });
    const error = await bad.start().ended;
    expect(error).toMatchObject({ code: 'IRC_PASSWORD', hint: expect.stringContaining('channels.irc.password') });
    expect(`${String(error)}${bad.log.join()}`).not.toContain('wrong-secret');
    const none = bench({ ...at(server), nick: 'member', sasl: { password: 'sasl-secret' } });
    expect(await none.start().ended).toMatchObject({ code: 'IRC_SASL_MISSING', ...HINTED });
  });

  it('trusts a certificate that is named, by file or fingerprint, and no other', async () => {
    const tls = { host: 'localhost', port: secured.tlsPort, tls: true, nick: 'crypt', password: 'let me in' };
    for (const trust of [
      { caFile: secured.certificateFile },
      { tlsFingerprint: secured.fingerprint },
      { tlsFingerprint: secured.fingerprint.replaceAll(':', '').toLowerCase() },
    ]) {
      const it = bench({ ...tls, ...trust });
      const run = it.start();
      await it.until(() => it.status().connected === true);
      await run.stop();
    }
    const greeter = await lineServer((line) => line(':irc.test NOTICE * :*** looking up your host name'));
    const refused = await Promise.all([
      bench(tls).start().ended,
      bench({ ...tls, tlsFingerprint: 'ab'.repeat(32) }).start().ended,
      bench({ ...tls, caFile: server.certificateFile }).start().ended,
      bench({ ...tls, caFile: '/nowhere.pem' }).start().ended,
      bench({ ...tls, port: greeter.port }).start().ended,
    ]);
    expect(refused).toMatchObject([
      { code: 'IRC_CERTIFICATE', hint: expect.stringContaining('caFile') },
      { code: 'IRC_FINGERPRINT', ...HINTED },
      { code: 'IRC_CERTIFICATE' },
      { code: 'IRC_CA_FILE', ...HINTED },
      { code: 'IRC_TLS', ...HINTED },
    ]);
    greeter.close();
    expect(String(refused[1])).toContain(secured.fingerprint);
    // the password was never sent to a server that is not the named one
    expect(secured.output()).not.toContain('let me in');
  });

  it('probes without disturbing the account that is connected', async () => {
    const it = bench({ ...at(server), nick: 'probed' });
    const run = it.start();
    await it.until(() => it.status().connected === true);
    const probe = (settings: object, timeoutMs = 10_000) => {
      const cfg = { channels: { irc: { tls: false, ...settings } } };
      return it.irc.status?.probeAccount?.({ account: it.irc.config.resolveAccount(cfg), cfg, timeoutMs });
    };
    expect(await probe({ ...at(server), nick: 'probed' })).toMatchObject({ ok: true, identity: { name: 'probed' }, server: 'irc.test' });
    expect(await probe({ ...at(secured), nick: 'probed' })).toMatchObject({ ok: false, error: expect.stringMatching(/password/) });
    expect(await probe({ host: '127.0.0.1', port: 1, nick: 'probed' })).toMatchObject({ ok: false, error: expect.stringContaining('ECONNREFUSED') });
    expect(await probe({ host: '', nick: 'probed' })).toMatchObject({ ok: false, error: expect.stringContaining('has no host') });
    expect(it.status()).toMatchObject({ connected: true, nick: 'probed' });
    await run.stop();
  });

  it('runs several accounts side by side', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'durar-irc-'));
    const it = bench({ ...at(server), accounts: { one: { nick: 'first' }, two: { nick: 'second', enabled: true } }, defaultAccount: 'two' });
    const runs = [it.start('one'), it.start('two')];
    const ivan = await guest('ivan');
    for (const nick of ['first', 'second']) await it.until(() => it.log.some((line) => line.endsWith(`as ${nick}`)));
    await it.send('ivan', 'from one', { accountId: 'one' });
    await it.send('ivan', 'from the default');
    await ivan.hears(/<first> from one/);
    await ivan.hears(/<second> from the default/);
    await Promise.all(runs.map(({ stop }) => stop()));
    await rm(folder, { recursive: true });
  });
});

/** A server that says what it is told to, and answers nothing. */
async function lineServer(
  greet: (line: (text: string | Buffer) => void, heard: (pattern: RegExp) => Promise<void>) => unknown,
): Promise<{ port: number; close(): void }> {
  const server = createServer((socket) => {
    let heard = '';
    socket.on('data', (bytes) => (heard += String(bytes)));
    socket.on('error', () => undefined);
    greet(
      (text) => void socket.write(typeof text === 'string' ? `${text}\r\n` : text),
      async (pattern) => {
        while (!pattern.test(heard) && !socket.destroyed) await new Promise((resolve) => setTimeout(resolve, 10));
      },
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as { port: number }).port, close: () => void server.close() };
}

describe('against a server that means harm', () => {
  /** A server that welcomes and then says something. */
  const welcoming = (...lines: Array<string | Buffer>) =>
    lineServer(async (line, heard) => {
      await heard(/USER /);
      line(':evil 001 durar :hi');
      for (const each of lines) line(each);
    });

  it.each([
    ['a login without a name', ':evil 900 durar'],
    ['capabilities without any', ':evil CAP * ACK'],
    ['options that are none', ':evil 005 durar CHANTYPES PREFIX CHANMODES :x'],
    ['a batch without a name', ':evil BATCH'],
    ['a mode of nothing', ':evil MODE'],
    ['a message to nobody', ':x!y@z PRIVMSG'],
    ['a kick of nobody', ':x!y@z KICK'],
    ['a join of nothing', ':x!y@z JOIN'],
  ])('%s ends at most its own connection', async (_name, line) => {
    const server = await welcoming(line, ':x!y@z PRIVMSG durar :still here');
    const it = bench({ host: '127.0.0.1', port: server.port, nick: 'durar' });
    const run = it.start();
    const ended = await Promise.race([run.ended, it.until(() => it.inbox.length === 1, line).then(() => 'alive')]);
    if (ended !== 'alive') expect(ended).toMatchObject({ code: 'IRC_PROTOCOL', retryable: true });
    await run.stop();
    server.close();
  });

  it('keeps no line that has no end, and reads what is no UTF-8', async () => {
    const latin = Buffer.concat([Buffer.from(':x!y@z PRIVMSG durar :caf'), Buffer.from([0xe9]), Buffer.from('\r\n')]);
    const server = await welcoming(
      `:x!y@z PRIVMSG durar :${'x'.repeat(1_000_000)}`,
      latin,
      ':x!y@z PRIVMSG durar :\x01\x02\x03 \u202e\ufeff\x7f!',
      ':x!y@z PRIVMSG durar :\x02\x02',
    );
    const it = bench({ host: '127.0.0.1', port: server.port, nick: 'durar' });
    const run = it.start();
    await it.until(() => it.inbox.length === 2);
    expect(it.inbox.map(({ text }) => text)).toEqual(['café', '\u202e\ufeff!']);
    await run.stop();
    server.close();
  });

  it('takes no message without a sender, from itself, for somebody else or for operators only', async () => {
    const server = await welcoming(
      ':evil 005 durar STATUSMSG=@+ :are supported',
      ':evil PRIVMSG durar :from the server',
      ':x PRIVMSG durar :no host',
      ':durar!y@z PRIVMSG durar :from itself',
      ':x!y@z PRIVMSG other :for somebody else',
      ':x!y@z PRIVMSG @#durar :for operators',
      ':NickServ!y@z PRIVMSG durar :a service',
      ':x!y@z NOTICE durar :a notice',
      ':x!y@z PRIVMSG durar :good',
    );
    const it = bench({ host: '127.0.0.1', port: server.port, nick: 'durar' });
    const run = it.start();
    await it.until(() => it.inbox.length > 0);
    expect(it.inbox.map(({ text }) => text)).toEqual(['good']);
    await run.stop();
    server.close();
  });

  it('a probe of a server that says nothing ends in time', async () => {
    const server = await lineServer(() => undefined);
    const it = bench({ host: '127.0.0.1', port: server.port, nick: 'durar' });
    const probe = await it.irc.status?.probeAccount?.({ account: it.irc.config.resolveAccount(it.cfg), cfg: it.cfg, timeoutMs: 200 });
    expect(probe).toMatchObject({ ok: false, error: expect.stringContaining('within 200 ms') });
    const run = it.start();
    await run.stop();
    expect(await run.ended).toBeUndefined();
    server.close();
  });

  it('answers nothing anew that is played back without an id', async () => {
    const server = await welcoming(
      ':evil BATCH +1 znc.in/playback durar',
      '@batch=1 :x!y@z PRIVMSG durar :of yesterday',
      '@batch=1;msgid=a7 :x!y@z PRIVMSG durar :with an id',
      ':evil BATCH -1',
      '@time=2020-01-01T00:00:00.000Z :x!y@z PRIVMSG durar :of last year',
      ':evil 005 durar CASEMAPPING=rfc1459 :are supported',
      ':x!y@z PRIVMSG #Lab[1] :now',
    );
    const it = bench({ host: '127.0.0.1', port: server.port, nick: 'durar' });
    const run = it.start();
    await it.until(() => it.inbox.length === 2);
    expect(it.inbox).toMatchObject([
      { text: 'with an id', messageId: 'a7' },
      { text: 'now', conversationId: '#lab{1}', conversationAliases: ['#Lab[1]'] },
    ]);
    await run.stop();
    server.close();
  });

  it.each([
    ['ERROR :Closing Link: (Throttled: Reconnecting too fast)', { code: 'IRC_CLOSED', retryable: true, hint: expect.stringContaining('pause') }],
    ['ERROR :Closing link: (Excess Flood)', { code: 'IRC_CLOSED', hint: expect.stringContaining('messagesPerSecond') }],
    ['ERROR :K-Lined', { code: 'IRC_CLOSED', hint: expect.stringContaining('ban') }],
    [':evil 465 durar :You are banned', { code: 'IRC_BANNED', retryable: false }],
    [':evil 464 durar :Password incorrect', { code: 'IRC_PASSWORD', retryable: false }],
    [':evil 432 durar durar :Erroneous nickname', { code: 'IRC_NICK', retryable: false }],
  ])('explains %s', async (said, expected) => {
    const server = await lineServer(async (line, heard) => {
      await heard(/USER /);
      line(said);
      line('ERROR :bye');
    });
    const it = bench({ host: '127.0.0.1', port: server.port, nick: 'durar' });
    const run = it.start();
    expect(await run.ended).toMatchObject(expected);
    expect(it.status()).toMatchObject({ connected: false, hint: expect.any(String) });
    server.close();
  });
});
