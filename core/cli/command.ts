import type { Paths } from '../config/paths.ts';
import type { Output } from './output.ts';

/** One option, in the notation `-s, --long <value>`. */
export interface OptionSpec {
  flags: string;
  text: string;
  choices?: readonly string[];
  /** Turns the word into a number or refuses it. */
  number?: true;
  /** May be given more than once; the values become a list. */
  repeat?: true;
}

/** One command as the table describes it. Nothing is imported for it before it runs. */
export interface CommandSpec {
  name: string;
  aliases?: readonly string[];
  summary: string;
  /** Positional arguments: `<path> [value]`, `[ids...]`. */
  args?: string;
  options?: readonly OptionSpec[];
  /** Command line (without `durar`) and what it does. */
  examples?: ReadonlyArray<readonly [string, string]>;
  commands?: readonly CommandSpec[];
  /** Imports the code. A group without it shows its help. */
  load?: () => Promise<Action>;
}

/** What a command gets. `options` holds its own flags in camelCase, as its table row declares them. */
export interface CommandContext {
  /** Words after the command; a variadic argument is spread at the end. */
  args: string[];
  options: Record<string, unknown>;
  output: Output;
  paths: Paths;
  env: NodeJS.ProcessEnv;
  /** The whole table, for commands about commands. */
  commands: readonly CommandSpec[];
  /** `--log-level`, where given. */
  logLevel?: string;
}

/** Runs one command. The number is its exit code; nothing means 0. */
export type Action = (context: CommandContext) => Promise<number | void>;

/** Every command of a table with the words that lead to it, groups before their children. */
export function* walkCommands(table: readonly CommandSpec[], before: readonly string[] = []): Generator<{ path: readonly string[]; spec: CommandSpec }> {
  for (const spec of table) {
    const path = [...before, spec.name];
    yield { path, spec };
    yield* walkCommands(spec.commands ?? [], path);
  }
}

/** `-l, --link <folder>` -> `['-l', '--link']`. */
export function flagNames(option: OptionSpec): string[] {
  return option.flags.split(/[ ,]+/).filter((word) => word.startsWith('-'));
}
