import { describe, expect, it } from 'vitest';
import { formatConsoleLine, type Line, shortPrefix, subsystemColour, wantsColour } from './console.ts';

const line: Line = { level: 'info', time: new Date(2026, 0, 2, 3, 4, 5).getTime(), subsystem: 'gateway/ws', message: 'hello', fields: { ms: 3, who: 'a b' } };

describe('shortPrefix', () => {
  it.each([
    ['gateway', 'gateway'],
    ['gateway/ws', 'ws'],
    ['channels/whatsapp/outbound', 'whatsapp/outbound'],
    ['gateway/channels/whatsapp/outbound', 'whatsapp/outbound'],
    ['a/b/c', 'b/c'],
    ['agent/gateway', 'agent/gateway'],
  ])('%s prints %s (LOG-060, LOG-061)', (subsystem, prefix) => expect(shortPrefix(subsystem)).toBe(prefix));
});

describe('wantsColour', () => {
  it.each([
    ['a terminal (LOG-057)', {}, true, true],
    ['a pipe', {}, false, false],
    ['a pipe with COLORTERM (LOG-058)', { COLORTERM: 'truecolor' }, false, true],
    ['a pipe with TERM_PROGRAM (LOG-058)', { TERM_PROGRAM: 'vscode' }, false, true],
    ['a pipe with TERM (LOG-058)', { TERM: 'xterm-256color' }, false, true],
    ['a pipe with an empty TERM', { TERM: '' }, false, false],
    ['a terminal with TERM=dumb', { TERM: 'dumb' }, true, false],
    ['a terminal with NO_COLOR (LOG-059)', { NO_COLOR: '1' }, true, false],
    ['a rich pipe with NO_COLOR (LOG-059)', { NO_COLOR: '1', COLORTERM: 'truecolor' }, false, false],
  ])('%s', (_name, env, terminal, wanted) => expect(wantsColour(env, terminal)).toBe(wanted));
});

describe('formatConsoleLine', () => {
  it('pretty: time, prefix, message, fields (LOG-054, LOG-064)', () => {
    expect(formatConsoleLine(line, 'pretty', false)).toBe('03:04:05 [ws] hello ms=3 who="a b"');
  });
  it('compact: no time (LOG-064)', () => expect(formatConsoleLine(line, 'compact', false)).toBe('[ws] hello ms=3 who="a b"'));
  it('json: every line parses and keeps the whole subsystem (LOG-025, LOG-064)', () => {
    const circular: Record<string, unknown> = { big: 1n, error: new Error('no') };
    circular.self = circular;
    expect(JSON.parse(formatConsoleLine({ ...line, message: 'two\nlines', fields: circular }, 'json', true))).toEqual({
      big: '1',
      error: 'no',
      self: { big: '1', error: 'no', self: '[Circular]' },
      time: new Date(line.time).toISOString(),
      level: 'info',
      subsystem: 'gateway/ws',
      message: 'two\nlines',
    });
  });
  it('a value that stands twice is not called circular', () => {
    const shared = { a: 1 };
    expect(formatConsoleLine({ ...line, fields: { v: { x: shared, y: shared } } }, 'compact', false)).toBe('[ws] hello v={"x":{"a":1},"y":{"a":1}}');
  });
  it('names warnings and errors and colours them apart from info (LOG-056)', () => {
    const texts = (['info', 'warn', 'error'] as const).map((level) => formatConsoleLine({ ...line, level, fields: {} }, 'compact', true));
    expect(texts[1]).toContain('\u001b[33mwarn: hello');
    expect(texts[2]).toContain('\u001b[31merror: hello');
    expect(texts[0]).not.toMatch(/\[3[13]m/);
  });
  it('gives a subsystem one colour, and different subsystems different ones (LOG-055)', () => {
    expect(subsystemColour('gateway')).toBe(subsystemColour('gateway'));
    expect(new Set(['gateway', 'canvas', 'tailscale', 'agent', 'sessions'].map(subsystemColour)).size).toBeGreaterThan(2);
    expect(formatConsoleLine(line, 'compact', true)).toContain(`${subsystemColour('gateway/ws')}[ws]`);
  });
});
