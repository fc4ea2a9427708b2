import { type CommandSpec, flagNames, type OptionSpec, walkCommands } from './command.ts';

export type Shell = 'bash' | 'zsh' | 'fish' | 'powershell';

/** What may follow one command: its subcommands and its flags, each with the text that a shell shows beside it. */
interface Place {
  /** Words after `durar`, joined by spaces. */
  path: string;
  next: Array<readonly [word: string, text: string]>;
}

/** The completion script of a shell, made from the table alone: completing runs no Durar process. */
export function completionScript(shell: Shell, table: readonly CommandSpec[], globals: readonly OptionSpec[]): string {
  const places = listPlaces(table, globals);
  return { bash, zsh, fish, powershell }[shell](places);
}

function listPlaces(table: readonly CommandSpec[], globals: readonly OptionSpec[]): Place[] {
  const place = (path: string, commands: readonly CommandSpec[], options: readonly OptionSpec[]): Place => ({
    path,
    next: [
      ...commands.map((command) => [command.name, command.summary] as const),
      ...[...options, ...globals].flatMap((option) => flagNames(option).map((flag) => [flag, option.text] as const)),
      ['--help', 'show help'],
    ],
  });
  return [place('', table, []), ...[...walkCommands(table)].map(({ path, spec }) => place(path.join(' '), spec.commands ?? [], spec.options ?? []))];
}

/** Follows the words before the cursor as far as they are commands; what else they are does not matter. */
function bash(places: Place[]): string {
  return `# bash completion of durar
_durar() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" place="" word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${place:+$place }\${COMP_WORDS[i]}"
    case "$word" in
      ${pathPattern(places)}) place="$word" ;;
    esac
  done
  case "$place" in
${places.map(({ path, next }) => `    ${quote(path)}) COMPREPLY=($(compgen -W ${quote(next.map(([word]) => word).join(' '))} -- "$cur")) ;;`).join('\n')}
  esac
  [[ \${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$cur"))
}
complete -F _durar durar
`;
}

function zsh(places: Place[]): string {
  const describe = ({ path, next }: Place) =>
    `    ${quote(path)}) next=(${next.map(([word, text]) => quote(`${word.replaceAll(':', '\\:')}:${text}`)).join(' ')}) ;;`;
  return `#compdef durar
_durar() {
  local place="" word i
  local -a next
  for ((i = 2; i < CURRENT; i++)); do
    word="\${place:+$place }\${words[i]}"
    case "$word" in
      ${pathPattern(places)}) place="$word" ;;
    esac
  done
  case "$place" in
${places.map(describe).join('\n')}
  esac
  _describe -t commands durar next || _files
}
if [[ "\${funcstack[1]}" = _durar ]]; then _durar "$@"; else compdef _durar durar; fi
`;
}

function fish(places: Place[]): string {
  const lines = places.flatMap(({ path, next }) =>
    next.map(([word, text]) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : word.startsWith('-') ? `-s ${word.slice(1)}` : `-a ${word}`;
      return `complete -c durar -n '__durar_at ${quoteFish(path)}' ${what} -d ${quote(text)}`;
    }),
  );
  return `# fish completion of durar
function __durar_at
  set -l place ''
  for word in (commandline -opc)[2..-1]
    set -l longer (string trim "$place $word")
    contains -- $longer ${places.flatMap(({ path }) => (path === '' ? [] : [quote(path)])).join(' ')}; and set place $longer
  end
  test "$place" = "$argv[1]"
end
${lines.join('\n')}
`;
}

function powershell(places: Place[]): string {
  const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
  return `# PowerShell completion of durar
Register-ArgumentCompleter -Native -CommandName durar -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $next = @{
${places.map((place) => `    ${text(place.path)} = @(${place.next.map(([word, hint]) => `@(${text(word)}, ${text(hint)})`).join(', ')})`).join('\n')}
  }
  $place = ''
  foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
    $longer = "$place $element".Trim()
    if ($next.ContainsKey($longer) -and $element.Extent.EndOffset -lt $cursorPosition) { $place = $longer }
  }
  $next[$place] | Where-Object { $_[0] -like "$wordToComplete*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_[0], $_[0], 'ParameterValue', $_[1])
  }
}
`;
}

function pathPattern(places: Place[]): string {
  return places.flatMap(({ path }) => (path === '' ? [] : [quote(path)])).join('|');
}

/** Single quotes for POSIX shells. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A word inside a fish condition that is single-quoted already. */
function quoteFish(text: string): string {
  return `"${text}"`;
}
