import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Absolute path of a file of the product, named without its extension for modules (`core/install/verify-child`). Sources and built files have
 * the same layout below their roots, but a built module may have moved into a shared chunk, so its own place says nothing.
 */
export function productFile(path: string): string {
  for (let dir = import.meta.dirname; ; dir = dirname(dir)) {
    for (const ending of ['', '.ts', '.js']) {
      const file = join(dir, path) + ending;
      if (existsSync(file)) return file;
    }
    if (dir === dirname(dir)) throw new Error(`the product has no file '${path}'`);
  }
}
