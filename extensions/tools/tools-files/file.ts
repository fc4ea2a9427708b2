import { errorCode } from 'Durar/plugin-sdk/core';
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Opens a regular file for reading. Throws a sentence about `shown` when it is none. */
export async function openRegular(path: string, shown: string): Promise<{ handle: FileHandle; size: number }> {
  let handle: FileHandle;
  try {
    // O_NONBLOCK: a pipe must not hang the open; O_NOFOLLOW: the path was resolved, a link there now is a swap
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw new Error(`there is no file '${shown}'`, { cause: error });
    throw error;
  }
  const found = await handle.stat();
  if (found.isFile()) return { handle, size: found.size };
  await handle.close();
  throw new Error(found.isDirectory() ? `'${shown}' is a folder` : `'${shown}' is not a regular file`);
}

/** Replaces a file in one step; its permissions stay, missing folders are made. Readers see the old content or the new. */
export async function replaceFile(path: string, content: string, shown: string): Promise<{ created: boolean }> {
  const mode = await modeOf(path, shown);
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.${basename(path).slice(0, 100)}.${randomUUID()}.tmp`);
  try {
    const handle = await open(temporary, 'wx', mode ?? 0o666);
    try {
      if (mode !== undefined) await handle.chmod(mode);
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return { created: mode === undefined };
}

async function modeOf(path: string, shown: string): Promise<number | undefined> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new Error(found.isDirectory() ? `'${shown}' is a folder` : `'${shown}' is not a regular file`);
    return found.mode & 0o777;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
