import { type MarkdownDialect, PLAIN_DIALECT, prefixLines } from 'Durar/plugin-sdk/markdown';

/** Each switches its format on, and off again; a line begins without any. */
export const BOLD = '\x02';
export const ITALIC = '\x1d';
export const MONOSPACE = '\x11';
export const STRIKE = '\x1e';
export const TOGGLES: ReadonlySet<string> = new Set([BOLD, ITALIC, MONOSPACE, STRIKE]);

/** Markdown in the formats of IRC. No control character of the text itself comes through, so it can neither end a line nor ask something of a client. */
export function ircDialect(tables: 'code' | 'bullets' | 'off'): MarkdownDialect {
  return {
    ...PLAIN_DIALECT,
    text: plain,
    code: (code) => wrap(plain(code), MONOSPACE),
    codeBlock: (code) =>
      plain(code)
        .split('\n')
        .map((line) => (line.trim() === '' ? '' : wrap(line, MONOSPACE)))
        .join('\n'),
    strong: (inner) => wrap(inner, BOLD),
    emphasis: (inner) => wrap(inner, ITALIC),
    strike: (inner) => wrap(inner, STRIKE),
    link: (inner, url) => PLAIN_DIALECT.link(inner, plain(url)),
    heading: (inner) => wrap(inner, BOLD),
    quote: (inner) => prefixLines(inner, '> '),
    tables,
  };
}

/** Text without colours, formats and control characters, a line break and a tab apart. */
export function plain(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(COLOURS, '').replace(CONTROLS, '');
}

/** A format around text that may have the same inside, where it would end it; a format ends with the line. */
function wrap(inner: string, mark: string): string {
  return inner
    .replaceAll(mark, '')
    .split('\n')
    .map((line) => (line === '' ? '' : mark + line + mark))
    .join('\n');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const COLOURS = /\x03(?:\d{1,2}(?:,\d{1,2})?)?|\x04(?:[\da-f]{6}(?:,[\da-f]{6})?)?/gi;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]/g;
