import { durarError, errorCode, reportError } from '../../sdk/errors.ts';
import type { CommandContext } from './command.ts';
import { createOutput } from './output.ts';
import { parseCommandLine } from './program.ts';
import { COMMANDS } from './table.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** Runs one command line and returns the exit code: 0 done, 1 failed, 2 not understood. Never throws. */
export async function main(argv: string[]): Promise<number> {
  const { env } = process;
  // A reader that goes away (`durar plugins list | head`) ends the command quietly.
  process.stdout.on('error', (error) => {
    if (errorCode(error) === 'EPIPE') process.exit();
    throw error;
  });
  const flags = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined);
  const output = createOutput({ json: flags.includes('--json'), colour: !flags.includes('--no-color'), env });
  try {
    const invocation = parseCommandLine(COMMANDS, argv, output);
    if (invocation?.spec.load === undefined) return 0;
    const { resolvePaths } = await import('../config/paths.ts');
    const { dev, profile, logLevel, ...options } = invocation.options;
    if (dev === true && typeof profile === 'string' && profile !== 'dev')
      throw durarError('DUR_CLI_USAGE', { reason: '--dev and --profile exclude each other' });
    const context: CommandContext = {
      args: invocation.args,
      options,
      output,
      env,
      paths: resolvePaths({ env, dev: dev === true, ...(typeof profile === 'string' ? { profile } : {}) }),
      ...(typeof logLevel === 'string' ? { logLevel } : {}),
    };
    const action = await invocation.spec.load();
    return (await action(context)) ?? 0;
  } catch (error) {
    output.failure(reportError(error));
    return errorCode(error) === 'DUR_CLI_USAGE' ? EXIT_USAGE : EXIT_FAILURE;
  }
}
