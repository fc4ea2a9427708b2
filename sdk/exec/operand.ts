import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { errorCode } from '../errors.ts';
import { INLINE_EVAL, INTERPRETERS } from './allowlist.ts';
import type { SystemRunPlan } from './plan.ts';

type Operand = NonNullable<SystemRunPlan['mutableFileOperand']>;

/** Options by which an interpreter runs a further file. */
const LOADS_FILE = /^(?:-[a-zA-Z]*r$|-r.|--(?:require|import|loader|experimental-loader))/;
const SHELLS = /^(?:ash|bash|csh|dash|fish|ksh|pwsh|rbash|sh|tcsh|zsh)$/;

export function isShell(program: string): boolean {
  return SHELLS.test(basename(program));
}

/**
 * The one file that these words would run and that can change until they do: a script, or what an interpreter is given. `null`: there is
 * none. undefined: there is one, but it cannot be told which.
 */
export async function findOperand(argv: readonly string[], cwd: string): Promise<Operand | null | undefined> {
  const [program = '', ...args] = argv;
  if (isShell(program) || INTERPRETERS.test(basename(program)) || INTERPRETERS.test(basename(await realpath(program)))) {
    if (args.length === 0 || args.every((arg) => /^--?(?:v|V|version|help|h)$/.test(arg))) return null;
    const at = args.findIndex((arg) => !arg.startsWith('-'));
    const leading = at < 0 ? args : args.slice(0, at);
    const isInline = leading.some((arg) => INLINE_EVAL.test(arg));
    if ((isInline ? args : leading).some((arg) => LOADS_FILE.test(arg))) return undefined;
    if (isInline) return null;
    const file = at < 0 ? undefined : await fileAt(resolve(cwd, args[at] ?? ''));
    return file === undefined ? undefined : { argvIndex: at + 1, path: file, sha256: await sha256(file) };
  }
  const file = await fileAt(program);
  return file !== undefined && (await isScript(file)) ? { argvIndex: 0, path: file, sha256: await sha256(file) } : null;
}

/** True when the file is still what was approved. */
export async function isUnchanged({ path, sha256: approved, argvIndex }: Operand, argv: readonly string[], cwd: string): Promise<boolean> {
  const present = await fileAt(resolve(cwd, argv[argvIndex] ?? ''));
  return present === path && (await sha256(path)) === approved;
}

async function fileAt(path: string): Promise<string | undefined> {
  try {
    const real = await realpath(path);
    return (await stat(real)).isFile() ? real : undefined;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}

async function isScript(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer.toString('latin1') === '#!';
  } finally {
    await handle.close();
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
