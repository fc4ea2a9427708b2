import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { type DurarError, durarError, errorCode, errorText } from '../../sdk/errors.ts';
import { isRecord } from './config-path.ts';
import { substituteTree } from './env.ts';
import { type ReadText, readText } from './include.ts';
import type { Environment, Paths } from './paths.ts';
import type { Locate } from './validate.ts';

export interface EnvironmentOptions {
  paths: Paths;
  env: Environment;
  cwd: string;
  /** The `env` block of the configuration, not yet validated. */
  block: unknown;
  file: string;
  errors: DurarError[];
  warnings: DurarError[];
  locate: Locate;
  read?: ReadText | undefined;
}

/** The effective environment. A source never overrides a variable that an earlier one set to something. */
export async function buildEnvironment(options: EnvironmentOptions): Promise<Environment> {
  const { paths, cwd, warnings } = options;
  const result: Record<string, string | undefined> = { ...options.env };
  for (const file of new Set([join(cwd, '.env'), join(paths.stateDir, '.env')]))
    addMissing(result, await readEnvFile(file, options.read ?? readText, warnings));
  const block = substituteTree(isRecord(options.block) ? options.block : {}, {
    env: result,
    keep: () => false,
    errors: options.errors,
    file: options.file,
    locate: options.locate,
    root: ['env'],
  });
  if (!isRecord(block)) return result;
  const { vars, shellEnv, ...direct } = block;
  addMissing(result, direct);
  if (isRecord(vars)) addMissing(result, vars);
  const shell = isRecord(shellEnv) ? shellEnv : {};
  if (shell.enabled === true || result.Durar_LOAD_SHELL_ENV === '1') {
    const { readShell } = await import('./shell-env.ts');
    addMissing(result, await readShell(result, typeof shell.timeoutMs === 'number' ? shell.timeoutMs : 15_000, warnings));
  }
  return result;
}

function addMissing(target: Record<string, string | undefined>, values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) if (typeof value === 'string' && !target[name]) target[name] = value;
}

async function readEnvFile(file: string, read: ReadText, warnings: DurarError[]): Promise<Record<string, unknown>> {
  try {
    return parseEnv(await read(file));
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR')
      warnings.push(durarError('DUR_CONFIG_UNREADABLE', { file, reason: errorText(error) }, { owner: { file }, cause: error }));
    return {};
  }
}
