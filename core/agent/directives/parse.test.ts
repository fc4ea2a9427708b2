import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHAT_COMMAND_NAMES } from '../../../sdk/chat-commands.ts';
import { readLevel } from './levels.ts';
import { type ParsedMessage, parseMessage, splitCommand } from './parse.ts';
import { readQueueSetting } from './queue-setting.ts';
import { isStopWord } from './stop-words.ts';

const parse = (message: string) => parseMessage(message, (word) => word.toLowerCase() === 'fast');
const plain: ParsedMessage = { kind: 'plain' };
const command = (name: string, args = '') => ({ kind: 'command', name, args });
const only = (...directives: object[]) => ({ kind: 'directives', directives, shortcuts: [] });
const text = (rest: string, directives: object[], shortcuts: string[] = []) => ({ kind: 'text', text: rest, directives, shortcuts });

describe('a message', () => {
  it.each<[string, object]>([
    ['hello', plain],
    ['', plain],
    ['/', plain],
    ['/newer', plain],
    ['read /etc/model/x and /usr/think.md', plain],
    ['https://example.org/think', plain],
    ['see http://x/model high', plain],
    ['a/think high', plain],
    ['/home/me/notes', plain],
    ['/config show', plain],
    ['/status', command('status')],
    ['  /STATUS  ', command('status')],
    ['/status:', command('status')],
    ['/id', command('whoami')],
    ['/compact', command('compact')],
    ['/compact: keep the names', command('compact', 'keep the names')],
    ['/compact keep\nboth lines', command('compact', 'keep\nboth lines')],
    ['/usage tokens', command('usage', 'tokens')],
    ['/new offline/echo hello', command('new', 'offline/echo hello')],
    ['/stop', command('stop')],
    ['please /compact this', plain],
    ['/think', only({ name: 'think' })],
    ['/t high', only({ name: 'think', value: 'high' })],
    ['/thinking: HIGH', only({ name: 'think', value: 'high' })],
    ['/think:high', only({ name: 'think', value: 'high' })],
    ['/think extra high', only({ name: 'think', value: 'xhigh' })],
    ['/think x-high', only({ name: 'think', value: 'xhigh' })],
    ['/think max', only({ name: 'think', value: 'high' })],
    ['/think banana', only({ name: 'think', unknown: 'banana' })],
    ['/think constructor', only({ name: 'think', unknown: 'constructor' })],
    ['/v full', only({ name: 'verbose', value: 'full' })],
    ['/reason stream', only({ name: 'reasoning', value: 'stream' })],
    ['/elev ask', only({ name: 'elevated', value: 'ask' })],
    ['/model list', only({ name: 'model', value: 'list' })],
    ['/model openai/gpt-5@work', only({ name: 'model', value: 'openai/gpt-5@work' })],
    ['/queue', only({ name: 'queue' })],
    ['/queue collect debounce:2s cap:25 drop:summarize', only({ name: 'queue', value: { mode: 'collect', debounceMs: 2000, cap: 25, drop: 'summarize' } })],
    ['/queue reset', only({ name: 'queue', value: { clear: true } })],
    ['/queue fast', only({ name: 'queue', unknown: 'fast' })],
    ['/queue cap:0', only({ name: 'queue', unknown: 'cap:0' })],
    ['/queue collect debounce:2s cap:-1 drop:old', only({ name: 'queue', unknown: 'cap:-1' })],
    ['/queue debounce:x cap:3', only({ name: 'queue', unknown: 'debounce:x' })],
    ['/think high /verbose on', only({ name: 'think', value: 'high' }, { name: 'verbose', value: 'on' })],
    ['/think about the sea', text('about the sea', [{ name: 'think' }])],
    ['fix this /think high', text('fix this', [{ name: 'think', value: 'high' }])],
    ['fix /think high this', text('fix this', [{ name: 'think', value: 'high' }])],
    ['fix this /think:low please', text('fix this please', [{ name: 'think', value: 'low' }])],
    ['one\n/verbose on\ntwo', text('one\n\ntwo', [{ name: 'verbose', value: 'on' }])],
    ['one /think\nhigh tide', text('one \nhigh tide', [{ name: 'think' }])],
    ['go /model openai/gpt-5@work now', text('go now', [{ name: 'model', value: 'openai/gpt-5@work' }])],
    ['go /model fast now', text('go now', [{ name: 'model', value: 'fast' }])],
    ['go /model now', text('go now', [{ name: 'model' }])],
    ['go /queue steer cap:3 now', text('go now', [{ name: 'queue', value: { mode: 'steer', cap: 3 } }])],
    ['go /fast on now', text('go now', [{ name: 'fast', value: 'on' }])],
    ['/fast status', { kind: 'directives', directives: [{ name: 'fast' }], shortcuts: [] }],
    ['go /exec ask=always host=gateway now', text('go now', [{ name: 'exec', value: { ask: 'always', host: 'gateway' } }])],
    ['/exec security=open', { kind: 'directives', directives: [{ name: 'exec', unknown: 'security=open' }], shortcuts: [] }],
    ['/exec default', { kind: 'directives', directives: [{ name: 'exec', value: { clear: true } }], shortcuts: [] }],
    ['go /elevated full', text('go', [{ name: 'elevated', value: 'full' }])],
    ['go /reasoning on', text('go', [{ name: 'reasoning', value: 'on' }])],
    ['hey /status', text('hey', [], ['status'])],
    ['/status please', text('please', [], ['status'])],
    ['hey /status and /help and /status', text('hey and and', [], ['status', 'help'])],
    ['/think low /status', { kind: 'directives', directives: [{ name: 'think', value: 'low' }], shortcuts: ['status'] }],
  ])('%j is read as it is meant (CTX-075, CTX-076, CTX-077, CTX-078, CTX-079, CTX-080, CTX-081)', (message, expected) => {
    expect(parse(message)).toEqual(expected);
  });

  const word = fc.oneof(
    fc.constantFrom(...CHAT_COMMAND_NAMES.map((name) => `/${name}`), '/', ':', 'high', 'collect', 'cap:2', 'debounce:5m', 'a/b@c', '\n', '://', '/x'),
    fc.string({ maxLength: 8, unit: 'grapheme' }),
  );
  const message = fc.array(word, { maxLength: 12 }).chain((words) => fc.constantFrom(' ', '', '\n', '\t').map((by) => words.join(by)));

  it('of any shape is read without a fault, and only words of the gateway leave it', () => {
    fc.assert(
      fc.property(message, (given) => {
        const parsed = parse(given);
        if (parsed.kind !== 'text') return;
        expect(parsed.text.trim()).toBe(parsed.text);
        expect(parsed.text).not.toBe('');
        // what is left stands in the message in the same order
        let at = 0;
        for (const part of parsed.text.split(/\s+/)) {
          at = given.indexOf(part, at);
          expect(at).toBeGreaterThanOrEqual(0);
          at += part.length;
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('without a slash is never touched', () => {
    fc.assert(
      fc.property(
        fc.string().filter((given) => !given.includes('/')),
        (given) => parse(given).kind === 'plain',
      ),
    );
  });

  it('is read in a time that grows with its length, whatever it says', () => {
    for (const part of ['/think ', '/queue cap:1 ', '/model a/b@c ', ' /', '/status ', '\n/t\n']) {
      const long = part.repeat(20_000);
      expect(['text', 'directives', 'plain', 'command']).toContain(parse(long).kind);
    }
  }, 20_000);
});

describe('values', () => {
  it.each([
    ['2s', 2000],
    ['250ms', 250],
    ['250', 250],
    ['1.5s', 1500],
    ['1m', 60_000],
  ])('a debounce of %s is %d ms', (given, debounceMs) => expect(readQueueSetting(`debounce:${given}`)?.value).toEqual({ debounceMs }));

  it.each(['cap:0', 'cap:-1', 'cap:x', 'drop:all', 'debounce:soon', 'debounce:', 'toString', 'steer steer'])('%s is no queue setting by itself', (given) =>
    expect(readQueueSetting(given)?.length).not.toBe(given.length),
  );

  it('steer+backlog is steer-backlog', () => expect(readQueueSetting('steer+backlog')?.value).toEqual({ mode: 'steer-backlog' }));

  it('levels know their synonyms and nothing inherited', () => {
    expect(readLevel('verbose', 'enable')?.value).toBe('on');
    expect(readLevel('think', '__proto__')).toBeUndefined();
  });
});

it('splits a whole command', () => {
  expect(splitCommand('/Acme  one two')).toEqual({ name: 'acme', args: 'one two' });
  expect(splitCommand('say /acme')).toBeUndefined();
});

it.each(['/stop', 'Stop', ' please  stop! ', 'ABORT', 'остановись', '停止。'])('%j stops what is running', (given) => expect(isStopWord(given)).toBe(true));
it.each(['stop it now', 'do not stop', 'stops', ''])('%j does not', (given) => expect(isStopWord(given)).toBe(false));
