import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { type DurarError, durarError } from '../../sdk/errors.ts';
import { suggest } from '../../sdk/suggest.ts';
import type { CommandSpec, OptionSpec } from './command.ts';
import type { Output } from './output.ts';

/** What the words of the command line ask for. */
export interface Invocation {
  spec: CommandSpec;
  args: string[];
  /** The command's own and the global options, by camelCase name. */
  options: Record<string, unknown>;
}

/** The flags that every command takes, before or after its name. `--version` is answered before this module is imported. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { flags: '--dev', text: 'use the profile "dev": state in ~/.Durar-dev, port 19001' },
  { flags: '--profile <name>', text: 'use the state and the configuration in ~/.Durar-<name>' },
  { flags: '--json', text: 'print one JSON document' },
  { flags: '--no-color', text: 'print without colours (also NO_COLOR=1)' },
  {
    flags: '--log-level <level>',
    text: 'log level, above Durar_LOG_LEVEL and the configuration',
    choices: ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'],
  },
];

const ROOT: CommandSpec = {
  name: 'durar',
  summary: 'Durar hosts AI agents: one gateway, every part an extension',
  options: [{ flags: '-V, --version', text: 'print the version (also -v)' }],
  examples: [
    ['gateway run', 'start the gateway in this terminal'],
    ['chat', 'talk to your agent'],
    ['plugins create my-engine --kind context-engine', 'begin an extension'],
    ['<command> --help', 'more about one command'],
  ],
};

/** Parses the command line against the table, spelling out only the commands that it names. Returns undefined when it has shown help. Throws `DUR_CLI_USAGE`. */
export function parseCommandLine(commands: readonly CommandSpec[], argv: readonly string[], output: Output): Invocation | undefined {
  const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  let invocation: Invocation | undefined;
  const root = describe(new Command(ROOT.name), ROOT, output).helpOption('-h, --help', 'show this help');
  for (const spec of commands) addCommand(root, spec, words, output, (found) => (invocation = found));
  if (words.length === 0) {
    root.outputHelp();
    return undefined;
  }
  try {
    root.parse(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed') return undefined;
    throw error.code === 'commander.help' ? missingSubcommand(commands, words) : usageError(error, root, words);
  }
  return invocation;
}

function addCommand(parent: Command, spec: CommandSpec, words: readonly string[], output: Output, found: (invocation: Invocation) => void): void {
  const command = describe(parent.command(spec.name).aliases(spec.aliases ?? []), spec, output);
  if (![spec.name, ...(spec.aliases ?? [])].some((name) => words.includes(name))) return;
  for (const argument of spec.args?.split(' ') ?? []) command.argument(argument);
  for (const child of spec.commands ?? []) addCommand(command, child, words, output, found);
  if (spec.load === undefined) return;
  // A group that also runs by itself must tell a misspelt subcommand from its own words.
  if (spec.commands !== undefined) command.allowExcessArguments();
  command.action(() => {
    const word = command.args[0];
    if (spec.commands !== undefined && word !== undefined) command.error(`error: unknown command '${word}'`, { code: 'commander.unknownCommand' });
    found({ spec, args: command.args, options: command.optsWithGlobals() });
  });
}

function describe(command: Command, spec: CommandSpec, output: Output): Command {
  const { paint } = output;
  command
    .summary(spec.summary)
    .description(`${spec.summary[0]?.toUpperCase() ?? ''}${spec.summary.slice(1)}.`)
    .enablePositionalOptions()
    .helpCommand(false)
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => process.stdout.write(text), writeErr() {}, getOutHasColors: () => true })
    .configureHelp({
      styleTitle: (text) => paint.accent(text),
      styleCommandText: (text) => paint.bold(text),
      styleSubcommandText: (text) => paint.info(text),
      styleOptionText: (text) => paint.info(text),
      styleArgumentText: (text) => paint.info(text),
    });
  for (const option of spec.options ?? []) command.addOption(createOption(option));
  for (const option of GLOBAL_OPTIONS) command.addOption(createOption(option).helpGroup('Global options:'));
  if (spec.examples !== undefined) {
    const lines = spec.examples.map(([line, text]) => `  ${paint.bold(`durar ${line}`)}\n      ${paint.muted(text)}`);
    command.addHelpText('after', `\n${paint.accent('Examples:')}\n${lines.join('\n')}`);
  }
  return command;
}

function createOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.text);
  if (spec.choices !== undefined) option.choices([...spec.choices]);
  if (spec.number) option.argParser(parseNumber);
  if (spec.repeat) option.argParser((value: string, list: string[] | undefined) => [...(list ?? []), value]);
  return option;
}

function parseNumber(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number) || number < 0) throw new InvalidArgumentError('It must be a number of zero or more.');
  return number;
}

/** Of the innermost group that the words lead to. */
function missingSubcommand(commands: readonly CommandSpec[], words: readonly string[]): DurarError {
  const path: string[] = [];
  let names = commands;
  for (const word of words) {
    const group = names.find((spec) => spec.commands !== undefined && (spec.name === word || spec.aliases?.includes(word) === true));
    if (group === undefined) continue;
    path.push(group.name);
    names = group.commands ?? [];
  }
  const hint = `Choose one of: ${names.map(({ name }) => name).join(', ')}.`;
  return durarError('DUR_CLI_USAGE', { reason: `'durar ${path.join(' ')}' needs a subcommand` }, { hint });
}

function usageError(error: CommanderError, root: Command, words: readonly string[]): DurarError {
  const reason = error.message.replace(/^error: /, '').replace(/\.$/, '');
  const command = deepest(root, words);
  const path = commandPath(command);
  const unknown = /unknown (command|option) '([^'=]+)/.exec(reason);
  const word = unknown?.[2];
  const similar = word === undefined ? undefined : unknown?.[1] === 'command' ? similarCommand(word, command) : suggest(word, longFlags(command));
  const hint = similar === undefined ? `Run \`${path} --help\` to see what it takes.` : `Did you mean \`${similar}\`?`;
  return durarError('DUR_CLI_USAGE', { reason }, { hint });
}

/** The whole command line that was probably meant. Help and version are options, but asked for by word as well. */
function similarCommand(word: string, command: Command): string | undefined {
  const asked = command.parent === null ? ['help', 'version'] : ['help'];
  const similar = suggest(word, [...command.commands.flatMap((child) => [child.name(), ...child.aliases()]), ...asked]);
  if (similar === undefined) return undefined;
  return `${commandPath(command)} ${asked.includes(similar) ? '--' : ''}${similar}`;
}

/** The command that the leading words name, as far as they do. */
function deepest(root: Command, words: readonly string[]): Command {
  let command = root;
  for (const word of words) command = command.commands.find((child) => child.name() === word || child.aliases().includes(word)) ?? command;
  return command;
}

function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}

function longFlags(command: Command): string[] {
  return [...command.options.map((option) => option.long ?? option.short ?? ''), '--help'];
}
