import { type MarkdownDialect, prefixLines, renderMarkdown } from 'Durar/plugin-sdk/markdown';

/** characters in one message */
export const MESSAGE_LIMIT = 2000;

/** Markdown as Discord shows it. What would not fit any more goes as it was written, which Discord shows nearly as well. */
export function toDiscord(markdown: string, tables: MarkdownDialect['tables'] = 'code'): string {
  if (markdown.length > MESSAGE_LIMIT) return markdown;
  const rendered = renderMarkdown(markdown, { ...DISCORD, tables });
  return rendered === '' || rendered.length > MESSAGE_LIMIT ? markdown : rendered;
}

const DISCORD: MarkdownDialect = {
  text: escapeText,
  code: (code) => (code.includes('`') ? `\`\` ${code} \`\`` : `\`${code}\``),
  // a fence inside would end the block
  codeBlock: (code, language) => `\`\`\`${language}\n${code.replaceAll('```', '``\u200b`')}\n\`\`\``,
  strong: (inner) => `**${inner}**`,
  emphasis: (inner) => `*${inner}*`,
  strike: (inner) => `~~${inner}~~`,
  link(inner, url) {
    if (!/^https?:/i.test(url)) return url === '' || inner === escapeText(url) ? inner : `${inner} (${escapeText(url)})`;
    return inner === '' || inner === escapeText(url) ? url : `[${inner}](${url})`;
  },
  heading: (inner, level) => (level <= 3 ? `${'#'.repeat(level)} ${inner}` : `**${inner}**`),
  quote: (inner) => prefixLines(inner, '> '),
  item: (inner, marker, depth) => `${'  '.repeat(depth)}${marker === '•' ? '-' : marker} ${inner}`,
  rule: () => '———',
};

/** Mentions, emoji and timestamps of Discord's own stay what they are. */
const OWN = /<(?:@[!&]?\d+|#\d+|a?:\w+:\d+|t:-?\d+(?::\w)?)>/;

function escapeText(text: string): string {
  return text
    .split(new RegExp(`(${OWN.source})`))
    .map((part, index) => (index % 2 === 1 ? part : part.replace(/[\\*_~`|]/g, '\\$&').replace(/^(\s*)([>#-])/gm, '$1\\$2')))
    .join('');
}
