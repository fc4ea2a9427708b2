import type { LoadedConfig } from '../config/load.ts';
import { isLevel, resolveLevels } from '../logging/level.ts';
import { createLogging, type Logging } from '../logging/logging.ts';
import type { CommandContext } from './command.ts';

/** The log of a gateway: levels from flag, environment and configuration; with `--json` the console lines go to stderr. */
export function openLog({ output, options, env, logLevel }: CommandContext, { config }: LoadedConfig): Logging {
  const { level, consoleLevel, file, ...settings } = config.logging;
  return createLogging({
    ...settings,
    ...resolveLevels({ level, consoleLevel, env: env.Durar_LOG_LEVEL, flag: isLevel(logLevel) ? logLevel : undefined, verbose: options.verbose === true }),
    ...(file === undefined ? {} : { file }),
    ...(output.json ? { stdout: process.stderr } : {}),
    env: options.color === false ? { ...env, NO_COLOR: '1' } : env,
  });
}
