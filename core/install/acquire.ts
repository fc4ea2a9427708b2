import { copyFile, mkdir, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { durarError } from '../../sdk/errors.ts';
import { digestArchive, extractArchive } from './archive.ts';
import { copyFolder } from './local.ts';
import type { Npm } from './npm.ts';
import type { InstallRecord } from './records.ts';
import type { InstallSpec } from './spec.ts';
import type { Staging } from './store.ts';

/** What the source says of itself; becomes part of the record. */
export type Resolution = Pick<InstallRecord, 'source' | 'spec' | 'resolvedName' | 'resolvedVersion' | 'integrity' | 'shasum'>;

/** Asks the source which version it is. Only a registry and an archive can tell before the content is there. */
export async function resolveSource(spec: InstallSpec, npm: Npm, staging: Staging): Promise<Resolution> {
  if (spec.source === 'npm') {
    const found = await npm.resolve(`${spec.name}@${spec.selector}`, staging.dir);
    if (!spec.exact && spec.selector === 'latest' && /^\d+\.\d+\.\d+-/.test(found.version)) {
      throw durarError('DUR_INSTALL_PRERELEASE', { spec: spec.spec, version: found.version });
    }
    const { name, version, ...digests } = found;
    return { source: 'npm', spec: spec.spec, resolvedName: name, resolvedVersion: version, ...digests };
  }
  if (spec.source === 'archive') {
    // Our own copy: what is checked, unpacked and recorded is the same file, whatever happens to the original.
    const copy = archiveCopy(spec.path, staging);
    await copyFile(spec.path, copy);
    return { source: 'archive', spec: spec.path, ...(await digestArchive(copy)) };
  }
  return { source: spec.source, spec: await realpath(spec.path) };
}

/** Puts the source's own files into the staged root. */
export async function fetchSource(spec: InstallSpec, resolution: Resolution, npm: Npm, staging: Staging): Promise<Resolution> {
  if (spec.source === 'path') {
    await copyFolder(spec.path, staging.root);
    return resolution;
  }
  if (spec.source === 'archive') {
    await extractArchive(archiveCopy(spec.path, staging), staging.root);
    return resolution;
  }
  const { resolvedName: name = '', resolvedVersion: version = '', integrity, shasum } = resolution;
  const dir = join(staging.dir, 'tarball');
  await mkdir(dir, { mode: 0o700 });
  const file = await npm.download({ name, version }, dir);
  const actual = await digestArchive(file);
  const isSame = integrity === undefined ? shasum === undefined || shasum === actual.shasum : integrity === actual.integrity;
  if (!isSame) {
    throw durarError(
      'DUR_INSTALL_INTEGRITY',
      { spec: `${name}@${version}`, expected: integrity ?? shasum, actual: actual.integrity },
      { hint: 'The download is not what the registry describes. Try again; if it goes on, do not trust the source.' },
    );
  }
  await extractArchive(file, staging.root);
  return { ...resolution, ...actual };
}

function archiveCopy(path: string, staging: Staging): string {
  return join(staging.dir, basename(path));
}
