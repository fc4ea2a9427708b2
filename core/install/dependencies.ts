import { copyFile, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { importedPackages } from '../../sdk/ancestor/imports.ts';
import { readSources } from '../../sdk/ancestor/sources.ts';
import { ANCESTOR } from '../../sdk/ancestor.ts';
import { durarError, errorCode } from '../../sdk/errors.ts';
import type { Npm } from './npm.ts';

/** The host gives its SDK to every extension; a copy of the host in a plugin's own folder would only be a second, wrong one. */
const HOST_PACKAGES: readonly string[] = ['durar-ai', ANCESTOR.packageName];
const LOCKS = ['npm-shrinkwrap.json', 'package-lock.json'];

interface PackageFile {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  overrides?: Record<string, unknown>;
  bundleDependencies?: string[] | boolean;
  bundledDependencies?: string[] | boolean;
  [block: string]: unknown;
}

export interface DependencyOptions {
  /** The staged extension; gets its `node_modules`. */
  root: string;
  /** An empty folder in which npm works. */
  work: string;
  npm: Npm;
  spec: string;
  /** The folder that relative `file:` dependencies start from; without it they are refused. */
  base?: string;
  onStart(): void;
}

/**
 * Gives a staged extension its own `node_modules`. npm sees a package.json of the run-time dependencies only: with `--omit` it would still
 * resolve dev and peer dependencies, and fail or fetch a whole host for them. Without dependencies npm is not started.
 */
export async function installDependencies({ root, work, npm, spec, base, onStart }: DependencyOptions): Promise<boolean> {
  const pkg = await readPackage(join(root, 'package.json'), spec);
  const bundled = pkg?.bundleDependencies ?? pkg?.bundledDependencies ?? [];
  const isBundled = (name: string) => bundled === true || (Array.isArray(bundled) && bundled.includes(name));
  const wanted = (list: Record<string, string> = {}) =>
    Object.fromEntries(
      Object.entries(list)
        .filter(([name]) => !HOST_PACKAGES.includes(name) && !isBundled(name))
        .map(([name, range]) => [name, localRange(name, range, spec, base)]),
    );
  const optionalDependencies = wanted(pkg?.optionalDependencies);
  const own = { ...wanted(pkg?.dependencies), ...optionalDependencies };
  const left = pkg?.[ANCESTOR.packageBlock] === undefined ? {} : await modulesLeftToHost(root, (name) => name in own || isBundled(name));
  const dependencies = { ...left, ...wanted(pkg?.dependencies) };
  if (Object.keys(dependencies).length + Object.keys(optionalDependencies).length === 0) return false;

  onStart();
  await mkdir(work, { recursive: true, mode: 0o700 });
  const generated = {
    name: 'durar-extension',
    version: '0.0.0',
    private: true,
    dependencies,
    optionalDependencies,
    ...(pkg?.overrides === undefined ? {} : { overrides: pkg.overrides }),
  };
  await writeFile(join(work, 'package.json'), JSON.stringify(generated));
  for (const lock of LOCKS) if (await isThere(join(root, lock))) await copyFile(join(root, lock), join(work, lock));
  await npm.install(spec, work);
  await merge(join(work, 'node_modules'), join(root, 'node_modules'));
  return true;
}

/** What a plugin of the ancestor's line imports and expects beside that host, with the versions of that host. */
async function modulesLeftToHost(root: string, isOwn: (name: string) => boolean): Promise<Record<string, string>> {
  const missing = new Map(Object.entries(ANCESTOR.hostModules).filter(([name]) => !isOwn(name)));
  const found: Record<string, string> = {};
  for await (const source of readSources(root)) {
    for (const name of importedPackages(source)) {
      const version = missing.get(name);
      if (version !== undefined) found[name] = version;
    }
  }
  return found;
}

/** Moves packages in beside those that the extension brought itself. */
async function merge(from: string, to: string): Promise<void> {
  if (!(await isThere(from))) return;
  if (!(await isThere(to))) {
    await rename(from, to);
    return;
  }
  for (const name of await readdir(from)) {
    if (!(await isThere(join(to, name)))) await rename(join(from, name), join(to, name));
    else if (name.startsWith('@') || name === '.bin') await merge(join(from, name), join(to, name));
  }
}

function localRange(name: string, range: string, spec: string, base: string | undefined): string {
  const path = /^(?:file:|link:)(.*)$/.exec(range)?.[1] ?? (/^\.{0,2}\//.test(range) ? range : undefined);
  if (path === undefined) return range;
  if (base === undefined)
    throw durarError('DUR_INSTALL_SPEC', { spec, reason: `its dependency '${name}' is a local path` }, { hint: 'Publish that dependency, or bundle it.' });
  return `file:${resolve(base, path)}`;
}

async function readPackage(file: string, spec: string): Promise<PackageFile | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as PackageFile;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    if (error instanceof SyntaxError) throw durarError('DUR_INSTALL_SPEC', { spec, reason: 'its package.json is not JSON' }, { cause: error, owner: { file } });
    throw error;
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}
