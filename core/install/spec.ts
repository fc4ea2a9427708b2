import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { durarError, errorCode } from '../../sdk/errors.ts';

/** What `plugins install` was asked for, before anything is fetched. */
export type InstallSpec =
  | { source: 'npm'; spec: string; name: string; selector: string; exact: boolean }
  | { source: 'path' | 'link' | 'archive'; spec: string; path: string };

const NAME = /^(?:@[a-z0-9][\w.~-]*\/)?[a-z0-9][\w.~-]*$/;
const EXACT = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;
const TAG = /^[a-z][\w.-]*$/i;
/** `1`, `1.2`, `v1`, `1.x`, `*`: what npm would read as a range although it looks like a word. */
const PARTIAL = /^v?[\dx*]+(?:\.[\dx*]+)*$/i;
const ARCHIVE = /\.(?:tgz|tar|tar\.gz)$/i;
const PATH_LIKE = /^(?:\.{1,2}(?:[\\/]|$)|[\\/]|~[\\/]|[A-Za-z]:[\\/])/;

/**
 * Reads a spec. What exists on disk is taken from there, everything else is a package name; `npm:` always means the registry.
 * Throws `DUR_INSTALL_SPEC` with the reason for what is refused.
 */
export async function parseSpec(text: string, options: { link?: boolean; cwd?: string } = {}): Promise<InstallSpec> {
  const spec = text.trim();
  if (spec === '') throw refuse(text, 'it is empty');
  const cwd = options.cwd ?? process.cwd();
  if (!spec.startsWith('npm:')) {
    refuseForeign(spec);
    const path = absolute(spec, cwd);
    const kind = await kindOf(path);
    if (options.link) {
      if (kind !== 'folder') throw refuse(spec, 'only a folder can be linked');
      return { source: 'link', spec: path, path };
    }
    if (kind === 'folder') return { source: 'path', spec: path, path };
    if (kind === 'file' && ARCHIVE.test(spec)) return { source: 'archive', spec: path, path };
    if (/\.zip$/i.test(spec)) throw refuse(spec, 'zip files are not supported; pack it with `npm pack`');
    if (kind === 'file') throw refuse(spec, 'the file is not a .tgz, .tar.gz or .tar archive');
    if (PATH_LIKE.test(spec) || ARCHIVE.test(spec)) throw refuse(spec, 'there is no such file or folder');
  } else if (options.link) {
    throw refuse(spec, 'only a folder can be linked');
  }
  return packageSpec(spec);
}

/** A package name with nothing, an exact version or a dist-tag behind it. */
function packageSpec(spec: string): InstallSpec {
  const bare = spec.startsWith('npm:') ? spec.slice(4) : spec;
  const at = bare.indexOf('@', 1);
  const name = at < 0 ? bare : bare.slice(0, at);
  const selector = at < 0 ? 'latest' : bare.slice(at + 1);
  if (!NAME.test(name) || name.length > 214) {
    const isShorthand = /^[\w.-]+\/[\w.-]+(?:#.*)?$/.test(bare);
    throw refuse(spec, isShorthand ? 'git repositories are not installed; publish it or use a folder' : 'it is not a package name');
  }
  if (selector === '') throw refuse(spec, 'there is nothing behind the @');
  if (selector.includes(':')) throw refuse(spec, 'aliases, git addresses and URLs are not installed');
  const exact = selector.replace(/^[v=]+/, '');
  if (EXACT.test(exact)) return { source: 'npm', spec: `${name}@${exact}`, name, selector: exact, exact: true };
  if (!TAG.test(selector) || PARTIAL.test(selector)) throw refuse(spec, `'${selector}' is a version range`);
  return { source: 'npm', spec: at < 0 ? name : `${name}@${selector}`, name, selector, exact: false };
}

function refuseForeign(spec: string): void {
  if (/^file:/i.test(spec)) throw refuse(spec, 'file: addresses are not read; give the folder or the archive itself');
  if (/^(?:git[+:@]|github:|gitlab:|bitbucket:|gist:|ssh:)/i.test(spec) || /^[\w+.-]+:\/\/.*\.git(?:#.*)?$/i.test(spec)) {
    throw refuse(spec, 'git repositories are not installed; publish it or use a folder');
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(spec)) throw refuse(spec, 'URLs are not installed; download the archive and give the file');
  if (/^[a-z][a-z0-9+.-]+:(?![\\/])/i.test(spec)) throw refuse(spec, `'${spec.slice(0, spec.indexOf(':') + 1)}' is not a known source`);
}

function absolute(spec: string, cwd: string): string {
  if (/^~[\\/]/.test(spec)) return join(homedir(), spec.slice(2));
  return isAbsolute(spec) ? resolve(spec) : resolve(cwd, spec);
}

async function kindOf(path: string): Promise<'folder' | 'file' | undefined> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) return 'folder';
    return found.isFile() ? 'file' : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

function refuse(spec: string, reason: string): Error {
  return durarError('DUR_INSTALL_SPEC', { spec, reason });
}
