import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, existsSync } from 'node:fs';
import { access, lstat, mkdir, readFile, realpath } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { errorCode } from '../../../sdk/errors.ts';
import type { SecretRef } from '../../../sdk/index.ts';
import { writePrivateFile } from '../../../sdk/private-file.ts';
import { getAt, isForbiddenKey, isRecord, toPointer } from '../../config/config-path.ts';
import { configuredPath, type Environment, type Paths } from '../../config/paths.ts';
import { withWriteLock } from '../../config/write-lock.ts';
import type { FieldChoice } from '../../secrets/field-choices.ts';
import type { Prompt } from '../prompt.ts';
import type { ProviderBlock } from './provider-form.ts';

/** Where a secret will be kept. */
export interface Keeping {
  ref: SecretRef;
  /** A provider that the reference needs and that is not configured. */
  provider?: { alias: string; block: ProviderBlock };
  /** How the secret gets there. */
  store?: {
    /** For the operator, to do it by hand. Holds no value. */
    how: string;
    /** Puts it there; absent where that cannot or should not be done here. */
    run?(value: string): Promise<void>;
    /** Something is there already. */
    exists: boolean;
  };
}

export interface PresetContext {
  prompt: Prompt;
  paths: Paths;
  env: Environment;
  /** The configured providers, with those of this session. */
  providers: Readonly<Record<string, unknown>>;
  /** The alias of a source that `secrets.defaults` names. */
  defaults: Readonly<Record<string, unknown>>;
  /** The variable under which this field's provider looks for its key. */
  variable?: string;
}

const PASS_ENV = ['PATH', 'HOME', 'GNUPGHOME', 'PASSWORD_STORE_DIR'];
const ALIAS = /^[a-z][a-z0-9_-]{0,63}$/;

/** The absolute path of a program, or undefined. */
export async function findProgram(name: string, { PATH = '' }: Environment): Promise<string | undefined> {
  for (const folder of PATH.split(delimiter).filter((each) => each.startsWith('/'))) {
    const file = join(folder, name);
    try {
      await access(file, constants.X_OK);
      if ((await lstat(await realpath(file))).isFile()) return file;
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error) ?? '')) throw error;
    }
  }
  return undefined;
}

/** An entry of the password store. It prints one secret, so each has an alias of its own. */
export async function keepInPass({ prompt, env, providers }: PresetContext, choice: FieldChoice, command: string): Promise<Keeping> {
  const folder = env.PASSWORD_STORE_DIR || join(env.HOME ?? '', '.password-store');
  if (!existsSync(join(folder, '.gpg-id'))) throw new Error('the password store is not set up yet; run `pass init <id of your gpg key>` in another terminal');
  const entry = await prompt.text('Entry of the password store', {
    preset: `durar/${shortName(choice)}`,
    check: (text) => (/^[^\s-][^\s]*$/.test(text) && !text.split('/').includes('..') ? undefined : 'A name without spaces, such as durar/openai.'),
  });
  const block: ProviderBlock = { source: 'exec', command, args: ['show', entry], passEnv: PASS_ENV, jsonOnly: false, ...(await linkSettings(command)) };
  const alias = freeAlias(`pass_${aliasPart(entry.replace(/^durar\//, ''))}`, block, providers);
  return {
    ref: { source: 'exec', provider: alias, id: 'value' },
    provider: { alias, block },
    store: {
      how: `pass insert ${entry}`,
      exists: existsSync(join(folder, `${entry}.gpg`)),
      run: (value) => runWith(command, ['insert', '--multiline', entry], value, env),
    },
  };
}

/** A place in a JSON file. */
export async function keepInFile({ prompt, paths, providers, defaults }: PresetContext, choice: FieldChoice): Promise<Keeping> {
  const known = String(defaults.file ?? Object.keys(providers).find((name) => isJsonFile(providers[name])) ?? '');
  const present = providers[known];
  const path = isJsonFile(present) ? present.path : await prompt.text('File', { preset: '~/.Durar/secrets.json' });
  const block: ProviderBlock = { source: 'file', path, mode: 'json' };
  const alias = isJsonFile(present) ? known : freeAlias('keys', block, providers);
  const id = await prompt.text('Place in it (JSON pointer)', {
    preset: toPointer(choice.path[0] === 'models' ? choice.path.slice(1) : choice.path),
    check: (text) =>
      /^(?:\/(?:[^~/]|~[01])+)+$/.test(text) && !text.split('/').some(isForbiddenKey) ? undefined : 'It begins with /, such as /providers/openai/apiKey.',
  });
  const file = configuredPath(path, paths);
  const keys = id
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  return {
    ref: { source: 'file', provider: alias, id },
    ...(isJsonFile(present) ? {} : { provider: { alias, block } }),
    store: {
      how: `put it at ${id} of the JSON object in ${path}, and let only you read it: chmod 600 ${path}`,
      exists: getAt(await readObject(file), keys) !== undefined,
      run: (value) => putInto(file, keys, value),
    },
  };
}

/** A variable of the gateway's environment. */
export async function keepInEnvironment({ prompt, providers, defaults, variable }: PresetContext, choice: FieldChoice): Promise<Keeping> {
  const alias = typeof defaults.env === 'string' ? defaults.env : 'default';
  const preset =
    variable ??
    `${shortName(choice)
      .toUpperCase()
      .replaceAll(/[^A-Z0-9]+/g, '_')}_SECRET`;
  const id = await prompt.text('Variable', {
    preset,
    check: (text) => (/^(?:Durar_)?[A-Z][A-Z0-9_]{0,127}$/.test(text) ? undefined : 'Capital letters, digits and _, such as OPENAI_API_KEY.'),
  });
  const isMissing = alias !== 'default' && providers[alias] === undefined;
  return {
    ref: { source: 'env', provider: alias, id },
    ...(isMissing ? { provider: { alias, block: { source: 'env' } } } : {}),
    store: { how: `set ${id} in the environment of the gateway's service, and in this shell to check it: read -rs ${id} && export ${id}`, exists: false },
  };
}

/** A name for an alias that is new, or has this very block. */
export function freeAlias(wanted: string, block: object, providers: Readonly<Record<string, unknown>>): string {
  const base = ALIAS.test(wanted) ? wanted : `s_${aliasPart(wanted)}`.slice(0, 60);
  for (let count = 1; ; count += 1) {
    const alias = count === 1 ? base : `${base.slice(0, 60)}_${count}`;
    if (providers[alias] === undefined || JSON.stringify(providers[alias]) === JSON.stringify(block)) return alias;
  }
}

/** What a command behind a link needs to be run: package managers put one on the path. */
export async function linkSettings(command: string): Promise<{ allowSymlinkCommand?: true; trustedDirs?: string[] }> {
  if (!(await lstat(command)).isSymbolicLink()) return {};
  return { allowSymlinkCommand: true, trustedDirs: [dirname(await realpath(command))] };
}

function shortName({ path, provider }: FieldChoice): string {
  if (provider !== undefined && provider !== '' && (path[0] === 'profiles' || path.at(-1) === 'apiKey')) return provider;
  if (path[0] === 'channels') return path.slice(1).join('-');
  return path.filter((segment) => !['models', 'providers', 'plugins', 'entries', 'config'].includes(String(segment))).join('-');
}

function aliasPart(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, '_')
    .slice(0, 50);
}

function isJsonFile(block: unknown): block is { source: 'file'; path: string } {
  return isRecord(block) && block.source === 'file' && typeof block.path === 'string' && block.mode !== 'singleValue';
}

/** Runs a command with a value on its stdin: it stands in no command line, and what the command prints is not shown. */
async function runWith(command: string, args: string[], value: string, env: Environment): Promise<void> {
  const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'ignore'], env: Object.fromEntries(PASS_ENV.map((name) => [name, env[name]])) });
  const ended = once(child, 'exit') as Promise<[code: number | null]>;
  // of one that ends before it reads, the exit code tells
  child.stdin.on('error', () => undefined);
  child.stdin.end(`${value}\n`);
  const [code] = await ended;
  if (code !== 0) throw new Error(`'${command} ${args.join(' ')}' ended with exit code ${code}; run it by hand to see why`);
}

async function putInto(file: string, keys: readonly string[], value: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await withWriteLock(file, async () => {
    const root = await readObject(file);
    let holder: Record<string, unknown> = root;
    for (const key of keys.slice(0, -1)) {
      const next = holder[key] ?? {};
      if (!isRecord(next)) throw new Error(`'${key}' in ${file} holds a value, not an object`);
      holder[key] = next;
      holder = next;
    }
    holder[keys.at(-1) ?? ''] = value;
    await writePrivateFile(file, `${JSON.stringify(root, null, 2)}\n`);
  });
}

async function readObject(file: string): Promise<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (isRecord(value)) return value;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return {};
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Error(`'${file}' holds no JSON object`);
}
