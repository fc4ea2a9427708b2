import type { TurnPart, TurnRecord, TurnSummary } from './ledger.ts';

interface Row {
  tokens: number;
  name: string;
  source: string;
}

const GROUPS: ReadonlyArray<[kind: TurnPart['kind'], title: string]> = [
  ['system', 'System prompt'],
  ['tool', 'Tool schemas'],
  ['message', 'Messages'],
];
const NAME_WIDTH = 34;
/** Parts of one group that are named; the rest is summed up. */
const SHOWN = 20;

/** What `durar context why` says: who served the turn, then each part of its last request, the largest of each group first. */
export function formatTurn(record: TurnRecord): string {
  return [...header(record), ...table(record)].join('\n');
}

/** What `durar context turns` says, a line each. */
export function formatTurns({ key, turns }: { key: string; turns: readonly TurnSummary[] }): string {
  if (turns.length === 0) return `${key} has no recorded turns.`;
  const lines = turns.map(({ startedAt, status, engine, model, request, callCount, runId }, index) =>
    [
      `-${index + 1}`.padStart(4),
      time(startedAt),
      status.padEnd(7),
      `${number(request?.reported ?? request?.corrected ?? 0)} tok`.padStart(12),
      `${callCount} ${callCount === 1 ? 'call' : 'calls'}`.padStart(8),
      engine?.id ?? '-',
      model ?? '-',
      runId,
    ].join('  '),
  );
  return [`Turns of ${key}, newest first`, ...lines].join('\n');
}

function header(record: TurnRecord): string[] {
  const { engine, budget, request, compactions, pruning, error } = record;
  const lines = [
    `🧭 Turn ${record.runId}`,
    `Session: ${record.sessionKey} (${record.sessionId})`,
    `When: ${time(record.startedAt)}, ${number(record.endedAt - record.startedAt)} ms, ${record.status}${error === undefined ? '' : ` (${error.code})`}`,
    `Engine: ${engine === undefined ? 'none' : `${engine.id}${engine.version === undefined ? '' : ` ${engine.version}`} (extension ${engine.owner})`}`,
    ...(record.shadow === undefined ? [] : [`Shadow engine: ${record.shadow}`]),
    `Model: ${record.model ?? 'none'}`,
  ];
  if (budget !== undefined) {
    const { window, reserve, overhead, messages } = budget;
    lines.push(`Budget: window ${number(window)}, reserve ${number(reserve)}, overhead ${number(overhead)}, the engine was told ${number(messages)}`);
  }
  if (request !== undefined) {
    const { estimated, corrected, reported } = request;
    lines.push(`Used: ~${number(corrected)} tok (host's count ${number(estimated)}, x${factorOf(record).toFixed(2)}), engine says ${number(request.engine)}`);
    lines.push(`Provider said: ${reported === undefined ? 'nothing' : `${number(reported)} tok`}`);
  }
  lines.push(`Calls: ${calls(record)}`);
  for (const { trigger, compacted, tokensBefore, tokensAfter } of compactions) {
    // engines may tell both sizes of a compaction that did nothing, each counted in its own way
    const after = tokensAfter === undefined || !compacted ? '' : ` -> ${number(tokensAfter)} tok`;
    const sizes = tokensBefore === undefined ? '' : `, ${number(tokensBefore)} tok${after}`;
    const isSmaller = tokensBefore === undefined || tokensAfter === undefined || tokensAfter < tokensBefore;
    lines.push(`Compaction (${trigger}): ${compacted ? `done${isSmaller ? '' : ', and nothing is smaller'}` : 'nothing came of it'}${sizes}`);
  }
  if (pruning !== undefined) {
    const { trimmed, cleared, images, savedTokens } = pruning;
    lines.push(`Pruned: ${number(trimmed)} trimmed, ${number(cleared)} cleared, ${number(images)} without pictures; ${number(savedTokens)} tok saved`);
  }
  return lines;
}

function calls({ calls: listed, callCount, usage }: TurnRecord): string {
  const ms = listed.reduce((sum, call) => sum + call.ms, 0);
  const failed = listed.filter(({ error }) => error !== undefined).map(({ error }) => error);
  const input = usage.input + usage.cacheRead + usage.cacheWrite;
  const note = failed.length === 0 ? '' : `; failed: ${failed.join(', ')}`;
  return `${number(callCount)}, ${number(ms)} ms, ${number(input)} tok in (${number(usage.cacheRead)} from the cache), ${number(usage.output)} tok out${note}`;
}

/** Tokens as the provider is expected to count them. */
function table(record: TurnRecord): string[] {
  const factor = factorOf(record);
  const total = record.parts.reduce((sum, { tokens }) => sum + tokens, 0);
  const line = (row: Row, indent: string) => {
    const share = total === 0 ? '' : `${((row.tokens / total) * 100).toFixed(1)}%`;
    return `${number(row.tokens * factor).padStart(9)} ${share.padStart(6)}  ${indent}${row.name.padEnd(NAME_WIDTH - indent.length)} ${row.source}`.trimEnd();
  };
  return GROUPS.flatMap(([kind, title]) => {
    const rows = record.parts
      .filter((part) => part.kind === kind)
      .map(rowOf)
      .sort((a, b) => b.tokens - a.tokens);
    if (rows.length === 0) return [];
    const rest = rows.slice(SHOWN);
    const shown = rest.length === 0 ? rows : [...rows.slice(0, SHOWN), { name: `… (+${number(rest.length)} more)`, source: '', tokens: sum(rest) }];
    return ['', line({ name: `${title} (${number(rows.length)})`, source: '', tokens: sum(rows) }, ''), ...shown.map((row) => line(row, '  '))];
  });
}

function rowOf({ name, source, tokens, seq, entryId, changed }: TurnPart): Row {
  const place = seq === undefined ? '' : ` #${seq}`;
  const from = entryId === undefined || source.endsWith(`:${entryId}`) ? source : `${source}, from entry:${entryId}`;
  return { name: `${name}${place}`, source: `${from}${changed === undefined ? '' : ` (${changed === 'images' ? 'pictures removed' : changed})`}`, tokens };
}

/** As it was when the last request was measured. */
function factorOf({ request }: TurnRecord): number {
  return request === undefined || request.estimated === 0 ? 1 : request.corrected / request.estimated;
}

function sum(rows: readonly Row[]): number {
  return rows.reduce((total, { tokens }) => total + tokens, 0);
}

function time(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

function number(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
