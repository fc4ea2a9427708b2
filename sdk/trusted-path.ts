import type { Stats } from 'node:fs';
import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, parse, sep } from 'node:path';
import { errorCode } from './errors.ts';

export interface PathTrust {
  /** `secret`: nobody else may read it. `program`: others may read and run it. In both cases nobody else may change it. */
  kind: 'secret' | 'program';
  /** Whether the path itself may be a symbolic link; default true. Links among its folders are always followed. */
  mayLink?: boolean;
  /** The operator vouches for the path: owners, permissions and access control lists are not looked at. */
  allowInsecure?: boolean;
  /** The file must lie in one of these folders. Below them a folder may be writable by its group, as package managers like it. */
  trustedDirs?: readonly string[];
  /** Default: the platform of the process. */
  platform?: NodeJS.Platform;
  /** Windows: whether access control lists keep others out. Without it nothing is trusted there. */
  verifyAcl?(path: string): Promise<boolean>;
}

export interface TrustedPath {
  /** Absolute, every link resolved. */
  path: string;
  /** What was checked. Whoever opens the path later compares `dev` and `ino`. */
  stats: Stats;
}

/** As many as Linux follows. */
const MAX_LINKS = 40;

/**
 * Finds the regular file behind a path and makes sure that only this user and root can change what is found there: the file, every folder
 * that the lookup passes, every link. Throws an error whose message names the path and what is wrong with it.
 */
export async function trustPath(path: string, trust: PathTrust): Promise<TrustedPath> {
  const { kind, mayLink = true, allowInsecure = false, trustedDirs, platform = process.platform, verifyAcl } = trust;
  if (!isAbsolute(path)) throw new Error(`'${path}' is not an absolute path`);
  const found = await readable(path, () => walk(path));
  if (!mayLink && found.isLink) throw new Error(`'${path}' is a symbolic link`);
  if (!found.stats.isFile()) throw new Error(`'${path}' is not a regular file`);
  const folders = trustedDirs === undefined ? [] : await resolved(trustedDirs);
  if (trustedDirs !== undefined && !folders.some((folder) => isInside(found.path, folder)))
    throw new Error(`'${found.path}' is in none of the trusted folders (${trustedDirs.join(', ')})`);
  if (!allowInsecure) {
    if (platform === 'win32') await checkAcl(found.path, verifyAcl);
    else checkModes(found, kind, (folder) => folders.some((trusted) => isInside(folder, trusted)));
  }
  return { path: found.path, stats: found.stats };
}

interface Walked extends TrustedPath {
  /** Each folder in which a name was looked up. */
  folders: Map<string, Stats>;
  links: Map<string, Stats>;
  /** The path itself leads to a link, whatever its folders are. */
  isLink: boolean;
}

/** Looks a path up name by name, as the system does. */
async function walk(path: string): Promise<Walked> {
  const { root } = parse(path);
  const folders = new Map<string, Stats>();
  const links = new Map<string, Stats>();
  let names = namesOf(path, root);
  let at = root;
  let stats = await stat(root);
  let followed = 0;
  let isLink = false;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') {
      at = dirname(at);
      stats = await lstat(at);
      continue;
    }
    folders.set(at, stats);
    const next = join(at, name);
    const below = await lstat(next);
    if (!below.isSymbolicLink()) {
      at = next;
      stats = below;
      continue;
    }
    links.set(next, below);
    isLink ||= names.length === 0;
    followed += 1;
    if (followed > MAX_LINKS) throw Object.assign(new Error('too many links'), { code: 'ELOOP' });
    const target = await readlink(next);
    names = [...namesOf(target, isAbsolute(target) ? parse(target).root : ''), ...names];
    if (!isAbsolute(target)) continue;
    at = parse(target).root;
    stats = await stat(at);
  }
  return { path: at, stats, folders, links, isLink };
}

function namesOf(path: string, root: string): string[] {
  return path
    .slice(root.length)
    .split(sep === '\\' ? /[\\/]/ : sep)
    .filter((name) => name !== '' && name !== '.');
}

function checkModes({ path, stats, folders, links }: Walked, kind: PathTrust['kind'], isVouchedFor: (folder: string) => boolean): void {
  const user = process.geteuid?.();
  const mustBeOurs = (what: string, { uid }: Stats) => {
    if (uid !== user && uid !== 0) throw new Error(`${what} belongs to another user`);
  };
  for (const [folder, of] of folders) {
    mustBeOurs(`the folder '${folder}'`, of);
    // in a sticky folder nobody replaces what belongs to another
    const isSticky = (of.mode & 0o1000) !== 0;
    const writers = of.mode & (isVouchedFor(folder) ? 0o002 : 0o022);
    if (writers !== 0 && !isSticky) throw new Error(`others may write to the folder '${folder}' (mode ${modeOf(of)})`);
  }
  for (const [link, of] of links) mustBeOurs(`the link '${link}'`, of);
  mustBeOurs(`'${path}'`, stats);
  if ((stats.mode & 0o022) !== 0) throw new Error(`others may write to '${path}' (mode ${modeOf(stats)})`);
  if (kind === 'secret' && (stats.mode & 0o077) !== 0) throw new Error(`others may read '${path}' (mode ${modeOf(stats)}; it must be 0600 or 0400)`);
}

async function checkAcl(path: string, verifyAcl: PathTrust['verifyAcl']): Promise<void> {
  if (verifyAcl === undefined) throw new Error(`who may access '${path}' cannot be verified on this system`);
  let isSafe: boolean;
  try {
    isSafe = await verifyAcl(path);
  } catch (cause) {
    throw new Error(`who may access '${path}' cannot be verified on this system`, { cause });
  }
  if (isSafe !== true) throw new Error(`others have rights to '${path}'`);
}

/** The real paths of folders; one that does not exist holds nothing. */
async function resolved(folders: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    folders.map(async (folder) => {
      if (!isAbsolute(folder)) throw new Error(`the trusted folder '${folder}' is not an absolute path`);
      try {
        return await realpath(folder);
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return [];
        throw error;
      }
    }),
  );
  return found.flat();
}

async function readable<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    const code = errorCode(cause);
    throw new Error(code === 'ENOENT' || code === 'ENOTDIR' ? `'${path}' does not exist` : `'${path}' cannot be looked up (${code})`, { cause });
  }
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);
}

function modeOf({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
