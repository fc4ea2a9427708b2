import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A fenced block of a page. */
export interface Block {
  /** Relative to the repository. */
  page: string;
  /** Of the fence, from 1. */
  line: number;
  language: string;
  /** `<sample>/<file>` for a file of a sample. */
  title?: string;
  text: string;
}

/** README and everything below `docs`, relative to the repository. */
export function pages(): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'));
  return ['README.md', ...docs.map((name) => join('docs', name))].sort();
}

export function readPage(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let open: (Block & { lines: string[] }) | undefined;
  for (const [at, text] of readPage(page).split('\n').entries()) {
    const fence = /^```(\w*)(?: title="([^"]+)")?\s*$/.exec(text);
    if (open === undefined && fence !== null) {
      const [, language = '', title] = fence;
      open = { page, line: at + 1, language, ...(title === undefined ? {} : { title }), text: '', lines: [] };
    } else if (open !== undefined && text === '```') {
      const { lines, ...block } = open;
      blocks.push({ ...block, text: `${lines.join('\n')}\n` });
      open = undefined;
    } else open?.lines.push(text);
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the block is not closed`);
  return blocks;
}

/** Links to other files and headings, without those inside code. */
export function linksOf(page: string): Array<{ line: number; target: string }> {
  let isCode = false;
  return readPage(page)
    .split('\n')
    .flatMap((text, at) => {
      if (text.startsWith('```')) isCode = !isCode;
      if (isCode) return [];
      return Array.from(text.replace(/`[^`]*`/g, (code) => '_'.repeat(code.length)).matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => ({
        line: at + 1,
        target,
      }));
    });
}

/** The anchors of a page's headings, as the usual viewers make them. */
export function anchorsOf(page: string): Set<string> {
  let isCode = false;
  const headings = readPage(page)
    .split('\n')
    .flatMap((text) => {
      if (text.startsWith('```')) isCode = !isCode;
      return isCode ? [] : (/^#{1,6}\s+(.+)$/.exec(text)?.[1] ?? []);
    });
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** The file that a relative link of a page names, relative to the repository. */
export function targetOf(page: string, target: string): string {
  const path = decodeURIComponent(target.split('#')[0] ?? '');
  return path === '' ? page : relative(root, join(root, dirname(page), path));
}
