import { constants } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { durarError } from '../../sdk/errors.ts';
import { LIMITS } from './archive.ts';

const LEFT_OUT = new Set(['node_modules', '.git']);

/**
 * Copies a folder without `node_modules` and `.git`. Links that stay inside become the files they name; links that lead out are refused.
 * Nobody but the owner may write the copy, whatever the modes of the original are.
 */
export async function copyFolder(from: string, to: string): Promise<void> {
  const root = await realpath(from);
  const tally = { files: 0, bytes: 0 };
  const refuse = (reason: string) => durarError('DUR_INSTALL_SPEC', { spec: from, reason });

  const copy = async (source: string, target: string, above: readonly string[]): Promise<void> => {
    await mkdir(target, { recursive: true, mode: 0o700 });
    for (const entry of await readdir(source, { withFileTypes: true })) {
      if (LEFT_OUT.has(entry.name)) continue;
      const path = join(source, entry.name);
      const real = entry.isSymbolicLink() ? await realpath(path) : path;
      if (entry.isSymbolicLink() && !real.startsWith(root + sep)) throw refuse(`the link '${relative(root, path)}' leads out of the folder`);
      const found = await stat(real);
      if (found.isDirectory()) {
        if (above.includes(real)) throw refuse(`the link '${relative(root, path)}' leads in a circle`);
        await copy(real, join(target, entry.name), [...above, real]);
      } else if (found.isFile()) {
        tally.files += 1;
        tally.bytes += found.size;
        if (tally.files > LIMITS.files || tally.bytes > LIMITS.bytes) throw refuse('it holds more than an extension may');
        await copyFile(real, join(target, entry.name), constants.COPYFILE_FICLONE);
        await chmod(join(target, entry.name), (found.mode & 0o755) | 0o600);
      }
    }
  };
  await copy(root, to, [root]);
}
