import { chmod, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../sdk/errors.ts';
import type { Paths } from '../config/paths.ts';

/** Something that others than the owner may read or write. */
export interface LoosePath {
  path: string;
  /** Octal, as `ls` users know it. */
  mode: string;
  wanted: string;
  fixed: boolean;
}

const FOLDER = 0o700;
const FILE = 0o600;

/** The state folder, the configuration, the host's own files and `more` must be the owner's alone; `fix` makes them so. Windows has no such modes. */
export async function checkPermissions(paths: Paths, more: readonly string[], fix: boolean): Promise<LoosePath[]> {
  if (process.platform === 'win32') return [];
  const own = [...(await list(paths.stateDbDir)).map((name) => join(paths.stateDbDir, name)), ...more].map((path) => ({ path, wanted: FILE }));
  const wanted = [{ path: paths.stateDir, wanted: FOLDER }, { path: paths.stateDbDir, wanted: FOLDER }, { path: paths.configFile, wanted: FILE }, ...own];
  const loose: LoosePath[] = [];
  for (const { path, wanted: mode } of wanted) {
    const found = await stat(path).catch(ignoreAbsent);
    if (found === undefined || (found.mode & 0o077) === 0) continue;
    const right = found.isDirectory() ? FOLDER : mode;
    if (fix) await chmod(path, right);
    loose.push({ path, mode: (found.mode & 0o777).toString(8), wanted: right.toString(8), fixed: fix });
  }
  return loose;
}

async function list(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(ignoreAbsent)) ?? [];
}

function ignoreAbsent(error: unknown): undefined {
  if (errorCode(error) === 'ENOENT') return undefined;
  throw error;
}
