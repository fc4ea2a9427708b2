import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { errorCode } from '../../sdk/errors.ts';
import { ProtocolError } from '../../sdk/protocol/errors.ts';
import type { AgentFile } from '../../sdk/protocol/generated/types.ts';

/** The files of a working folder that are part of an agent's prompt, in the order of the prompt. */
const BOOTSTRAP_FILES = ['AGENTS.md', 'SOUL.md', 'TOOLS.md', 'IDENTITY.md', 'USER.md', 'HEARTBEAT.md', 'BOOTSTRAP.md'];
/** Listed where they exist. */
const MEMORY_FILES = ['MEMORY.md', 'memory.md'];
const NAMES = new Set([...BOOTSTRAP_FILES, ...MEMORY_FILES]);

export async function listFiles(workspace: string): Promise<AgentFile[]> {
  const [known, memory] = await Promise.all([
    Promise.all(BOOTSTRAP_FILES.map((name) => describe(workspace, name))),
    Promise.all(MEMORY_FILES.map((name) => describe(workspace, name))),
  ]);
  return [...known, ...memory.filter(({ missing }) => !missing).slice(0, 1)];
}

/** Throws for a name outside the set, and for a link that leads out of the folder. */
export async function readOne(workspace: string, name: string): Promise<AgentFile> {
  const file = await describe(workspace, named(name));
  if (file.missing) return file;
  await assertInside(workspace, file);
  return { ...file, content: await readFile(file.path, 'utf8') };
}

/** Replaces the file in one step; a reader sees the old text or the new one. */
export async function writeOne(workspace: string, name: string, content: string): Promise<AgentFile> {
  await mkdir(workspace, { recursive: true, mode: 0o700 });
  const before = await describe(workspace, named(name));
  const target = before.missing ? before.path : await assertInside(workspace, before);
  const temporary = join(dirname(target), `.${name}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return { ...(await describe(workspace, name)), content };
}

/** The text of a file that need not be there. */
export async function readText(workspace: string, name: string): Promise<string> {
  return (await readOne(workspace, name)).content ?? '';
}

function named(name: string): string {
  if (!NAMES.has(name)) throw new ProtocolError('INVALID_REQUEST', `unsupported file "${name}"`);
  return name;
}

async function describe(workspace: string, name: string): Promise<AgentFile> {
  const path = join(workspace, name);
  try {
    const found = await stat(path);
    if (!found.isFile()) return { name, path, missing: true };
    return { name, path, missing: false, size: found.size, updatedAtMs: Math.floor(found.mtimeMs) };
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return { name, path, missing: true };
    throw error;
  }
}

/** The file itself, behind all links. */
async function assertInside(workspace: string, { name, path }: AgentFile): Promise<string> {
  const [folder, file] = await Promise.all([realpath(workspace), realpath(path)]);
  if (!file.startsWith(folder + sep)) throw new ProtocolError('INVALID_REQUEST', `unsafe workspace file "${name}": it links out of the folder`);
  return file;
}
