import { readFile, realpath } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { durarError, errorCode, errorText } from '../../sdk/errors.ts';
import { isForbiddenKey, isRecord, type Segment } from './config-path.ts';
import { parseText } from './parse.ts';

const MAX_DEPTH = 10;

/** The text of a file; throws what the file system does. */
export type ReadText = (file: string) => Promise<string>;

export const readText: ReadText = (file) => readFile(file, 'utf8');

/** A file that was looked for. */
export interface IncludedFile {
  /** Empty when it does not exist. */
  text: string;
  /** Where its content stands. */
  at: readonly Segment[];
}

/**
 * Replaces `$include`. Text: the file takes the place of the object. A list: its files are merged in order (objects merge, all else replaces).
 * Keys beside `$include` are merged last. Paths are relative to the including file and stay in the folder of `file`. Throws the first failure.
 * `files` gets every file that was looked for, also when it fails.
 */
export async function resolveIncludes(value: unknown, file: string, files: Map<string, IncludedFile>, read: ReadText = readText): Promise<unknown> {
  const root = await realpath(dirname(file)).catch(() => dirname(file));
  return await expand(value, { file, root, chain: [file], files, at: [], read });
}

/** Objects merge key by key; everything else is replaced by the later value. */
export function mergeValues(base: unknown, over: unknown): unknown {
  if (!isRecord(base) || !isRecord(over)) return over;
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) merged[key] = Object.hasOwn(base, key) ? mergeValues(base[key], value) : value;
  return merged;
}

interface Place {
  file: string;
  root: string;
  chain: string[];
  files: Map<string, IncludedFile>;
  at: readonly Segment[];
  read: ReadText;
}

async function expand(value: unknown, place: Place): Promise<unknown> {
  if (Array.isArray(value)) return (await mapChanged([...value.entries()], place)) ?? value;
  if (!isRecord(value)) return value;
  const forbidden = Object.keys(value).find(isForbiddenKey);
  if (forbidden !== undefined) throw durarError('DUR_CONFIG_PATH', { path: forbidden, reason: 'this key is not allowed' }, { owner: { file: place.file } });
  if (Object.hasOwn(value, '$include')) return await include(value, place);
  const keys = Object.keys(value);
  const children = await mapChanged(Object.entries(value), place);
  return children === undefined ? value : Object.fromEntries(keys.map((key, index) => [key, children[index]]));
}

/** undefined when no item changed. */
async function mapChanged(members: ReadonlyArray<readonly [Segment, unknown]>, place: Place): Promise<unknown[] | undefined> {
  let changed: unknown[] | undefined;
  for (const [index, [key, value]] of members.entries()) {
    if (typeof value !== 'object' || value === null) continue;
    const next = await expand(value, { ...place, at: [...place.at, key] });
    if (next !== value) {
      changed ??= members.map(([, member]) => member);
      changed[index] = next;
    }
  }
  return changed;
}

async function include(value: Record<string, unknown>, place: Place): Promise<unknown> {
  const { $include: spec, ...siblings } = value;
  const targets = typeof spec === 'string' ? [spec] : spec;
  if (!Array.isArray(targets) || targets.length === 0 || !targets.every((target) => typeof target === 'string')) {
    throw failure(JSON.stringify(spec), 'it must be a file name or a list of file names', place);
  }
  let merged: unknown;
  for (const target of targets) {
    const content = await load(target, place);
    merged = merged === undefined ? content : mergeValues(merged, content);
  }
  if (Object.keys(siblings).length === 0) return merged;
  if (!isRecord(merged)) throw failure(String(targets.at(-1)), 'it holds no object, so the keys beside $include cannot be merged', place);
  return mergeValues(merged, await expand(siblings, place));
}

async function load(target: string, place: Place): Promise<unknown> {
  const path = resolve(dirname(place.file), target);
  if (place.chain.length > MAX_DEPTH) throw failure(target, `more than ${MAX_DEPTH} levels of includes`, place);
  const real = await realpath(path).catch((error: unknown) => {
    if (path.startsWith(place.root + sep)) place.files.set(path, { text: '', at: place.at });
    if (errorCode(error) === 'ENOENT') throw failure(target, 'the file does not exist', place, error);
    throw failure(target, errorText(error), place, error);
  });
  if (!real.startsWith(place.root + sep)) throw failure(target, 'it leaves the folder of the configuration', place);
  if (place.chain.includes(real)) throw failure(target, `the files include each other: ${[...place.chain, real].join(' -> ')}`, place);
  const text = await place.read(real).catch((error: unknown) => {
    throw failure(target, errorText(error), place, error);
  });
  place.files.set(real, { text, at: place.at });
  // as it is for a moment while somebody writes it
  if (text.trim() === '') throw failure(target, 'the file is empty', place);
  return await expand(await parseText(text, real), { ...place, file: real, chain: [...place.chain, real] });
}

function failure(target: string, reason: string, place: Place, cause?: unknown) {
  return durarError('DUR_CONFIG_INCLUDE', { target, reason }, { owner: { file: place.file }, cause });
}
