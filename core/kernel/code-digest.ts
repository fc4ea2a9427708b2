import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A digest of path, size and time of every file below `root`, `node_modules` and hidden entries left out. It reads no content, so it is cheap enough to
 * ask before each generation, and any saved change of any file gives another digest.
 */
export async function codeDigest(root: string): Promise<string> {
  const lines: string[] = [];
  const walk = async (folder: string, prefix: string): Promise<void> => {
    const items = await readdir(folder, { withFileTypes: true });
    await Promise.all(
      items.map(async (item) => {
        if (item.name === 'node_modules' || item.name.startsWith('.')) return;
        const path = join(folder, item.name);
        if (item.isDirectory()) return walk(path, `${prefix}${item.name}/`);
        const { mtimeMs, ctimeMs, size } = await stat(path);
        lines.push(`${prefix}${item.name}\0${mtimeMs}\0${ctimeMs}\0${size}`);
      }),
    );
  };
  await walk(root, '');
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex').slice(0, 16);
}
