import { errorText, type SecretsProvider } from 'Durar/plugin-sdk/core';
import { type PathTrust, trustPath } from 'Durar/plugin-sdk/trusted-path';
import { dirname } from 'node:path';
import { emptyAnswer, PROTOCOL_VERSION, readAnswer } from './answer.ts';
import { runProgram } from './run.ts';
import { readSettings } from './settings.ts';

/** What a process on Windows cannot do without. Elsewhere it needs nothing. */
const BASE_ENV: readonly string[] = process.platform === 'win32' ? ['SystemRoot', 'SystemDrive', 'windir'] : [];

/** Serves the source `exec`: one process a call, for all ids. */
export function createExecSecrets(system: Pick<PathTrust, 'platform' | 'verifyAcl'> = {}): SecretsProvider {
  return {
    source: 'exec',
    async resolve({ provider, config, ids, env = process.env, signal }) {
      if (ids.length === 0) return emptyAnswer();
      const settings = readSettings(config);
      const { command, args, jsonOnly, timeoutMs, noOutputTimeoutMs, maxOutputBytes, trustedDirs } = settings;
      signal?.throwIfAborted();
      const { path } = await trustPath(command, {
        kind: 'program',
        mayLink: settings.allowSymlinkCommand,
        allowInsecure: settings.allowInsecurePath,
        ...(trustedDirs === undefined ? {} : { trustedDirs }),
        ...system,
      });
      // The file that was checked is the one that runs, under the name that the operator gave it.
      const printed = await runProgram({
        file: path,
        name: command,
        args,
        env: environmentOf(settings, env),
        cwd: dirname(path),
        input: `${JSON.stringify({ protocolVersion: PROTOCOL_VERSION, provider, ids })}\n`,
        timeoutMs,
        noOutputTimeoutMs,
        maxOutputBytes,
        signal,
      });
      try {
        return readAnswer(printed, ids, jsonOnly);
      } catch (error) {
        throw new Error(`'${command}' failed: ${errorText(error)}`);
      }
    },
  };
}

function environmentOf({ passEnv, env: literal }: ReturnType<typeof readSettings>, env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const passed = [...BASE_ENV, ...passEnv].flatMap((name): Array<[string, string]> => {
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(passed), ...literal };
}
