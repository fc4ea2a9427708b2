import { createHash } from 'node:crypto';

/** A command as it was approved: what runs is this, not what the caller says later. */
export interface SystemRunPlan {
  argv: string[];
  cwd: string | null;
  /** The line that people read and approve. */
  commandText: string;
  commandPreview?: string | null;
  agentId: string | null;
  sessionKey: string | null;
  /** The one file that the command would run and somebody could change meanwhile. */
  mutableFileOperand?: { argvIndex: number; path: string; sha256: string } | null;
}

/** What a caller says beside the plan. */
export interface LooseRun {
  command?: unknown;
  rawCommand?: unknown;
  cwd?: unknown;
  agentId?: unknown;
  sessionKey?: unknown;
  systemRunPlan?: unknown;
}

/** The plan in a value from outside; unknown members are left out. undefined: it is no plan. */
export function readPlan(value: unknown): SystemRunPlan | undefined {
  if (!isRecord(value)) return undefined;
  const { argv, cwd, agentId, sessionKey, commandPreview, mutableFileOperand: operand } = value;
  const commandText = value.commandText ?? value.rawCommand;
  if (!Array.isArray(argv) || argv.length === 0 || !argv.every((word) => typeof word === 'string')) return undefined;
  if (![cwd, agentId, sessionKey, commandPreview, commandText].every((field) => field === undefined || field === null || typeof field === 'string'))
    return undefined;
  if (operand !== undefined && operand !== null && !isOperand(operand)) return undefined;
  return {
    argv: argv as string[],
    cwd: text(cwd),
    commandText: text(commandText) ?? commandLine(argv as string[]),
    ...(text(commandPreview) === null ? {} : { commandPreview: text(commandPreview) }),
    agentId: text(agentId),
    sessionKey: text(sessionKey),
    ...(isOperand(operand) ? { mutableFileOperand: { argvIndex: operand.argvIndex, path: operand.path, sha256: operand.sha256 } } : {}),
  };
}

/** The first field that says something else than the plan; what is absent says nothing. */
export function planMismatch(plan: SystemRunPlan, said: LooseRun): keyof LooseRun | undefined {
  const { command, rawCommand, systemRunPlan } = said;
  if (
    command !== undefined &&
    command !== null &&
    !isSame(typeof command === 'string' ? command : words(command), typeof command === 'string' ? plan.commandText : plan.argv)
  )
    return 'command';
  if (text(rawCommand) !== null && rawCommand !== plan.commandText) return 'rawCommand';
  for (const field of ['cwd', 'agentId', 'sessionKey'] as const) {
    if (said[field] !== undefined && text(said[field]) !== plan[field]) return field;
  }
  if (systemRunPlan === undefined || systemRunPlan === null) return undefined;
  const other = readPlan(systemRunPlan);
  return other !== undefined && isSame({ ...other, commandPreview: null }, { ...plan, commandPreview: null }) ? undefined : 'systemRunPlan';
}

/** Hex SHA-256 of the JSON of the sorted `[key, value]` pairs. */
export function envHash(env: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(env).sort(([one], [other]) => (one < other ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(pairs)).digest('hex');
}

/** Words as a line of the shell. */
export function commandLine(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  );
}

function words(value: unknown): unknown {
  return Array.isArray(value) ? value : null;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function isOperand(value: unknown): value is { argvIndex: number; path: string; sha256: string } {
  return isRecord(value) && Number.isInteger(value.argvIndex) && typeof value.path === 'string' && typeof value.sha256 === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
