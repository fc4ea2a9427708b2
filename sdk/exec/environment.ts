import { delimiter } from 'node:path';

/** Variables by which a caller could make another program run than the one that is judged. */
const REFUSED = /^(?:PATH|LD_.*|DYLD_.*|BASH_ENV|ENV|BASH_FUNC_.*|BASHOPTS|SHELLOPTS|IFS|PS4|PROMPT_COMMAND|NODE_OPTIONS|PYTHON.*|PERL.*|RUBY.*)$/i;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** The product's own credentials, and what would run code in the shell before the command. */
const WITHHELD = /^(?:(?:durar|openclaw)_.*(?:token|password|secret|key)|BASH_ENV|ENV|BASH_FUNC_.*)$/i;

/** The child's environment: the host's, what the call adds, and the mark by which programs know where they run. Throws on a refused name. */
export function childEnvironment(host: NodeJS.ProcessEnv, added: Readonly<Record<string, unknown>>, pathPrepend: readonly string[]): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(host)) if (value !== undefined && !WITHHELD.test(name)) result[name] = value;
  for (const [name, value] of Object.entries(added)) {
    if (!NAME.test(name) || REFUSED.test(name)) throw new Error(`the variable '${name}' may not be set for a command`);
    if (typeof value !== 'string' || value.includes('\0')) throw new Error(`the value of '${name}' is not a text`);
    result[name] = value;
  }
  result.PATH = [...pathPrepend, host.PATH ?? '/usr/local/bin:/usr/bin:/bin'].join(delimiter);
  result.Durar_SHELL = 'exec';
  return result;
}

/** Variables that change how a program looks, not what it does. */
export const HARMLESS_ENV = /^(?:TERM|LANG|LC_[A-Z]+|COLORTERM|NO_COLOR|FORCE_COLOR)$/;

/** What of the wanted variables may be set; a shell gets only the harmless ones. For hosts that leave names out instead of refusing the call. */
export function acceptable(wanted: Readonly<Record<string, unknown>>, isShell: boolean): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(wanted)) {
    if (typeof value !== 'string' || value.includes('\0') || !NAME.test(name) || REFUSED.test(name)) continue;
    if (!isShell || HARMLESS_ENV.test(name)) kept[name] = value;
  }
  return kept;
}
