import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { errorCode } from '../errors.ts';
import { INTERPRETERS, WRAPPERS } from './allowlist.ts';
import type { SystemRunPlan } from './plan.ts';

type Operand = NonNullable<SystemRunPlan['mutableFileOperand']>;

const SHELLS = /^(?:ash|bash|csh|dash|fish|ksh|pwsh|rbash|sh|tcsh|zsh)$/;

/** How an interpreter is given its code in the words themselves, and which options before a script change nothing about what is run. */
const INTERPRETER_OPTIONS: ReadonlyArray<{ name: RegExp; inline: RegExp; harmless: RegExp }> = [
  { name: SHELLS, inline: /^-[a-z]*c$/, harmless: /^-[eluvx]+$/ },
  { name: /^py(?:thon|py)/, inline: /^-[a-zA-Z]*c/, harmless: /^-[BEIOSqsu]+$/ },
  { name: /^node/, inline: /^(?:-[ep]+$|--(?:eval|print)(?:=|$))/, harmless: /^--(?:enable-source-maps|no-warnings|trace-warnings)$/ },
  { name: /^perl/, inline: /^-[a-zA-Z]*[eE]/, harmless: /^-[wW]+$/ },
  { name: /^ruby/, inline: /^-[a-zA-Z]*e/, harmless: /^-[wW]+$/ },
  { name: /^php/, inline: /^-[BERr]/, harmless: /^-[nq]+$/ },
  { name: /^(?:lua|osascript|Rscript|bun)/, inline: /^-e/, harmless: /^-{2}vanilla$/ },
];
/** Options by which further files are run beside inline code. */
const LOADS_FILE = /^(?:-r|--(?:require|import|loader|experimental-loader))/;
const TELLS_ONLY = /^--?(?:v|V|version|help|h)$/;

export function isShell(program: string): boolean {
  return SHELLS.test(basename(program));
}

/**
 * The one file that these words would run and that can change until they do: a script, or what an interpreter is given. `null`: there is
 * none. undefined: there is one, but it cannot be told which.
 */
export async function findOperand(argv: readonly string[], cwd: string): Promise<Operand | null | undefined> {
  const [program = '', ...args] = argv;
  const names = [basename(program), basename(await realpath(program))];
  if (names.some((name) => SHELLS.test(name) || INTERPRETERS.test(name))) {
    if (args.every((arg) => TELLS_ONLY.test(arg))) return null;
    const options = INTERPRETER_OPTIONS.find(({ name }) => names.some((one) => name.test(one)));
    const at = args.findIndex((arg) => !arg.startsWith('-'));
    const leading = at < 0 ? args : args.slice(0, at);
    if (options !== undefined && leading.some((arg) => options.inline.test(arg))) return args.some((arg) => LOADS_FILE.test(arg)) ? undefined : null;
    // an option that is not known may take the next word for itself, or run another file
    if (at < 0 || leading.some((arg) => options?.harmless.test(arg) !== true)) return undefined;
    const file = await fileAt(resolve(cwd, args[at] ?? ''));
    return file === undefined ? undefined : { argvIndex: at + 1, path: file, sha256: await sha256(file) };
  }
  // what runs other commands could run any script
  if (names.some((name) => WRAPPERS.has(name))) return undefined;
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
