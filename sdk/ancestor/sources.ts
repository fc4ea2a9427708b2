import { glob, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';

const EXTENSIONS = /\.[cm]?[jt]s$/;

/** The texts of a plugin's own sources: no dependencies, no declarations. */
export async function* readSources(root: string): AsyncGenerator<string> {
  for await (const file of glob('**/*', { cwd: root, exclude: (name) => name === 'node_modules' || name.endsWith(`${sep}node_modules`) })) {
    if (EXTENSIONS.test(file) && !/\.d\.[cm]?ts$/.test(file)) yield await readFile(join(root, file), 'utf8');
  }
}
