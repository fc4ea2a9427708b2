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
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (errorCode(error) === 'EPIPE') process.exit();
      throw error;
    });
  }
  const flags = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined);
  const output = createOutput({ json: flags.includes('--json'), colour: !flags.includes('--no-color'), env });
  try {
    const invocation = parseCommandLine(COMMANDS, argv, output);
    if (invocation?.spec.load === undefined) return 0;
    const { resolvePaths } = await import('../config/paths.ts');
    const { dev, profile, logLevel, ...options } = invocation.options as { dev?: true; profile?: string; logLevel?: string };
    if (dev && profile !== undefined && profile !== 'dev') throw durarError('DUR_CLI_USAGE', { reason: '--dev and --profile exclude each other' });
    const context: CommandContext = {
      args: invocation.args,
      options,
      output,
      env,
      commands: COMMANDS,
      paths: resolvePaths({ env, ...(profile === undefined ? {} : { profile }), ...(dev ? { dev } : {}) }),
      ...(logLevel === undefined ? {} : { logLevel }),
    };
    const action = await invocation.spec.load();
    return (await action(context)) ?? 0;
  } catch (error) {
    output.failure(failuresOf(error).map(reportError));
    if (error instanceof Error && errorCode(error)?.startsWith('DUR_') !== true && flags.includes('--log-level')) output.note(error.stack ?? '');
    return errorCode(error) === 'DUR_CLI_USAGE' ? EXIT_USAGE : EXIT_FAILURE;
  }
}

/** A host that does not start names all its reasons at once. */
function failuresOf(error: unknown): unknown[] {
  if (error instanceof Error && 'failures' in error && Array.isArray(error.failures) && error.failures.length > 0) return error.failures;
  return [error];
}
