import { lexer, type Token, type Tokens } from 'marked';

/**
 * How a chat service writes what Markdown says. `inner` is text of the service already; `text` and `code` are given plain and must be escaped
 * as the service wants it.
 */
export interface MarkdownDialect {
  text(text: string): string;
  code(code: string): string;
  codeBlock(code: string, language: string): string;
  strong(inner: string): string;
  emphasis(inner: string): string;
  strike(inner: string): string;
  link(inner: string, url: string): string;
  heading(inner: string, level: number): string;
  quote(inner: string): string;
  /** `marker`: `•`, or `3.` in a numbered list; `depth` counts from 0. */
  item(inner: string, marker: string, depth: number): string;
  rule(): string;
  /** How a table is shown where there are none: in a code block, as bullets, or as the author wrote it. */
  tables?: 'code' | 'bullets' | 'off';
}

/** Plain text: what a reader would read aloud. */
export const PLAIN_DIALECT: MarkdownDialect = {
  text: (text) => text,
  code: (code) => code,
  codeBlock: (code) => code,
  strong: (inner) => inner,
  emphasis: (inner) => inner,
  strike: (inner) => inner,
  link: (inner, url) => (inner === url || url === '' ? inner : `${inner} (${url})`),
  heading: (inner) => inner,
  quote: (inner) => prefixLines(inner, '> '),
  item: (inner, marker, depth) => `${'  '.repeat(depth)}${marker} ${inner}`,
  rule: () => '———',
};

/** Markdown (GFM) in the words of a service. HTML in it is text. Never throws; what is not Markdown comes through as it is. */
export function renderMarkdown(markdown: string, dialect: MarkdownDialect): string {
  return blocks(lexer(markdown, { gfm: true }), dialect, 0).trim();
}

/** Puts `prefix` before each line. */
export function prefixLines(text: string, prefix: string): string {
  return text
    .split('\n')
    .map((line) => prefix + line)
    .join('\n');
}

function blocks(tokens: readonly Token[], dialect: MarkdownDialect, depth: number): string {
  const parts: string[] = [];
  for (const token of tokens) {
    const part = block(token, dialect, depth);
    if (part !== '') parts.push(part);
  }
  return parts.join(depth === 0 ? '\n\n' : '\n');
}

function block(token: Token, dialect: MarkdownDialect, depth: number): string {
  switch (token.type) {
    case 'space':
    case 'def':
      return '';
    case 'heading':
      return dialect.heading(inline(token.tokens, dialect), (token as Tokens.Heading).depth);
    case 'code':
      return dialect.codeBlock((token as Tokens.Code).text, (token as Tokens.Code).lang?.split(/\s/)[0] ?? '');
    case 'blockquote':
      return dialect.quote(blocks(token.tokens ?? [], dialect, 0));
    case 'list':
      return list(token as Tokens.List, dialect, depth);
    case 'table':
      return table(token as Tokens.Table, dialect);
    case 'hr':
      return dialect.rule();
    case 'html':
      return dialect.text(token.raw.trimEnd());
    default:
      return rest(token, dialect);
  }
}

function list(token: Tokens.List, dialect: MarkdownDialect, depth: number): string {
  const first = typeof token.start === 'number' ? token.start : 1;
  const lines = token.items.map((item, at) => {
    const nested: string[] = [];
    const own: string[] = [];
    for (const child of item.tokens) {
      if (child.type === 'checkbox') continue;
      const text = block(child, dialect, depth + 1);
      if (text !== '') (child.type === 'list' ? nested : own).push(text);
    }
    const box = item.task ? `${item.checked ? '☑' : '☐'} ` : '';
    const line = dialect.item(box + own.join('\n'), token.ordered ? `${first + at}.` : '•', depth);
    return [line, ...nested].join('\n');
  });
  return lines.join('\n');
}

function table(token: Tokens.Table, dialect: MarkdownDialect): string {
  if (dialect.tables === 'off') return dialect.text(token.raw.trimEnd());
  if (dialect.tables === 'bullets') {
    const names = token.header.map((cell) => inline(cell.tokens, dialect));
    const rows = token.rows.map((row) => row.map((cell, at) => `${names[at] ?? ''}: ${inline(cell.tokens, dialect)}`).join('; '));
    return rows.map((row) => dialect.item(row, '•', 0)).join('\n');
  }
  const rows = [token.header, ...token.rows].map((row) => row.map((cell) => inline(cell.tokens, PLAIN_DIALECT)));
  const widths = token.header.map((_cell, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join(' | ')
      .trimEnd(),
  );
  return dialect.codeBlock([lines[0] ?? '', widths.map((width) => '-'.repeat(width)).join('-|-'), ...lines.slice(1)].join('\n'), '');
}

function inline(tokens: readonly Token[] | undefined, dialect: MarkdownDialect): string {
  return (tokens ?? []).map((token) => span(token, dialect)).join('');
}

function span(token: Token, dialect: MarkdownDialect): string {
  switch (token.type) {
    case 'strong':
      return dialect.strong(inline(token.tokens, dialect));
    case 'em':
      return dialect.emphasis(inline(token.tokens, dialect));
    case 'del':
      return dialect.strike(inline(token.tokens, dialect));
    case 'codespan':
      return dialect.code((token as Tokens.Codespan).text);
    case 'link':
      return link(token as Tokens.Link, dialect);
    case 'image':
      return dialect.link(dialect.text((token as Tokens.Image).text), (token as Tokens.Image).href);
    case 'br':
      return '\n';
    case 'html':
      return dialect.text(token.raw);
    default:
      return rest(token, dialect);
  }
}

/** An address that nobody made a link of, as that of a mail, stays as it was written. */
function link({ raw, text, href, tokens }: Tokens.Link, dialect: MarkdownDialect): string {
  const isBare = (raw === text || raw === `<${text}>`) && href !== text;
  return isBare ? dialect.text(text) : dialect.link(inline(tokens, dialect), href);
}

/** What holds further tokens, or text. */
function rest(token: Token, dialect: MarkdownDialect): string {
  if ('tokens' in token && token.tokens !== undefined) return inline(token.tokens, dialect);
  return dialect.text('text' in token && typeof token.text === 'string' ? token.text : token.raw);
}
