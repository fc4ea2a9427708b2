import { realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { type DurarError, durarError, errorCode, errorText, type PluginOrigin } from '../../sdk/index.ts';

/** What the gates look at before any code of an extension runs. */
export interface TrustSubject {
  id: string;
  /** Absolute real path of its folder. */
  root: string;
  /** Absolute, or relative to the root. */
  entry: string;
  origin: PluginOrigin;
}

/**
 * The real path of an entry that may be executed: it exists, lies inside the root after every link is followed, and neither it nor a folder
 * between it and the root can be changed by a stranger. Throws `DUR_MANIFEST_SOURCE_ESCAPES_ROOT`, `_ENTRY_MISSING`,
 * `_PATH_STAT_FAILED`, `_WORLD_WRITABLE` or `_OWNERSHIP`. Called when a manifest is read and again before each import.
 */
export function trustedEntry(subject: TrustSubject): string {
  const { id, root, entry } = subject;
  const target = resolve(root, entry);
  const escapes = () => durarError('DUR_MANIFEST_SOURCE_ESCAPES_ROOT', { id, entry }, { owner: { extension: id, file: target } });
  if (!isInside(root, target)) throw escapes();
  let real: string;
  try {
    real = realpathSync.native(target);
    if (!isInside(root, real)) throw escapes();
    if (!statSync(real).isFile()) throw missingEntry(id, entry, target);
  } catch (error) {
    throw errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR' ? missingEntry(id, entry, target) : asStatFailure(error, target, id);
  }
  for (let path = real; ; path = dirname(path)) {
    checkPath(path, subject);
    if (path === root || path === dirname(path)) return real;
  }
}

/** Refuses a path that a stranger can change. A bundled extension may belong to whoever installed the package. */
export function checkPath(path: string, { id, origin }: { id: string; origin: PluginOrigin }): void {
  if (process.platform === 'win32') return;
  const owner = { extension: id, file: path };
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(path);
  } catch (error) {
    throw asStatFailure(error, path, id);
  }
  if ((stat.mode & 0o002) !== 0) throw durarError('DUR_MANIFEST_WORLD_WRITABLE', { path }, { owner });
  if (origin !== 'bundled' && stat.uid !== 0 && stat.uid !== process.getuid?.()) throw durarError('DUR_MANIFEST_OWNERSHIP', { path, uid: stat.uid }, { owner });
}

/** True for the folder itself and all below it. Both absolute. */
export function isInside(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function missingEntry(id: string, entry: string, file: string): DurarError {
  return durarError('DUR_MANIFEST_ENTRY_MISSING', { id, entry }, { owner: { extension: id, file } });
}

/** A coded refusal stays what it is; whatever the file system says becomes `DUR_MANIFEST_PATH_STAT_FAILED`. */
export function asStatFailure(error: unknown, path: string, id: string): DurarError {
  if (errorCode(error)?.startsWith('DUR_') === true) return error as DurarError;
  return durarError('DUR_MANIFEST_PATH_STAT_FAILED', { path, reason: errorText(error) }, { owner: { extension: id, file: path }, cause: error });
}
