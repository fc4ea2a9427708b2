import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, delimiter, isAbsolute, join, relative, resolve } from 'node:path';
import { errorCode } from '../errors.ts';
import type { AllowlistEntry } from './approvals-file.ts';
import { type PlainSegment, parsePlain } from './command-line.ts';
import { HARMLESS_ENV } from './environment.ts';

export interface Judgement {
  /** Every command of the line is on the allowlist. */
  allowed: boolean;
  /** Why it is not, in a few words. */
  reason?: string;
  /** The first binary, where it is known. */
  resolvedPath?: string;
  /** What `allow-always` would add; absent where nothing can be kept safely. */
  remember?: string[];
}

export interface JudgeOptions {
  cwd: string;
  /** `PATH` of the child */
  searchPath: string;
  /** Programs below it are never remembered, as an agent could rewrite them. */
  workspaceDir?: string;
  entries: readonly AllowlistEntry[];
  /** Names of variables that the call sets. */
  envKeys: readonly string[];
  strictInlineEval: boolean;
}

/** Shell words that run or change something without a binary of their own name. */
const SHELL_WORDS = new Set(
  '. : [ [[ ]] { } ! alias bg bind break builtin caller case cd command compgen complete compopt continue coproc declare dirs disown do done elif else enable esac eval exec exit export fc fg fi for function getopts hash help history if in jobs kill let local logout mapfile popd printf pushd read readarray readonly return select set shift shopt source suspend test then time times trap type typeset ulimit umask unalias unset until wait while'.split(
    ' ',
  ),
);

/** Programs that run what their arguments say, so their own path tells nothing. */
export const WRAPPERS: ReadonlySet<string> = new Set(
  'ash awk bash bunx busybox chroot chrt csh dash doas env entr fish flock gawk ionice ksh ltrace mawk nawk nice nohup npx nsenter parallel pnpx pwsh rbash runuser script setarch setpriv setsid sh stdbuf strace su sudo systemd-run taskset tcsh time timeout toybox unshare uvx watch xargs zsh'.split(
    ' ',
  ),
);

export const INTERPRETERS = /^(?:python[\d.]*|pypy[\d.]*|node|nodejs|deno|bun|ruby[\d.]*|perl[\d.]*|php[\d.]*|lua[\d.]*|osascript|Rscript)$/;
const INLINE_EVAL = /^(?:-[a-zA-Z]*[ceEprRB]|--(?:eval|print|import|require|loader|experimental-loader)(?:=|$)|eval$)/;
/** Arguments by which `find` runs programs, removes or writes. */
const FIND_ACTION = /^-(?:exec|ok|delete|fprint|fls)/;

/** Decides on a command line by the paths of its binaries. A line that is not plain is never allowed. */
export async function judge(command: string, options: JudgeOptions): Promise<Judgement> {
  const plain = parsePlain(command);
  if ('reason' in plain) return { allowed: false, reason: `it has ${plain.reason}` };
  return judgeCommands(plain.segments, options);
}

/** The same for commands that no shell reads. */
export async function judgeCommands(segments: readonly PlainSegment[], options: JudgeOptions): Promise<Judgement> {
  const { entries, envKeys } = options;
  const binaries: string[] = [];
  let isAllowed = true;
  let isSafeToKeep = true;
  let reason: string | undefined;
  for (const { name, args, isOpen } of segments) {
    const binary = await findBinary(name, options);
    if (typeof binary !== 'string') return { allowed: false, reason: binary.reason, ...(binaries[0] === undefined ? {} : { resolvedPath: binaries[0] }) };
    binaries.push(binary);
    const known = [basename(binary), basename(await realpath(binary))];
    if (known.some((one) => WRAPPERS.has(one))) {
      return { allowed: false, reason: `'${name}' runs other commands`, resolvedPath: binaries[0] ?? binary };
    }
    if (known.includes('find') && (isOpen || args.some((arg) => FIND_ACTION.test(arg)))) {
      return { allowed: false, reason: `'${name}' may change files or run other commands`, resolvedPath: binaries[0] ?? binary };
    }
    if (options.strictInlineEval && known.some((one) => INTERPRETERS.test(one)) && (isOpen || args.some((arg) => INLINE_EVAL.test(arg)))) {
      return { allowed: false, reason: `'${name}' evaluates inline code`, resolvedPath: binaries[0] ?? binary };
    }
    // what the model can rewrite must be asked for each time
    const { workspaceDir } = options;
    if (workspaceDir !== undefined && (isInside(workspaceDir, binary) || isInside(await realpath(workspaceDir), await realpath(binary)))) isSafeToKeep = false;
    // a pattern of arguments says nothing about what they are expanded to
    if (!entries.some((entry) => !(isOpen && entry.argPattern !== undefined) && matches(entry, binary, args))) {
      isAllowed = false;
      reason ??= `'${binary}' is not on the allowlist`;
    }
  }
  const strange = envKeys.find((key) => !HARMLESS_ENV.test(key));
  if (strange !== undefined) return { allowed: false, reason: `it sets ${strange}`, ...(binaries[0] === undefined ? {} : { resolvedPath: binaries[0] }) };
  return {
    allowed: isAllowed,
    ...(reason === undefined ? {} : { reason }),
    ...(binaries[0] === undefined ? {} : { resolvedPath: binaries[0] }),
    ...(isSafeToKeep ? { remember: [...new Set(binaries)] } : {}),
  };
}

/** `*` stands for anything but a slash, `**` for anything, `?` for one character; case does not count. A pattern without a slash is ignored. */
export function matchesPath(pattern: string, path: string): boolean {
  const expanded = pattern.startsWith('~/') ? join(homedir(), pattern.slice(2)) : pattern;
  if (!expanded.includes('/')) return false;
  const source = expanded.replace(/\*\*|[*?]|[\\^$.|+()[\]{}]/g, (part) => GLOB[part] ?? `\\${part}`);
  return new RegExp(`^${source}$`, 'i').test(path);
}

const GLOB: Readonly<Record<string, string>> = { '**': '.*', '*': '[^/]*', '?': '[^/]' };

function matches({ pattern, argPattern }: AllowlistEntry, binary: string, args: readonly string[]): boolean {
  if (!matchesPath(pattern, binary)) return false;
  if (argPattern === undefined) return true;
  try {
    return new RegExp(`^(?:${argPattern})$`).test(args.join(' '));
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** The path that the shell would run; without one, its own words are programs like any other. */
export async function findBinary(
  name: string,
  { cwd, searchPath, isDirect = false }: Pick<JudgeOptions, 'cwd' | 'searchPath'> & { isDirect?: boolean },
): Promise<string | { reason: string }> {
  if (!isDirect && SHELL_WORDS.has(name)) return { reason: `'${name}' is a word of the shell` };
  if (name.includes('/')) {
    const path = resolve(cwd, name);
    return (await isExecutable(path)) ? path : { reason: `'${name}' is not a program` };
  }
  for (const dir of searchPath.split(delimiter)) {
    if (!isAbsolute(dir)) return { reason: 'PATH has a relative folder' };
    const path = join(dir, name);
    if (await isExecutable(path)) return path;
  }
  return { reason: `'${name}' is not a program` };
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG'].includes(errorCode(error) ?? '')) return false;
    throw error;
  }
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}
