import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { errorCode } from '../../sdk/errors.ts';
import type { InstallRecords } from './records.ts';

/** A folder of its own for one install; nothing in it is seen by anybody until `place`. */
export interface Staging {
  dir: string;
  /** Where the extension is put together. */
  root: string;
  /** Where npm works. */
  deps: string;
}

/** Installed code by content: `<pluginsDir>/store/<id>/<digest>`; a folder never changes once it is there. */
export interface Store {
  lockFile: string;
  stage(): Promise<Staging>;
  /** Moves the staged root to its place; a folder that is already there holds the same content and stays. */
  place(staging: Staging, id: string, digest: string): Promise<string>;
  discard(staging: Staging): Promise<void>;
  /** Removes what interrupted installs left. Only under the lock. */
  sweep(records: InstallRecords): Promise<void>;
  /** Removes the versions of `id` that no record points to; returns their folders. Only under the lock. */
  prune(id: string, records: InstallRecords): Promise<string[]>;
}

export function createStore(pluginsDir: string): Store {
  const stagingDir = join(pluginsDir, '.staging');
  const storeDir = join(pluginsDir, 'store');
  const intentFile = (dir: string) => join(dir, 'intent.json');

  return {
    lockFile: join(pluginsDir, '.install.lock'),
    async stage() {
      const dir = join(stagingDir, randomBytes(8).toString('hex'));
      const staging = { dir, root: join(dir, 'root'), deps: join(dir, 'deps') };
      await mkdir(staging.root, { recursive: true, mode: 0o700 });
      return staging;
    },
    async place(staging, id, digest) {
      const target = join(storeDir, folderName(id), digest);
      await mkdir(join(storeDir, folderName(id)), { recursive: true, mode: 0o700 });
      // Written first: if we die between the move and the record, the next sweep knows what nobody uses.
      await writeFile(intentFile(staging.dir), JSON.stringify({ target }), { mode: 0o600 });
      try {
        await rename(staging.root, target);
      } catch (error) {
        if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
      }
      return target;
    },
    async discard(staging) {
      await rm(staging.dir, { recursive: true, force: true });
    },
    async sweep(records) {
      const used = usedRoots(records);
      for (const name of await names(stagingDir)) {
        const dir = join(stagingDir, name);
        const target = await intendedTarget(intentFile(dir));
        if (target?.startsWith(storeDir + sep) && !used.has(target)) await rm(target, { recursive: true, force: true });
        // An npm that outlived a killed install may still be writing there.
        await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      }
    },
    async prune(id, records) {
      const used = usedRoots(records);
      const folder = join(storeDir, folderName(id));
      const removed: string[] = [];
      const versions = await names(folder);
      for (const name of versions) {
        const dir = join(folder, name);
        if (used.has(dir)) continue;
        await rm(dir, { recursive: true, force: true });
        removed.push(dir);
      }
      if (removed.length === versions.length) await rm(folder, { recursive: true, force: true });
      return removed;
    },
  };
}

/** SHA-256 over every path, link target and file content below `root`, in a fixed order; the first 32 hex digits. */
export async function digestFolder(root: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => ({ entry, path: relative(root, join(entry.parentPath, entry.name)).split(sep).join('/') }));
  paths.sort((left, right) => (left.path < right.path ? -1 : 1));
  for (const { entry, path } of paths) {
    const file = join(root, path);
    if (entry.isSymbolicLink()) hash.update(`l\0${path}\0${await readlink(file)}\0`);
    else if (entry.isFile()) {
      const { size, mode } = await stat(file);
      hash.update(`f\0${path}\0${mode & 0o100}\0${size}\0`);
      if (size > 1_000_000) for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
      else hash.update(await readFile(file));
    }
  }
  return hash.digest('hex').slice(0, 32);
}

/** Two ids may share a folder name; their versions still differ by digest. */
function folderName(id: string): string {
  return id.replace(/[^\w.-]/g, '+').replace(/^\./, '+');
}

function usedRoots(records: InstallRecords): Set<string> {
  const used = new Set<string>();
  for (const record of Object.values(records.plugins)) {
    used.add(record.root);
    if (record.previous !== undefined) used.add(record.previous.root);
  }
  return used;
}

async function intendedTarget(file: string): Promise<string | undefined> {
  try {
    return (JSON.parse(await readFile(file, 'utf8')) as { target?: string }).target;
  } catch (error) {
    // A torn file was being written before the move, so there is no target yet.
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function names(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
