import { renderMarkdown } from 'Durar/plugin-sdk/markdown';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { compileIssues } from '../../../core/manifest/validator.ts';
import { checkAccount, defaultAccountId, isConfigured, listAccountIds, resolveAccount, sendsOpenPassword } from './account.ts';
import { BOLD, ITALIC, ircDialect, MONOSPACE, plain, STRIKE } from './formatting.ts';
import { createLineQueue } from './line-queue.ts';
import { textBytes, toLines } from './lines.ts';
import { mentions, withoutAddress } from './mention.ts';
import { entryProblem, matchesEntry, normalizeEntry, senderAliases, senderId } from './sender.ts';
import { setup } from './setup.ts';
import { parseTarget } from './target.ts';

const manifest = JSON.parse(readFileSync(new URL('Durar.plugin.json', import.meta.url), 'utf8')) as {
  channelConfigs: { irc: { schema: Record<string, unknown> } };
};
const config = (irc: object) => ({ channels: { irc } });

describe('accounts', () => {
  const base = { host: 'irc.one', nick: 'bot', password: 'p', sasl: { username: 'u', password: 's' }, channels: ['#a'] };

  it('are named, else default; what they do not set they inherit', () => {
    expect(listAccountIds({})).toEqual(['default']);
    const both = config({ ...base, accounts: { work: { nick: 'worker', sasl: { username: 'w' } }, home: { enabled: false } }, defaultAccount: 'home' });
    expect(listAccountIds(both)).toEqual(['work', 'home']);
    expect(defaultAccountId(both)).toBe('home');
    expect(defaultAccountId(config({ accounts: { a: {}, default: {} }, defaultAccount: 'gone' }))).toBe('default');
    expect(resolveAccount(both, 'work', {})).toMatchObject({
      ...{ host: 'irc.one', port: 6697, tls: true, nick: 'worker', realname: 'worker', enabled: true, password: 'p' },
      ...{ sasl: { username: 'w', password: 's' }, channels: [{ name: '#a' }], messagesPerSecond: 1, messageBurst: 5, retry: { attempts: 3, minDelayMs: 500 } },
    });
    expect(resolveAccount(both, 'home', {}).enabled).toBe(false);
    expect(resolveAccount(config({ ...base, enabled: false, accounts: { a: {} } }), 'a', {}).enabled).toBe(false);
  });

  it('take no password to another server', () => {
    const other = resolveAccount(config({ ...base, nickserv: { password: 'n' }, tlsFingerprint: 'ab', accounts: { b: { host: 'irc.two' } } }), 'b', {});
    expect(other).toMatchObject({ host: 'irc.two', nick: 'bot', channels: [] });
    for (const key of ['password', 'sasl', 'nickserv', 'tlsFingerprint']) expect(other).not.toHaveProperty(key);
  });

  it('default takes from the environment what is set nowhere, no other account does', () => {
    const env = {
      ...{ IRC_HOST: 'irc.env', IRC_PORT: '7000', IRC_TLS: 'no', IRC_NICK: 'envbot', IRC_USERNAME: 'user', IRC_REALNAME: 'Real Name', IRC_PASSWORD: 'pw' },
      ...{ IRC_CHANNELS: '#x, #y', IRC_SASL_PASSWORD: 'sp', IRC_NICKSERV_PASSWORD: 'np', IRC_NICKSERV_REGISTER_EMAIL: 'a@b.c' },
    };
    expect(resolveAccount({}, 'default', env)).toMatchObject({
      ...{ host: 'irc.env', port: 7000, tls: false, nick: 'envbot', username: 'user', realname: 'Real Name', password: 'pw' },
      ...{ channels: [{ name: '#x' }, { name: '#y' }], sasl: { username: 'envbot', password: 'sp' } },
      nickserv: { service: 'NickServ', password: 'np', register: true, email: 'a@b.c' },
    });
    expect(resolveAccount(config({ host: 'irc.set', port: 1, tls: true, nickserv: { password: 'own' } }), 'default', env)).toMatchObject({
      ...{ host: 'irc.set', port: 1, tls: true, nick: 'envbot', nickserv: { password: 'own' } },
    });
    expect(isConfigured(resolveAccount(config({ accounts: { b: {} } }), 'b', env))).toBe(false);
    expect(resolveAccount({}, 'default', { IRC_PORT: 'x', IRC_HOST: 'h' }).port).toBe(6697);
  });

  it('are checked before anything is sent', () => {
    const check = (more: object) => () => checkAccount(resolveAccount(config({ ...base, ...more }), 'default', {}));
    expect(check({})).not.toThrow();
    const wrong = [
      ...[{ nick: '' }, { host: '' }, { nick: 'a b' }, { nick: 'a\r\nQUIT' }, { password: 'a\nb' }, { username: 'x y' }, { realname: 'x\ny' }],
      ...[
        { channels: ['#'] },
        { channels: ['#a,#b'] },
        { channels: ['#a'], channelKeys: { '#A': 'x y' } },
        { nickserv: { password: 'a b' } },
        { sasl: { password: 'x\0' } },
      ],
    ];
    for (const each of wrong) {
      let thrown: unknown;
      try {
        check(each)();
      } catch (error) {
        thrown = error;
      }
      expect(thrown, JSON.stringify(each)).toMatchObject({ code: 'IRC_SETTINGS', retryable: false, hint: expect.stringMatching(/channels\.irc/) });
    }
    expect(sendsOpenPassword(resolveAccount(config({ ...base, tls: false })))).toBe(true);
    expect(sendsOpenPassword(resolveAccount(config({ ...base, tls: false, host: '127.0.0.1' })))).toBe(false);
    expect(sendsOpenPassword(resolveAccount(config(base)))).toBe(false);
  });

  it('fit the schema of the manifest, and what makes no sense does not (RETRY-031)', () => {
    const issues = compileIssues(manifest.channelConfigs.irc.schema);
    const reference = { source: 'env', provider: 'default', id: 'X' };
    const good = {
      ...base,
      password: reference,
      channelKeys: { '#a': reference },
      groups: { '#a': { requireMention: false } },
      accounts: { b: { nick: 'x', retry: { attempts: 1 } } },
    };
    expect(issues(good)).toBeUndefined();
    for (const bad of [
      { port: 0 },
      { nick: 'a b' },
      { retry: { attempts: 'x' } },
      { sasl: { mechanism: 'EXTERNAL' } },
      { prot: 1 },
      { accounts: { 'a b': {} } },
      { tlsFingerprint: 'x' },
    ]) {
      expect(issues({ ...base, ...bad }), JSON.stringify(bad)).toBeDefined();
    }
  });

  it('are asked for by channels add', () => {
    const input = { host: 'irc.test', nick: 'bot', port: '6667', tls: 'no', channels: '#a, #b', saslPassword: 's' };
    expect(setup.validateInput?.(input)).toBeUndefined();
    expect(setup.accountConfig(input)).toEqual({ host: 'irc.test', nick: 'bot', port: 6667, tls: false, channels: ['#a', '#b'], sasl: { password: 's' } });
    for (const bad of [{ host: 'a b' }, { nick: '#x' }, { port: '70000' }, { channels: '#' }, { tls: 'perhaps' }]) {
      expect(setup.validateInput?.({ ...input, ...bad })).toMatch(/\.$/);
    }
  });
});

describe('people', () => {
  const sender = { nick: 'Alice', user: '~al', host: 'Dial.Example.NET' };

  it('are named by nick, user and host together, by the account, and by masks that fit', () => {
    expect(senderId(sender)).toBe('alice!~al@dial.example.net');
    const masks = [
      '*!*@*.example.net',
      'alice!~al@*.net',
      'bob!*@*.example.net',
      'alice',
      '*',
      '*!*@*',
      'alice!*@*.*',
      'irc:ALICE!*@dial.*',
      '?????!~al@dial.example.net',
    ];
    expect(senderAliases({ ...sender, account: 'Al' })).toEqual(['account:al']);
    expect(senderAliases(sender)).toEqual([]);
    const fitting = ['*!*@*.example.net', 'alice!~al@*.net', 'irc:ALICE!*@dial.*', '?????!~al@dial.example.net'];
    expect(masks.filter((mask) => matchesEntry(mask, senderId(sender)))).toEqual(fitting);
    // wildcards in what somebody calls themselves fit nobody else
    expect(matchesEntry('alice!~al@dial.example.net', '*!*@*')).toBe(false);
  });

  it('two never become one: brackets and letters beyond ASCII stay as they are', () => {
    expect(normalizeEntry(' irc:Foo[1]!U@H ')).toBe('foo[1]!u@h');
    expect(normalizeEntry('\u212a!u@h')).not.toBe(normalizeEntry('k!u@h'));
    expect(senderId({ ...sender, nick: 'a[' })).not.toBe(senderId({ ...sender, nick: 'a{' }));
  });

  it('a nick alone names nobody, and says so', () => {
    for (const entry of ['alice', '@alice', 'alice!*@*', '*!*@*', 'alice!al', 'account:']) expect(entryProblem(entry), entry).toContain('counts for nobody');
    for (const entry of ['*', 'account:alice', 'alice!al@host', '*!*@host', 'irc:*!*@*.example.net']) expect(entryProblem(entry), entry).toBeUndefined();
  });

  it('a mask that is made to be slow is not', () => {
    const hostile = { nick: 'a'.repeat(5_000), user: 'a'.repeat(5_000), host: 'b' };
    expect(matchesEntry(`${'*a'.repeat(200)}!*@c.d`, senderId(hostile))).toBe(false);
  });
});

describe('mentions', () => {
  const lower = (text: string) => text.toLowerCase().replaceAll('[', '{').replaceAll(']', '}').replaceAll('\\', '|').replaceAll('^', '~');

  it.each(['durar: hi', 'DURAR, hi', 'hi durar', 'hi (durar)!', '@durar hi', 'hi durar?', 'durar', '„durar“ said'])('%s is one', (text) => {
    expect(mentions(text, 'Durar', lower)).toBe(true);
  });

  it.each(['durarium', 'xdurar', 'durar_', '[durar]', 'durar-bot', 'dürar', 'durarß', '', 'dur ar'])('%s is none', (text) => {
    expect(mentions(text, 'Durar', lower)).toBe(false);
  });

  it('brackets are letters where the network says so', () => {
    expect(mentions('hello bot{}', 'Bot[]', lower)).toBe(true);
    expect(mentions('hello', '', lower)).toBe(false);
  });

  it('the address is taken away, the rest stays', () => {
    expect(withoutAddress('Durar: /status', 'durar', lower)).toBe('/status');
    expect(withoutAddress('@durar,  hi', 'durar', lower)).toBe('hi');
    for (const text of ['durar hi', 'durar:', 'durarium: hi', 'hi durar: x']) expect(withoutAddress(text, 'durar', lower)).toBe(text);
  });
});

describe('text', () => {
  it('Markdown becomes formats', () => {
    const markdown =
      '# Head **two**\n\nsome **bold _both_**, *it*, ~~gone~~, `code` [here](https://a.b)\n\n```ts\nlet a;\n\nlet b;\n```\n\n> said\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |';
    expect(
      renderMarkdown(markdown, ircDialect('code'))
        .split('\n')
        .filter((line) => line !== ''),
    ).toEqual([
      `${BOLD}Head two${BOLD}`,
      `some ${BOLD}bold ${ITALIC}both${ITALIC}${BOLD}, ${ITALIC}it${ITALIC}, ${STRIKE}gone${STRIKE}, ${MONOSPACE}code${MONOSPACE} here (https://a.b)`,
      ...[`${MONOSPACE}let a;${MONOSPACE}`, `${MONOSPACE}let b;${MONOSPACE}`, '> said', '• one', '• two'],
      ...['a | b', '--|--', '1 | 2'].map((line) => MONOSPACE + line + MONOSPACE),
    ]);
  });

  it('nothing of what comes in or goes out keeps a control character', () => {
    expect(plain('\x0304,05red\x03 \x02b\x02 \x1du\x0f \x04ff00ff,00ff00hex\x00\x01\x7f\x85\u2028 ok\r\nnext\tx')).toBe('red b u hex ok\nnext\tx');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        for (const line of toLines(renderMarkdown(text, ircDialect('code')), 200)) {
          // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
          expect(line.replace(/[\x02\x1d\x11\x1e\t]/g, '')).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is cut by bytes, never inside a character, and loses nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), fc.integer({ min: 64, max: 450 }), (text, bytes) => {
        const lines = toLines(text, bytes);
        for (const line of lines) {
          expect(Buffer.byteLength(line)).toBeLessThanOrEqual(bytes);
          expect(line).not.toMatch(/[\r\n\0]/);
          expect(line.isWellFormed()).toBe(true);
        }
        expect(lines.join('').replace(/[\s\0]/g, '')).toBe(text.replace(/[\s\0]/g, ''));
      }),
      { numRuns: 300 },
    );
    for (const each of ['👍🏽', '🇦🇪', '👩‍👩‍👧‍👦', 'e\u0301'])
      expect(toLines(each.repeat(300), 100).every((line) => line.replaceAll(each, '') === '')).toBe(true);
    expect(toLines('one\n\n \n two\r\nthree', 100)).toEqual(['one', ' two', 'three']);
    expect(toLines('', 100)).toEqual([]);
  });

  it('a format that is on at a cut is on again behind it, and off at the end of each line', () => {
    const lines = toLines(`${BOLD}${'word '.repeat(40)}${BOLD}plain`, 80);
    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(new RegExp(`^${BOLD}.*${BOLD}$`));
    expect(lines.at(-1)).toMatch(new RegExp(`^${BOLD}[^${BOLD}]*${BOLD}plain$`));
  });

  it('leaves room for the longest prefix that the server may put before it', () => {
    const limits = { line: 512, user: 10, host: 63 };
    const bytes = textBytes({ nick: 'durar', user: 'durar', host: undefined, target: '#lab', limits });
    expect(Buffer.byteLength(`:durar!${'u'.repeat(11)}@${'h'.repeat(63)} PRIVMSG #lab :${'x'.repeat(bytes)}\r\n`)).toBe(512);
  });

  it('goes to channels and people only', () => {
    for (const [to, target] of [
      ['#a', '#a'],
      ['irc:#A', '#A'],
      ['channel:&b', '&b'],
      ['alice', 'alice'],
      ['user:Alice', 'Alice'],
      ['al[1]!u@h', 'al[1]'],
      ['irc:x', 'x'],
    ]) {
      expect(parseTarget(to ?? '')).toBe(target);
    }
    expect(() => parseTarget('ChanServ')).toThrow(/service/);
    expect(() => parseTarget('Q', { service: 'Q@CServe.quakenet.org' })).toThrow(/service/);
  });
});

describe('the line queue', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('lets a burst out, then so many a second; targets take turns, each in its order', () => {
    vi.useFakeTimers();
    const out: string[] = [];
    const queue = createLineQueue({ perSecond: 2, burst: 3, write: (target, line) => out.push(target + line) });
    for (let index = 0; index < 4; index += 1) queue.push('a', String(index), () => undefined);
    const dropped = queue.push('b', 'x', () => undefined);
    queue.push('b', '0', () => undefined);
    queue.drop(dropped);
    vi.advanceTimersByTime(10);
    expect(out).toEqual(['a0', 'b0', 'a1']);
    vi.advanceTimersByTime(510);
    expect(out).toEqual(['a0', 'b0', 'a1', 'a2']);
    expect(queue.size).toBe(1);
    vi.advanceTimersByTime(600);
    expect(out.at(-1)).toBe('a3');
    queue.push('a', 'late', () => undefined);
    queue.clear();
    vi.advanceTimersByTime(5_000);
    expect(out).toHaveLength(5);
  });
});
