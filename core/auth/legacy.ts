import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { durarError, errorCode, errorText } from '../../sdk/index.ts';
import { writePrivateFile } from '../../sdk/private-file.ts';
import { isForbiddenKey, isRecord } from '../config/config-path.ts';
import { withWriteLock } from '../config/write-lock.ts';
import { type ApiKeyProfile, isKnownProfile, type ProfileStore, updateProfiles } from './profiles.ts';

/** Providers whose static keys were found in the older file. */
export interface LegacyImport {
  file: string;
  /** Now in the store of profiles. */
  imported: string[];
  /** Removed from the older file, imported or known already. */
  scrubbed: string[];
}

/**
 * Empties the ancestor's `auth.json` beside a store of its static keys: a provider that has none in the store yet gets it there first, so that no
 * only copy is lost, and then it is removed. Sign-ins in that file stay. Interrupted at any point, the next call ends it. undefined: nothing to do.
 * Throws `DUR_AUTH_STORE`, `DUR_AUTH_STORE_WRITE`.
 */
export async function importLegacy(profilesFile: string): Promise<LegacyImport | undefined> {
  const file = join(dirname(profilesFile), 'auth.json');
  if ((await readLegacy(file))?.some(isStatic) !== true) return undefined;
  return await withWriteLock(file, async () => {
    const entries = (await readLegacy(file)) ?? [];
    const found = entries.filter(isStatic);
    const imported: string[] = [];
    await updateProfiles(profilesFile, (store) => {
      for (const [name, entry] of found) if (add(store, name, entry)) imported.push(name);
      return imported.length > 0;
    });
    const rest = Object.fromEntries(entries.filter((entry) => !isStatic(entry)));
    try {
      if (Object.keys(rest).length === 0) await rm(file, { force: true });
      else await writePrivateFile(file, `${JSON.stringify(rest, null, 2)}\n`);
    } catch (error) {
      throw durarError('DUR_AUTH_STORE_WRITE', { file, reason: errorText(error) }, { owner: { file }, cause: error });
    }
    return { file, imported, scrubbed: found.map(([name]) => name) };
  });
}

type Entry = [name: string, value: unknown];

function isStatic([, value]: Entry): boolean {
  return isRecord(value) && value.type === 'api_key';
}

/** Adds an entry that the store has nothing like. */
function add(store: ProfileStore, name: string, value: unknown): boolean {
  if (!isRecord(value) || isForbiddenKey(name)) return false;
  const { key, keyRef } = value as Partial<ApiKeyProfile>;
  if (!(typeof key === 'string' && key !== '') && keyRef === undefined) return false;
  const [first = name] = name.split(':');
  const provider = typeof value.provider === 'string' && value.provider !== '' ? value.provider : first;
  const isThere = Object.values(store.profiles).some((one) => isKnownProfile(one) && one.type === 'api_key' && one.provider === provider);
  const id = name.includes(':') ? name : `${name}:default`;
  if (isThere || store.profiles[id] !== undefined) return false;
  store.profiles[id] = { type: 'api_key', provider, ...(key === undefined ? {} : { key }), ...(keyRef === undefined ? {} : { keyRef }) };
  return true;
}

async function readLegacy(file: string): Promise<Entry[] | undefined> {
  const broken = (reason: string, cause?: unknown) => durarError('DUR_AUTH_STORE', { file, reason }, { owner: { file }, cause });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw broken(errorText(error), error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw broken('it is not JSON');
  }
  if (!isRecord(value)) throw broken('it is not an object');
  return Object.entries(value);
}
