import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { durarError, errorCode } from '../../sdk/errors.ts';

const GUARD_RETRY_MS = 5;

/** Proof that nobody else installs. */
export interface InstallLock {
  /** Throws `DUR_INSTALL_LOCKED` when somebody took the lock away; asked before anything is made visible. */
  assertHeld(): Promise<void>;
  release(): Promise<void>;
}

interface Holder {
  pid: number;
  /** When the process began, in kernel ticks, where the system tells; makes a reused pid visible. */
  began?: string;
  token: string;
}

/** Takes the lock or throws `DUR_INSTALL_LOCKED`. A lock whose process is gone is taken over. */
export async function acquireInstallLock(file: string): Promise<InstallLock> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const token = randomUUID();
  const began = await processBegan(process.pid);
  const mine: Holder = { pid: process.pid, ...(began === undefined ? {} : { began }), token };
  const draft = `${file}.${token}`;
  await writeFile(draft, JSON.stringify(mine), { mode: 0o600, flag: 'wx' });
  try {
    const other = await take(file, draft);
    if (other !== undefined) throw durarError('DUR_INSTALL_LOCKED', { pid: other.pid });
  } finally {
    await rm(draft, { force: true });
  }
  return {
    async assertHeld() {
      const holder = await readHolder(file);
      if (holder?.token !== token) throw durarError('DUR_INSTALL_LOCKED', { pid: holder?.pid ?? 'unknown' });
    },
    async release() {
      if ((await readHolder(file))?.token === token) await rm(file, { force: true });
    },
  };
}

/** Puts the draft at `path`. Returns who lives and has it instead. A link appears with its content, so nobody ever reads half a lock. */
async function take(path: string, draft: string): Promise<Holder | undefined> {
  while (!(await linked(draft, path))) {
    const holder = await readHolder(path);
    if (holder === undefined) continue;
    if (await isAlive(holder)) return holder;
    await clear(path, holder, draft);
  }
  return undefined;
}

/**
 * Removes the lock of a dead holder. Only who has the guard that is named after this very holder may remove it, and looks once more before:
 * so nobody removes a lock that was taken meanwhile. A guard is a lock of the same kind; one that was left by a crash is cleared like this.
 */
async function clear(path: string, dead: Holder, draft: string): Promise<void> {
  const guard = `${path}.${createHash('sha256').update(dead.token).digest('hex').slice(0, 12)}`;
  while ((await take(guard, draft)) !== undefined) {
    await setTimeout(GUARD_RETRY_MS);
    if ((await readHolder(path))?.token !== dead.token) return;
  }
  try {
    if ((await readHolder(path))?.token === dead.token) await rm(path);
  } finally {
    await rm(guard, { force: true });
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function readHolder(file: string): Promise<Holder | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const value = JSON.parse(text) as Holder;
    if (typeof value.pid === 'number' && typeof value.token === 'string') return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { pid: 0, token: text };
}

async function isAlive(holder: Holder): Promise<boolean> {
  if (holder.pid <= 0) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
    if (errorCode(error) !== 'EPERM') throw error;
  }
  const began = await processBegan(holder.pid);
  return began === undefined || holder.began === undefined || began === holder.began;
}

/** Field 22 of /proc/<pid>/stat; undefined where there is no such file. */
async function processBegan(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH' || errorCode(error) === 'EACCES') return undefined;
    throw error;
  }
}
