import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Real text to talk about: the pages and the sources of this repository. */
export interface Corpus {
  /** A few paragraphs as people write them. */
  prose(chars: number): string;
  /** Lines of source files, one after the other. */
  code(chars: number): string;
}

export function createCorpus(random: () => number): Corpus {
  const pages = read('docs', '.md').join('\n\n');
  const sources = ['sdk', 'core/agent', 'core/state'].flatMap((folder) => read(folder, '.ts')).join('\n');
  /** From the beginning of a line somewhere. */
  const piece = (text: string, chars: number): string => {
    const at = text.indexOf('\n', Math.floor(random() * text.length)) + 1;
    let taken = text.slice(at, at + chars);
    while (taken.length < chars) taken += text.slice(0, chars - taken.length);
    return taken;
  };
  return { prose: (chars) => piece(pages, chars), code: (chars) => piece(sources, chars) };
}

function read(folder: string, ending: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).sort();
  return names.filter((name) => name.endsWith(ending)).map((name) => readFileSync(join(root, folder, name), 'utf8'));
}

/** Deterministic numbers between 0 and 1 (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
