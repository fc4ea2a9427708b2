import { readFile } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import { durarError, errorText } from '../../../sdk/errors.ts';
import { loadConfig } from '../../config/load.ts';
import { type BootReport, type GatewayFlags, printBootReport } from '../boot-report.ts';
import type { Action, CommandContext } from '../command.ts';
import { oneLine } from '../printable.ts';

const EXIT_FORCED = 1;
const FLUSH_AFTER_MS = 2000;
const COMMAND_WIDTH = 120;

interface RunOptions extends GatewayFlags {
  passwordFile?: string;
  compact?: true;
}

/** `durar gateway run`: lives until a signal or the gateway itself ends it. */
export const gatewayRun: Action = async (context) => {
  const { output, paths, env } = context;
  const [flags, loaded, { runGateway }, { openLog }] = await Promise.all([
    readFlags(context),
    loadConfig(context),
    import('../compose.ts'),
    import('../log.ts'),
  ]);
  outliveReaders();
  const log = openLog(context, loaded);
  if (flags.force) await freePort(flags.port ?? (Number(env.Durar_GATEWAY_PORT) || loaded.config.gateway.port), context);
  const print = (report: BootReport) => output.result(report, () => printBootReport(report, output));
  const gateway = await runGateway({ paths, env, flags, log, loaded, print });
  // A gateway is seldom ended in a way that lets Node write its code cache at exit.
  setTimeout(flushCompileCache, FLUSH_AFTER_MS).unref();
  let isStopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(EXIT_FORCED);
      isStopping = true;
      output.note(`\nStopping (${signal}); a second signal ends it at once.`);
      void gateway.stop(signal).catch((error) => {
        output.note(errorText(error));
        process.exitCode = EXIT_FORCED;
      });
    });
  }
  await gateway.closed;
  // timers and sockets that an extension left behind would keep the process
  process.exit(process.exitCode ?? 0);
};

/** Whoever started it and read along may be gone (`durar gateway run | head`, a closed terminal); the gateway goes on without. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => undefined);
}

/** Ends whatever listens there, gateway or not, and says what it was. */
async function freePort(port: number, { output }: CommandContext): Promise<void> {
  const { endProcess, findPortHolders } = await import('../port-holder.ts');
  for (const { pid, command } of await findPortHolders(port)) {
    await endProcess(pid);
    output.note(`Ended process ${pid}, which held port ${port}: ${oneLine(command, COMMAND_WIDTH)}`);
  }
}

async function readFlags({ options, paths }: CommandContext): Promise<GatewayFlags> {
  const { port, bind, auth, token, password, passwordFile, force, verbose, wsLog, compact, allowUnconfigured } = options as RunOptions;
  if (passwordFile !== undefined && password !== undefined) throw durarError('DUR_CLI_USAGE', { reason: '--password and --password-file exclude each other' });
  const given = { port, bind, auth, token, password, force, verbose, wsLog: compact ? ('compact' as const) : wsLog };
  return {
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as GatewayFlags),
    ...(passwordFile === undefined ? {} : { password: await readPassword(passwordFile) }),
    allowUnconfigured: allowUnconfigured === true || paths.profile === 'dev',
  };
}

async function readPassword(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw durarError('DUR_CLI_USAGE', { reason: `cannot read the password file '${file}'` }, { cause, hint: 'Check its path and its permissions.' });
  });
  const password = text.trimEnd();
  if (password === '') throw durarError('DUR_CLI_USAGE', { reason: `the password file '${file}' is empty` }, { hint: 'Write the password into it.' });
  return password;
}
