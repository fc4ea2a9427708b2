import { type MarkdownDialect, renderMarkdown } from 'Durar/plugin-sdk/markdown';

/** Characters that a reader sees: in a message, in the caption of a file. */
export const MESSAGE_LIMIT = 4096;
export const CAPTION_LIMIT = 1024;

/** Markdown as Telegram's HTML. `tables`: how a table is shown. */
export function toHtml(markdown: string, tables: MarkdownDialect['tables'] = 'code'): string {
  return renderMarkdown(markdown, { ...HTML, tables });
}

/** Length of our own HTML as Telegram counts it: without tags, an escape as one character. */
export function visibleLength(html: string): number {
  return html.replace(/<[^>]*>/g, '').replace(/&(?:amp|lt|gt|quot);/g, '.').length;
}

const HTML: MarkdownDialect = {
  text: escapeHtml,
  code: (code) => `<code>${escapeHtml(code)}</code>`,
  codeBlock(code, language) {
    const inner = escapeHtml(code);
    return language === '' ? `<pre>${inner}</pre>` : `<pre><code class="language-${escapeHtml(language)}">${inner}</code></pre>`;
  },
  strong: (inner) => `<b>${inner}</b>`,
  emphasis: (inner) => `<i>${inner}</i>`,
  strike: (inner) => `<s>${inner}</s>`,
  link(inner, url) {
    if (/^(?:https?|tg|mailto|tel):/i.test(url)) return `<a href="${escapeHtml(url)}">${inner === '' ? escapeHtml(url) : inner}</a>`;
    return url === '' || inner === escapeHtml(url) ? inner : `${inner} (${escapeHtml(url)})`;
  },
  heading: (inner) => `<b>${inner}</b>`,
  // a quote may not hold another one
  quote: (inner) => `<blockquote>${inner.replaceAll(/<\/?blockquote>/g, '')}</blockquote>`,
  item: (inner, marker, depth) => `${'  '.repeat(depth)}${marker} ${inner}`,
  rule: () => '———',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ESCAPES[character] ?? character);
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
