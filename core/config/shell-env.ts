import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type DurarError, durarError, errorText } from '../../sdk/errors.ts';

/** What a login shell would set, for programs that were not started from one. */
export async function readShell(env: Record<string, string | undefined>, timeout: number, warnings: DurarError[]): Promise<Record<string, unknown>> {
  const shell = env.SHELL || '/bin/sh';
  try {
    const { stdout } = await promisify(execFile)(shell, ['-l', '-c', 'env -0'], { env, timeout, maxBuffer: 4 * 1024 * 1024, encoding: 'utf8' });
    const pairs = stdout.split('\0').map((line): [string, string] => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    });
    return Object.fromEntries(pairs.filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)));
  } catch (error) {
    warnings.push(durarError('DUR_CONFIG_SHELL_ENV', { shell, reason: errorText(error) }, { cause: error }));
    return {};
  }
}
