import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { durarError, errorCode, errorText } from '../../sdk/index.ts';
import { withWriteLock } from '../config/write-lock.ts';

/** What becomes of one file. */
export interface FileChange {
  file: string;
  /** What is there now; absent: nothing. Another text is refused. */
  before?: string;
  /** What will be there; absent: nothing. */
  after?: string;
}

interface Prepared extends FileChange {
  /** Behind links. */
  target: string;
  /** Holds the new text until it takes the old one's place. */
  temporary?: string;
}

/**
 * Replaces the files one after the other, each in one step: whoever looks, also after a crash, finds each of them old or new. All new texts are
 * on disk before the first one counts. When one of them fails, those before it get their old text back, as far as that can be done; it was kept
 * in memory only. Throws `DUR_SECRETS_APPLY` or what `confirm` throws, and tells which files could not be restored; `details.changed`: somebody
 * else wrote meanwhile, and nothing is left of this.
 */
export async function commitChanges(changes: readonly FileChange[], confirm: () => Promise<void> = async () => undefined): Promise<void> {
  const first = changes[0];
  if (first === undefined) return await confirm();
  await mkdir(dirname(first.file), { recursive: true, mode: 0o700 });
  const prepared: Prepared[] = [];
  const done: Prepared[] = [];
  try {
    for (const change of changes) prepared.push(await at(change.file, () => prepare(change)));
    await withLocks(
      prepared.map(({ target }) => target),
      async () => {
        for (const change of prepared) {
          await at(change.file, () => replace(change));
          done.push(change);
        }
      },
    );
    await confirm();
  } catch (error) {
    const lost = await restore(done);
    if (errorCode(error) === 'DUR_SECRETS_CHANGE') throw failure(error as ChangeError, done.length, lost);
    if (lost.length > 0) throw durarError('DUR_SECRETS_APPLY', { file: lost.join("', '"), reason: errorText(error), outcome: UNRESTORED }, { cause: error });
    throw error;
  } finally {
    await Promise.all(prepared.map(({ temporary }) => (temporary === undefined ? undefined : rm(temporary, { force: true }))));
  }
}

/** Somebody else wrote a file since it was read; all is as it was, and another try may do. */
const CHANGED = 'CHANGED';
const UNRESTORED = 'This file has its new text; those before it are as they were. Put its references right by hand, then repeat the command.';

/** A failure with the file that it belongs to. */
interface ChangeError extends Error {
  code: string;
  file: string;
}

async function at<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    throw Object.assign(new Error(errorText(cause), { cause }), { code: 'DUR_SECRETS_CHANGE', file });
  }
}

function failure({ file, message, cause }: ChangeError, done: number, lost: readonly string[]) {
  const outcome =
    lost.length > 0
      ? `Not restored: ${lost.join(', ')}.`
      : done > 0
        ? 'What was written before it is restored.'
        : 'Nothing was changed; correct it and repeat the command.';
  const changed = lost.length === 0 && errorCode(cause) === CHANGED;
  return durarError('DUR_SECRETS_APPLY', { file, reason: message, outcome }, { owner: { file }, cause, details: { changed } });
}

async function prepare(change: FileChange): Promise<Prepared> {
  const { file, after } = change;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // a link to the file (dotfiles) stays a link
  const target = await realpath(file).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return file;
    throw error;
  });
  await removeLeft(target);
  if (after === undefined) return { ...change, target };
  const temporary = temporaryOf(target);
  await write(temporary, after);
  return { ...change, target, temporary };
}

/** What a process that died while it wrote this file left beside it: a new text that may hold other secrets. */
async function removeLeft(target: string): Promise<void> {
  for (const name of await readdir(dirname(target))) {
    const rest = name.startsWith(`.${basename(target)}.`) ? name.slice(basename(target).length + 2) : '';
    const pid = /^(\d+)-[0-9a-f]{8}\.tmp$/.exec(rest)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(dirname(target), name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

async function replace({ target, before, temporary }: Prepared): Promise<void> {
  if ((await readIfPresent(target)) !== before) throw Object.assign(new Error('it was changed meanwhile'), { code: CHANGED });
  if (temporary === undefined) await rm(target, { force: true });
  else await rename(temporary, target);
  await syncFolder(dirname(target));
}

/** The files that could not be restored. */
async function restore(done: readonly Prepared[]): Promise<string[]> {
  const lost: string[] = [];
  for (const { file, target, before, after } of done.toReversed()) {
    try {
      // what somebody else wrote since is theirs
      if ((await readIfPresent(target)) !== after) throw new Error('it was changed meanwhile');
      if (before === undefined) await rm(target, { force: true });
      else {
        const temporary = temporaryOf(target);
        await write(temporary, before);
        await rename(temporary, target);
      }
    } catch {
      // named in the error that led here
      lost.push(file);
    }
  }
  return lost;
}

function temporaryOf(target: string): string {
  return join(dirname(target), `.${basename(target)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`);
}

async function write(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
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

/**
 * Always in the same order, so that two who want the same files do not wait for each other. Backwards: `auth.json` comes before
 * `auth-profiles.json` beside it, as where the one is taken over into the other.
 */
async function withLocks(files: readonly string[], work: () => Promise<void>): Promise<void> {
  const [file, ...rest] = [...new Set(files)].sort().reverse();
  if (file === undefined) return await work();
  await withWriteLock(file, () => withLocks(rest, work));
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
