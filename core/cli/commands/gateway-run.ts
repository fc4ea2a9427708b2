import { readFile } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import { DurarError, durarError, errorCode, errorText } from '../../../sdk/errors.ts';
import { loadConfig } from '../../config/load.ts';
import type { Action, CommandContext } from '../command.ts';
import { type BootReport, type GatewayFlags, printBootReport } from '../gateway/boot-report.ts';
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
    import('../gateway/compose.ts'),
    import('../log.ts'),
  ]);
  outliveReaders();
  const log = openLog(context, loaded);
  const port = flags.port ?? (Number(env.Durar_GATEWAY_PORT) || loaded.config.gateway.port);
  if (flags.force) await freePort(port, context);
  const print = (report: BootReport) => output.result(report, () => printBootReport(report, output));
  const gateway = await runGateway({ paths, env, flags, log, loaded, print }).catch(async (error: unknown) => {
    throw errorCode(error) === 'DUR_GATEWAY_IN_USE' ? await withHolder(error as DurarError, port, paths.profile) : error;
  });
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
  const { endProcess, findPortHolders } = await import('../gateway/port-holder.ts');
  for (const { pid, command } of await findPortHolders(port)) {
    await endProcess(pid);
    output.note(`Ended process ${pid}, which held port ${port}: ${oneLine(command, COMMAND_WIDTH)}`);
  }
}

/** The same error with the process that holds the port, as far as it is known, and what ends that one. */
async function withHolder(error: DurarError, port: number, profile: string | undefined): Promise<DurarError> {
  const { findPortHolders } = await import('../gateway/port-holder.ts');
  const [holder] = await findPortHolders(port);
  if (holder === undefined) return error;
  const { pid, command } = holder;
  const words = command.split(' ');
  const at = words.indexOf('--profile');
  const itsProfile = words.includes('--dev') ? 'dev' : at < 0 ? undefined : words[at + 1];
  // A gateway of this very state would have been met at the lock, before the port.
  const isOther = /\bdurar\b/.test(command) && words.includes('gateway') && itsProfile !== profile;
  const stop = isOther ? `durar ${itsProfile === undefined ? '' : `--profile ${itsProfile} `}gateway stop` : `kill ${pid}`;
  // Options may hold a token.
  const shown = command.split(' -', 1)[0] ?? command;
  const hint = `End it with \`${stop}\`, or choose another --port.`;
  return new DurarError(error.code, `${error.message} (process ${pid}: ${oneLine(shown, COMMAND_WIDTH)})`, { hint, cause: error.cause });
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
