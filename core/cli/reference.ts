import { type CommandSpec, type OptionSpec, walkCommands } from './command.ts';

/** `docs/reference/cli.md`, made from the command table. */
export function cliReference(table: readonly CommandSpec[], globals: readonly OptionSpec[]): string {
  const sections = [...walkCommands(table)].map(({ path, spec }) => commandSection(path, spec));
  return `# Command line

Generated from the command table by \`node core/cli/reference.ts\`; do not edit.

Exit codes: 0 done, 1 failed, 2 the command line was not understood. With \`--json\` stdout holds exactly one JSON document, also for a failure:
\`{"ok": false, "error": {"code", "message", "hint", "owner", "retry"}}\`. Without it results go to stdout, failures and hints to stderr.

## Options of every command

${optionTable([...globals, { flags: '-h, --help', text: 'show help' }])}

\`durar --version\` (\`-V\`, \`-v\`) prints the version, \`durar help <command>\` the help of a command.

${sections.join('\n')}`;
}

function commandSection(path: readonly string[], spec: CommandSpec): string {
  const parts = [`${'#'.repeat(path.length + 1)} \`durar ${[...path, spec.args].filter(Boolean).join(' ')}\``, sentence(spec.summary)];
  if (spec.aliases !== undefined) parts.push(`Also: ${spec.aliases.map((alias) => `\`${[...path.slice(0, -1), alias].join(' ')}\``).join(', ')}.`);
  if (spec.options !== undefined && spec.options.length > 0) parts.push(optionTable(spec.options));
  if (spec.examples !== undefined) parts.push(`\`\`\`bash\n${spec.examples.map(([line, text]) => `durar ${line}   # ${text}`).join('\n')}\n\`\`\``);
  return `${parts.join('\n\n')}\n`;
}

function optionTable(options: readonly OptionSpec[]): string {
  const rows = options.map(({ flags, text, choices, repeat }) => {
    const extra = [choices === undefined ? '' : `: ${choices.map((choice) => `\`${choice}\``).join(', ')}`, repeat ? ' (may be repeated)' : ''].join('');
    return `| \`${flags}\` | ${`${text}${extra}`.replaceAll('|', '\\|')} |`;
  });
  return ['| Option | Effect |', '| --- | --- |', ...rows].join('\n');
}

function sentence(text: string): string {
  return `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}.`;
}

if (import.meta.main) {
  const [{ mkdir, writeFile }, { COMMANDS }, { GLOBAL_OPTIONS }] = await Promise.all([
    import('node:fs/promises'),
    import('./table.ts'),
    import('./program.ts'),
  ]);
  const folder = new URL('../../docs/reference/', import.meta.url);
  await mkdir(folder, { recursive: true });
  await writeFile(new URL('cli.md', folder), cliReference(COMMANDS, GLOBAL_OPTIONS));
}
