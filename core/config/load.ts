import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type DurarError, durarError, errorCode, errorText } from '../../sdk/errors.ts';
import { getAt, isRecord, type Segment } from './config-path.ts';
import { applyDefaults } from './defaults.ts';
import { substituteTree } from './env.ts';
import { buildEnvironment } from './environment.ts';
import { type IncludedFile, type ReadText, readText, resolveIncludes } from './include.ts';
import { findRange, locate as locatePath, type RangeNode, scanRanges } from './json5-ranges.ts';
import { parseText } from './parse.ts';
import type { Environment, Paths } from './paths.ts';
import type { Config } from './schema.ts';
import { isSecretPath } from './secret-paths.ts';
import { type Locate, validateConfig, validParts } from './validate.ts';

export interface LoadedConfig {
  /** Effective: includes, environment and defaults applied; secret fields hold what the file says. With errors: its valid parts. */
  config: Config;
  file: string;
  exists: boolean;
  /** The text of the file; empty when it does not exist. */
  raw: string;
  /** Of `raw`; the lock for writes. */
  hash: string;
  /** Everything that is wrong, at once. Empty: the configuration may be used. */
  errors: DurarError[];
  /** What does not stop a start. */
  warnings: DurarError[];
  /** Process environment, `.env` files, the `env` block and the login shell, in that order of precedence. */
  env: Environment;
  /** The content after includes, before environment and defaults. */
  source: Record<string, unknown>;
  /** The file and all that it includes; what a watcher must look at. Includes that do not exist are among them. */
  files: string[];
  /** Of the text of each of `files` as it was read; that of one that does not exist is the hash of the empty text. */
  hashes: ReadonlyMap<string, string>;
}

export interface LoadOptions {
  paths: Paths;
  env: Environment;
  /** Where `./.env` is looked for. */
  cwd?: string;
  /** Reads included files and `.env`; for a look at texts that are not written yet. */
  read?: ReadText;
}

/** Reads the configuration. Bad content never throws: it is listed in `errors`. A missing file means defaults. */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { configFile: file } = options.paths;
  let text: string | undefined;
  let unreadable: DurarError | undefined;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') unreadable = durarError('DUR_CONFIG_UNREADABLE', { file, reason: errorText(error) }, { owner: { file }, cause: error });
  }
  const loaded = await loadText(text, options);
  return unreadable === undefined ? loaded : { ...loaded, exists: true, errors: [unreadable, ...loaded.errors] };
}

/** The same for a text that is not (yet) in the file. */
export async function loadText(text: string | undefined, { paths, env, cwd = process.cwd(), read = readText }: LoadOptions): Promise<LoadedConfig> {
  const file = paths.configFile;
  const errors: DurarError[] = [];
  const warnings: DurarError[] = [];
  const included = new Map<string, IncludedFile>();
  const value = await readSource(text ?? '', file, included, errors, read);
  const source = isRecord(value) ? value : {};
  if (!isRecord(value)) errors.push(...validateConfig(value, { file }));
  const locate = createLocator(file, text ?? '', included);

  const environment = await buildEnvironment({ paths, env, cwd, block: source.env, file, errors, warnings, locate, read });
  const { env: block, ...rest } = source;
  const substituted = substituteTree(rest, { env: environment, keep: isSecretPath, errors, file, locate }) as Record<string, unknown>;
  const effective = block === undefined ? substituted : { ...substituted, env: block };

  const invalid = validateConfig(effective, { file, locate });
  errors.push(...invalid);
  const config = applyDefaults(invalid.length === 0 ? effective : validParts(effective));
  if (getAt(effective, ['gateway', 'port']) === undefined) config.gateway.port = paths.port;
  if (getAt(effective, ['agents', 'defaults', 'workspace']) === undefined) config.agents.defaults.workspace = paths.workspaceDir;
  const hashes = new Map<string, string>();
  for (const [name, content] of [[file, { text: text ?? '' }] as const, ...included]) hashes.set(name, hashText(content.text));
  return {
    config,
    file,
    exists: text !== undefined,
    raw: text ?? '',
    hash: hashText(text ?? ''),
    errors,
    warnings,
    env: environment,
    source,
    files: [...hashes.keys()],
    hashes,
  };
}

export function hashText(text: string): string {
  return hash('sha256', text);
}

/** The hash of a file's text as `LoadedConfig` counts it; an absent file is an empty text. */
export async function hashFile(file: string): Promise<string> {
  try {
    return hashText(await readFile(file, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return hashText('');
    throw error;
  }
}

/** The place of a value: in the file that really has it, else the nearest one above it in the first file. Texts are scanned when the first error asks. */
function createLocator(file: string, text: string, included: ReadonlyMap<string, IncludedFile>): Locate {
  const scanned = new Map<string, RangeNode>();
  const scan = (content: string) => {
    const root = scanned.get(content) ?? scanRanges(content);
    scanned.set(content, root);
    return root;
  };
  return (path) => {
    if (included.size === 0) return locatePath(text, scan(text), path);
    // what is merged last counts: the file itself, then its includes from the last to the first
    const files = [[file, { text, at: [] as readonly Segment[] }] as const, ...[...included].reverse()];
    for (const [name, { text: content, at }] of files) {
      const rest = path.slice(at.length);
      if (content.trim() === '' || !at.every((segment, index) => segment === path[index]) || rest.length === 0) continue;
      if (findRange(scan(content), rest) !== undefined) return { file: name, ...locatePath(content, scan(content), rest) };
    }
    return undefined;
  };
}

async function readSource(text: string, file: string, included: Map<string, IncludedFile>, errors: DurarError[], read: ReadText): Promise<unknown> {
  try {
    return await resolveIncludes(await parseText(text, file), file, included, read);
  } catch (error) {
    if (!errorCode(error)?.startsWith('DUR_CONFIG_')) throw error;
    errors.push(error as DurarError);
    return {};
  }
}
