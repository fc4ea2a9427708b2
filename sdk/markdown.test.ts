import { describe, expect, it } from 'vitest';
import { type MarkdownDialect, PLAIN_DIALECT, renderMarkdown } from './markdown.ts';

const HTML: MarkdownDialect = {
  text: (text) => text.replace(/[&<>]/g, (found) => `&${{ '&': 'amp', '<': 'lt', '>': 'gt' }[found]};`),
  code: (code) => `<code>${HTML.text(code)}</code>`,
  codeBlock: (code, language) => `<pre${language === '' ? '' : ` ${language}`}>${HTML.text(code)}</pre>`,
  strong: (inner) => `<b>${inner}</b>`,
  emphasis: (inner) => `<i>${inner}</i>`,
  strike: (inner) => `<s>${inner}</s>`,
  link: (inner, url) => `<a ${url}>${inner}</a>`,
  heading: (inner, level) => `<h${level}>${inner}</h${level}>`,
  quote: (inner) => `<q>${inner}</q>`,
  item: (inner, marker, depth) => `${' '.repeat(depth)}${marker} ${inner}`,
  rule: () => '<hr>',
};

describe('renderMarkdown', () => {
  it.each([
    ['plain words', 'plain words'],
    ['**a** *b* ~~c~~ `d<e`', '<b>a</b> <i>b</i> <s>c</s> <code>d&lt;e</code>'],
    ['**bold _and_ more**', '<b>bold <i>and</i> more</b>'],
    ['a < b & c > d', 'a &lt; b &amp; c &gt; d'],
    ['&lt; stays', '&amp;lt; stays'],
    ['5 * 3 * 2 and snake_case_name', '5 * 3 * 2 and snake_case_name'],
    ['\\*not\\*', '*not*'],
    ['# Title\n\nText', '<h1>Title</h1>\n\nText'],
    ['```ts\na < b\n```', '<pre ts>a &lt; b</pre>'],
    ['[here](https://x.y)', '<a https://x.y>here</a>'],
    ['ann!~ann@host.org and <ann@host.org> at www.host.org', 'ann!~ann@host.org and ann@host.org at www.host.org'],
    ['see https://x.y/a?b=1&c', 'see <a https://x.y/a?b=1&c>https://x.y/a?b=1&amp;c</a>'],
    ['[mail](mailto:ann@host.org)', '<a mailto:ann@host.org>mail</a>'],
    ['> one\n> two', '<q>one\ntwo</q>'],
    ['- a\n- b\n  1. c\n  2. d\n- [x] e', '• a\n• b\n 1. c\n 2. d\n• ☑ e'],
    ['3. a\n4. b', '3. a\n4. b'],
    ['one  \ntwo', 'one\ntwo'],
    ['a\n\n---\n\nb', 'a\n\n<hr>\n\nb'],
    ['x <b>y</b> z', 'x &lt;b&gt;y&lt;/b&gt; z'],
    ['| a | bb |\n|---|---|\n| 1 | 2 |', '<pre>a | bb\n--|---\n1 | 2</pre>'],
  ])('%j', (markdown, expected) => {
    expect(renderMarkdown(markdown, HTML)).toBe(expected);
  });

  it('shows tables as the channel is told', () => {
    const table = '| a | b |\n|---|---|\n| 1 | **2** |';
    expect(renderMarkdown(table, { ...HTML, tables: 'bullets' })).toBe('• a: 1; b: <b>2</b>');
    expect(renderMarkdown(table, { ...HTML, tables: 'off' })).toBe(table);
  });

  it('as plain text reads like text', () => {
    expect(renderMarkdown('# T\n\n**a** [b](https://c.d) `e`\n\n> q', PLAIN_DIALECT)).toBe('T\n\na b (https://c.d) e\n\n> q');
  });

  it('takes anything', () => {
    const odd = ['**', '```', '[a](', '| |', '\u0000', '<', '&', '> '.repeat(50), '*_'.repeat(200), '- '.repeat(100), '[['.repeat(300)];
    for (const text of odd) expect(typeof renderMarkdown(text, HTML)).toBe('string');
  });
});
