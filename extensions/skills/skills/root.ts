import { errorCode } from 'Durar/plugin-sdk/core';
import { type FSWatcher, type Stats, watch } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { parseSkill, type SkillHead } from './skill-file.ts';

export interface Skill extends SkillHead {
  /** Absolute, as it was reached. */
  filePath: string;
  baseDir: string;
}

/** A folder of the root that holds no usable skill. */
export interface BrokenSkill {
  filePath: string;
  reason: string;
}

export interface RootContent {
  skills: Skill[];
  broken: BrokenSkill[];
}

/** One folder that holds skills. It is read once and again after it changed. */
export interface SkillRoot {
  content(): Promise<RootContent>;
  close(): void;
}

export const SKILL_FILE = 'SKILL.md';
const MAX_FOLDERS = 300;
const MAX_FILE_BYTES = 256_000;

export interface Place {
  dir: string;
  /** The folder may not lead out of this one. */
  within?: string;
}

/** One reading of a root, as long as nothing in it changed. */
interface Reading {
  content?: Promise<RootContent>;
  watchers: FSWatcher[];
  isOver: boolean;
}

/** With `changed` the root watches itself, and the place where it is to be when it is not there yet; without it nothing is read twice. */
export function createSkillRoot(place: Place, changed?: () => void): SkillRoot {
  const { dir } = place;
  let current: Reading | undefined;

  function end(reading: Reading): void {
    if (reading.isOver) return;
    reading.isOver = true;
    for (const watcher of reading.watchers) watcher.close();
    if (current === reading) current = undefined;
  }

  function follow(reading: Reading, path: string, only?: string): void {
    if (changed === undefined || reading.isOver) return;
    const over = () => {
      end(reading);
      changed();
    };
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => {
        if (only === undefined || name === null || name === only) over();
      });
      watcher.on('error', over);
      reading.watchers.push(watcher);
    } catch {
      // what cannot be watched, for want of watches or because it is gone again, is read anew each time
      end(reading);
    }
  }

  /** Watches before it reads, so that no change falls between. */
  async function read(reading: Reading): Promise<RootContent> {
    const nearest = await nearestFolder(dir);
    if (nearest !== undefined) follow(reading, nearest.path, nearest.waitsFor);
    return scan(place, (folder) => follow(reading, folder, SKILL_FILE));
  }

  return {
    async content() {
      const reading: Reading = current ?? { watchers: [], isOver: false };
      current = reading;
      reading.content ??= read(reading);
      try {
        return await reading.content;
      } catch (error) {
        end(reading);
        throw error;
      }
    },
    close() {
      if (current !== undefined) end(current);
    },
  };
}

/** The folder itself, or the nearest one above it that is there and the name in it that is waited for. */
async function nearestFolder(dir: string): Promise<{ path: string; waitsFor?: string } | undefined> {
  let path = dir;
  let waitsFor: string | undefined;
  while ((await statOf(path))?.isDirectory() !== true) {
    const parent = dirname(path);
    if (parent === path) return undefined;
    waitsFor = basename(path);
    path = parent;
  }
  return { path, ...(waitsFor === undefined ? {} : { waitsFor }) };
}

async function scan({ dir, within }: Place, enter: (folder: string) => void): Promise<RootContent> {
  const found: RootContent = { skills: [], broken: [] };
  const real = await realpathOf(dir);
  if (real === undefined || (await statOf(real))?.isDirectory() !== true) return found;
  const limit = within === undefined ? undefined : await realpathOf(within);
  if (limit !== undefined && !real.startsWith(limit + sep)) {
    found.broken.push({ filePath: dir, reason: 'it leads out of the workspace' });
    return found;
  }
  // a folder may be a skill itself
  if (await isFile(join(dir, SKILL_FILE))) {
    await add(found, dir, real);
    return found;
  }
  const names = (await readdir(dir, { withFileTypes: true }))
    .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.') && entry.name !== 'node_modules')
    .map(({ name }) => name)
    .sort();
  const look = async (name: string): Promise<RootContent> => {
    const own: RootContent = { skills: [], broken: [] };
    const folder = join(dir, name);
    if ((await statOf(folder))?.isDirectory() !== true) return own;
    enter(folder);
    if (await isFile(join(folder, SKILL_FILE))) await add(own, folder, real);
    return own;
  };
  for (const { skills, broken } of await Promise.all(names.slice(0, MAX_FOLDERS).map(look))) {
    found.skills.push(...skills);
    found.broken.push(...broken);
  }
  if (names.length > MAX_FOLDERS) found.broken.push({ filePath: dir, reason: `it holds more than ${MAX_FOLDERS} folders; the rest is left out` });
  return found;
}

async function add({ skills, broken }: RootContent, baseDir: string, root: string): Promise<void> {
  const filePath = join(baseDir, SKILL_FILE);
  try {
    const real = await realpath(filePath);
    if (!real.startsWith(root + sep)) throw new Error('it lies outside the folder of skills');
    skills.push({ ...parseSkill(await readHead(filePath)), filePath, baseDir });
  } catch (error) {
    broken.push({ filePath, reason: error instanceof Error ? error.message : String(error) });
  }
}

async function readHead(path: string): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes; the limit is ${MAX_FILE_BYTES}`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await statOf(path))?.isFile() === true;
}

async function statOf(path: string): Promise<Stats | undefined> {
  return absent(() => stat(path));
}

async function realpathOf(path: string): Promise<string | undefined> {
  return absent(() => realpath(path));
}

async function absent<Found>(look: () => Promise<Found>): Promise<Found | undefined> {
  try {
    return await look();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}
