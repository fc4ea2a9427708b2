import { randomUUID } from 'node:crypto';
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../../sdk/errors.ts';

const RETRY_MS = 5;
/** What a lock protects takes some milliseconds; one of that age was left behind, whoever has its process id now. */
const STALE_MS = 30_000;
/** Likewise for the right to clear a lock that was left behind. */
const STALE_GUARD_MS = 5000;

interface Holder {
  pid: number;
  token: string;
}

/** Runs `work` while no other process that asks for the lock of this file is in its own. What a killed process left is cleared. */
export async function withWriteLock<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  const name = join(dirname(file), `.${basename(file)}.lock`);
  const lock = `${name}.tmp`;
  const mine: Holder = { pid: process.pid, token: randomUUID() };
  const draft = `${name}.${mine.token}.tmp`;
  await writeFile(draft, JSON.stringify(mine), { mode: 0o600, flag: 'wx' });
  try {
    // A link appears with its content, so nobody ever reads half a lock.
    while (!(await linked(draft, lock))) if (!(await clearLeft(lock, draft))) await sleep(RETRY_MS);
    try {
      return await work();
    } finally {
      if ((await holderOf(lock))?.token === mine.token) await rm(lock, { force: true });
    }
  } finally {
    await rm(draft, { force: true });
  }
}

/** Removes the lock of a dead holder. Only who has the guard that is named after this very holder may, and looks once more before. */
async function clearLeft(lock: string, draft: string): Promise<boolean> {
  const holder = await holderOf(lock);
  if (holder === undefined) return true;
  if (isAlive(holder.pid) && !(await isOlder(lock, STALE_MS))) return false;
  const guard = `${lock}.${holder.token}.tmp`;
  if (!(await linked(draft, guard))) {
    if (await isOlder(guard, STALE_GUARD_MS)) await rm(guard, { force: true });
    return false;
  }
  try {
    if ((await holderOf(lock))?.token === holder.token) await rm(lock, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
  return true;
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

/** undefined: nobody has it. */
async function holderOf(lock: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(lock, 'utf8')) as Holder;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
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

async function isOlder(path: string, ms: number): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).ctimeMs > ms;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
