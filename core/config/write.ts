import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type DurarError, durarError, errorCode, errorText } from '../../sdk/errors.ts';
import { updateTo } from './edit.ts';
import { hashText, type LoadedConfig, type LoadOptions, loadConfig, loadText } from './load.ts';
import { parseText } from './parse.ts';
import { restoreRedacted } from './redact.ts';
import { hasMaskedUrl, restoreUrlPasswords } from './url-credentials.ts';
import { withWriteLock } from './write-lock.ts';

export interface WriteOptions extends LoadOptions {
  /** The new text, from the text that is in the file now. */
  edit(text: string, present: LoadedConfig): string | Promise<string>;
  /** `hash` of the text that the edit is meant for; another one in the file is refused. */
  baseHash?: string | undefined;
  /** `repair`: errors that the file already has may remain, but for its syntax. Default: the result must be valid. */
  allow?: 'repair' | undefined;
  /** A last look before the file changes (activation of the candidate); a throw leaves everything as it is. */
  approve?(next: LoadedConfig): void | Promise<void>;
  /** `false` for edits that remove secrets: the old text is not kept. */
  backup?: boolean;
}

/** Backups beside the newest one, which has no number. */
const RING = 4;
/** Left by a process that died while it wrote. */
const STALE_MS = 60_000;

/**
 * Changes the configuration file: restores redacted secrets, validates, keeps the old text in the backup ring and replaces the file in one
 * step. Of two writers at once, in whatever processes, one is refused. Throws the first error of an invalid result (all of them in `details`), `DUR_CONFIG_CHANGED`, `DUR_CONFIG_WRITE`; then nothing changed.
 */
export async function writeConfig(options: WriteOptions): Promise<LoadedConfig> {
  const present = await loadConfig(options);
  if (options.baseHash !== undefined && options.baseHash !== present.hash) throw durarError('DUR_CONFIG_CHANGED');
  const syntax = present.errors.find(({ code, owner }) => code === 'DUR_CONFIG_SYNTAX' && owner.file === present.file);
  let edited: string;
  try {
    edited = await options.edit(present.raw, present);
  } catch (error) {
    // A text that does not parse can be replaced, but no value in it changed.
    throw syntax ?? error;
  }
  const next = await loadText(await restoreMarkers(edited, present), options);
  refuse(next.errors, options.allow === 'repair' ? present.errors.filter((error) => error !== syntax) : []);
  if (next.raw === present.raw && present.exists) return next;
  await options.approve?.(next);
  await replaceFile(present, next.raw, options.backup ?? true);
  return next;
}

function refuse(errors: DurarError[], known: DurarError[]): void {
  const identity = (error: DurarError) => `${error.code} ${error.message}`;
  const old = new Set(known.map(identity));
  const fresh = errors.filter((error) => !old.has(identity(error)));
  const [first] = fresh;
  if (first === undefined) return;
  if (fresh.length === 1) throw first;
  throw durarError('DUR_CONFIG_REFUSED', { count: fresh.length, first: first.message }, { owner: first.owner, hint: first.hint, details: fresh, cause: first });
}

/** The text with each redaction marker replaced by what the file holds there. */
async function restoreMarkers(text: string, present: LoadedConfig): Promise<string> {
  if (!/__(?:Durar|OPENCLAW)_REDACTED__/.test(text)) return text;
  const value = await parseText(text, present.file);
  const current = await parseText(present.raw, present.file);
  const restored = restoreUrlPasswords(restoreRedacted(value, current, present.source), current);
  if (hasMaskedUrl(restored)) throw durarError('DUR_CONFIG_REDACTED', { path: 'a URL' });
  return updateTo(text, value, restored);
}

async function replaceFile(present: LoadedConfig, text: string, backup: boolean): Promise<void> {
  try {
    await mkdir(dirname(present.file), { recursive: true, mode: 0o700 });
    // A link to the file (dotfiles) stays a link.
    const file = await realpath(present.file).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return present.file;
      throw error;
    });
    await removeStale(file);
    await withWriteLock(file, () =>
      writeAtomically(file, text, async () => {
        if (hashText((await readIfPresent(file)) ?? '') !== present.hash) throw durarError('DUR_CONFIG_CHANGED');
        if (present.exists && backup) await rotate(file);
      }),
    );
  } catch (error) {
    if (errorCode(error) === 'DUR_CONFIG_CHANGED') throw error;
    throw durarError('DUR_CONFIG_WRITE', { file: present.file, reason: errorText(error) }, { owner: { file: present.file }, cause: error });
  }
}

/** A reader sees the old text or the new one, whatever happens to this process. `beforeRename` may still refuse. */
async function writeAtomically(file: string, text: string, beforeRename: () => Promise<void>): Promise<void> {
  const temporary = temporaryName(file);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await beforeRename();
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (process.platform === 'win32') return;
  const folder = await open(dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** `.bak.3` becomes `.bak.4`, and so on; the present text becomes `.bak`. What lies outside the ring is removed. */
async function rotate(file: string): Promise<void> {
  const name = (index: number) => (index === 0 ? `${file}.bak` : `${file}.bak.${index}`);
  for (let index = RING - 1; index >= 0; index -= 1) {
    await rename(name(index), name(index + 1)).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw error;
    });
  }
  const temporary = temporaryName(file);
  await copyFile(file, temporary);
  await chmod(temporary, 0o600);
  await rename(temporary, name(0));
  for (const entry of await readdir(dirname(file))) {
    const number = entry.startsWith(`${basename(file)}.bak.`) ? Number(entry.slice(basename(file).length + 5)) : Number.NaN;
    if (number > RING) await rm(join(dirname(file), entry), { force: true });
  }
}

async function removeStale(file: string): Promise<void> {
  for (const entry of await readdir(dirname(file))) {
    if (!entry.startsWith(`.${basename(file)}.`) || !entry.endsWith('.tmp')) continue;
    const path = join(dirname(file), entry);
    const found = await stat(path).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (found !== undefined && Date.now() - found.mtimeMs > STALE_MS) await rm(path, { force: true });
  }
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function temporaryName(file: string): string {
  return join(dirname(file), `.${basename(file)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`);
}
