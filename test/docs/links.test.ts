import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { anchorsOf, linksOf, pages, root, targetOf } from './markdown.ts';

describe('links of the documentation', () => {
  it('lead to files that exist', () => {
    const broken = relativeLinks().filter(({ file }) => file.startsWith('..') || !existsSync(join(root, file)));
    expect(broken.map(({ page, line, target }) => `${page}:${line}: ${target}`)).toEqual([]);
  });

  it('lead to headings that exist', () => {
    const broken = relativeLinks().filter(({ file, anchor }) => anchor !== undefined && file.endsWith('.md') && !anchorsOf(file).has(anchor));
    expect(broken.map(({ page, line, target }) => `${page}:${line}: ${target}`)).toEqual([]);
  });

  it('reach every page from the index', () => {
    const reached = new Set<string>();
    const visit = (page: string) => {
      if (reached.has(page)) return;
      reached.add(page);
      for (const { target } of linksOf(page)) {
        const file = isRelative(target) ? targetOf(page, target) : '';
        if (file.endsWith('.md') && existsSync(join(root, file))) visit(file);
      }
    };
    visit('docs/README.md');
    expect(pages().filter((page) => page !== 'README.md' && !reached.has(page))).toEqual([]);
  });
});

function relativeLinks() {
  return pages().flatMap((page) =>
    linksOf(page)
      .filter(({ target }) => isRelative(target))
      .map(({ line, target }) => ({ page, line, target, file: targetOf(page, target), anchor: target.split('#')[1] })),
  );
}

function isRelative(target: string): boolean {
  return !/^[a-z]+:/i.test(target);
}
