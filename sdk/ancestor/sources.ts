import { glob, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { unavailableIn } from './imports.ts';

const SOURCES = /(?<!\.d|\.test|\.spec)\.[cm]?[jt]s$/;

/** What the plugin in a folder uses of that line and Durar does not offer, in the order of the alphabet. */
export async function listUnavailable(root: string): Promise<string[]> {
  const found = new Set<string>();
  for await (const source of readSources(root)) for (const member of unavailableIn(source)) found.add(member);
  return [...found].sort();
}

/** The texts of a plugin's own sources: no dependencies, declarations or tests. */
export async function* readSources(root: string): AsyncGenerator<string> {
  for await (const file of glob('**/*', { cwd: root, exclude: (name) => name === 'node_modules' || name.endsWith(`${sep}node_modules`) })) {
    if (SOURCES.test(file)) yield await readFile(join(root, file), 'utf8');
  }
}
