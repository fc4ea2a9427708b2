import { type MarkdownDialect, prefixLines, renderMarkdown } from 'Durar/plugin-sdk/markdown';

/** Markdown as Slack's mrkdwn. Only a person can be called by it (`<@U...>`), never a channel, a group or everybody. */
export function toMrkdwn(markdown: string, tables: MarkdownDialect['tables'] = 'code'): string {
  // half a character cannot be sent
  const whole = markdown.toWellFormed();
  const rendered = renderMarkdown(whole, { ...MRKDWN, tables });
  return rendered === '' ? escapeText(whole) : rendered;
}

const MRKDWN: MarkdownDialect = {
  text: (text) => escapeText(text).replace(/&lt;@([UW][A-Z0-9]{2,20})&gt;/g, '<@$1>'),
  code: (code) => `\`${escapeText(code.replaceAll('`', 'ˋ'))}\``,
  // a fence within the code would end it
  codeBlock: (code) => `\`\`\`\n${escapeText(code.replaceAll('```', '`\u200b``'))}\n\`\`\``,
  strong: (inner) => around('*', inner),
  emphasis: (inner) => around('_', inner),
  strike: (inner) => around('~', inner),
  link(inner, url) {
    if (!/^(?:https?|mailto|tel):/i.test(url)) return url === '' || inner === escapeText(url) ? inner : `${inner} (${escapeText(url)})`;
    const address = escapeText(url).replaceAll('|', '%7C').replaceAll(/\s/g, '%20');
    // a label may hold no link and no line break
    const label = inner.replaceAll(/<[^>]*>/g, '').replaceAll(/\s+/g, ' ');
    return label === '' || label === escapeText(url) ? `<${address}>` : `<${address}|${label}>`;
  },
  heading: (inner) => around('*', inner.replaceAll('*', '')),
  quote: (inner) => prefixLines(inner, '> '),
  item: (inner, marker, depth) => `${'    '.repeat(depth)}${marker} ${inner}`,
  rule: () => '———',
};

/** Marks work around words only, not around blank space. */
function around(mark: string, inner: string): string {
  const [, before = '', words = '', after = ''] = /^(\s*)([\s\S]*?)(\s*)$/.exec(inner) ?? [];
  return words === '' ? inner : `${before}${mark}${words}${mark}${after}`;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Ids of the people that a text names. */
export function mentionedUsers(text: string): string[] {
  return [...new Set(Array.from(text.matchAll(/<@([UW][A-Z0-9]+)(?:\|[^>]*)?>/g), ([, id = '']) => id))];
}

/** What Slack sends, as people read it. `nameOf`: the name of a person, where it is known. */
export function readMrkdwn(text: string, nameOf: (userId: string) => string | undefined): string {
  const plain = text.replace(/<([^<>]+)>/g, (_whole, inner: string) => readToken(inner, nameOf));
  return plain.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

function readToken(token: string, nameOf: (userId: string) => string | undefined): string {
  const bar = token.indexOf('|');
  const [id, label] = bar < 0 ? [token, ''] : [token.slice(0, bar), token.slice(bar + 1)];
  switch (id[0]) {
    case '@':
      return `@${nameOf(id.slice(1)) ?? (label || id.slice(1))}`;
    case '#':
      return `#${label || id.slice(1)}`;
    case '!':
      return label || `@${id.slice(1).split('^')[0]}`;
    default:
      return label === '' || label === id || id === `mailto:${label}` || id.replace(/^https?:\/\//, '') === label
        ? id.replace(/^mailto:/, '')
        : `${label} (${id})`;
  }
}
