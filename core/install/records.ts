import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { durarError, errorCode, errorText } from '../../sdk/errors.ts';
import { writePrivateFile } from '../../sdk/private-file.ts';

/** Where an installed extension came from and where it is now. */
export interface InstallRecord {
  source: 'npm' | 'path' | 'archive' | 'link';
  /** What `update` asks for again: a package spec, or an absolute path. */
  spec: string;
  resolvedName?: string;
  resolvedVersion?: string;
  /** Subresource integrity of the package or archive. */
  integrity?: string;
  shasum?: string;
  /** Absolute folder of the extension; for a link, the folder it was linked from. */
  root: string;
  /** Digest of everything under `root`; the empty string for a link, whose content may change at any time. */
  digest: string;
  /** ISO 8601 */
  installedAt: string;
  updatedAt: string;
  /** The version before this one; its folder is kept until the next update. */
  previous?: { root: string; digest: string; resolvedVersion?: string };
}

export interface InstallRecords {
  version: 1;
  plugins: Record<string, InstallRecord>;
}

/** The file that says what is installed. A running gateway watches it. */
export function recordsFile(stateDir: string): string {
  return join(stateDir, 'state', 'plugins.json');
}

/** Reads the records; none when the file is absent. Throws `DUR_STATE_CORRUPT` for a file that is not ours. */
export async function readRecords(file: string): Promise<InstallRecords> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { version: 1, plugins: byId({}) };
    throw durarError('DUR_STATE_UNREADABLE', { file, reason: errorText(error) }, { owner: { file }, cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt(file, 'it is not JSON', cause);
  }
  if (!isRecords(value)) throw corrupt(file, 'it does not hold install records of version 1');
  return { ...value, plugins: byId(value.plugins) };
}

/** Replaces the records in one step: readers see the old file or the new one. */
export async function writeRecords(file: string, records: InstallRecords): Promise<void> {
  await writePrivateFile(file, `${JSON.stringify(records, null, 2)}\n`);
}

/** Without a prototype, so that no id finds what nobody installed (`constructor`). */
function byId(plugins: InstallRecords['plugins']): InstallRecords['plugins'] {
  return Object.assign(Object.create(null), plugins);
}

function isRecords(value: unknown): value is InstallRecords {
  if (typeof value !== 'object' || value === null || !('version' in value) || value.version !== 1) return false;
  if (!('plugins' in value) || typeof value.plugins !== 'object' || value.plugins === null) return false;
  return Object.values(value.plugins).every(isRecord);
}

function isRecord(value: unknown): value is InstallRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return ['source', 'spec', 'root', 'digest', 'installedAt', 'updatedAt'].every((field) => typeof record[field] === 'string');
}

function corrupt(file: string, reason: string, cause?: unknown): Error {
  return durarError(
    'DUR_STATE_CORRUPT',
    { file, reason },
    { owner: { file }, cause, hint: 'Restore it from a backup, or remove it and install the extensions again.' },
  );
}
