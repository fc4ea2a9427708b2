import type { EngineSample } from './engine-sample.ts';

/** One turn, and what each engine did in it; the one that answered first. */
export interface ComparedTurn {
  at: number;
  sessionKey: string;
  runId?: string;
  /** tokens that the messages might cost */
  tokenBudget?: number;
  /** Messages that the engines were given. */
  history?: number;
  engines: EngineSample[];
  /** Turns after this one that were not compared. */
  skipped: number;
  /** An engine failed so often that it is not asked again in this session until the next reload or restart. */
  disabled?: boolean;
}

export interface EngineSummary {
  engine: string;
  role: 'active' | 'shadow' | 'replay';
  /** Turns in which it assembled a context. */
  answered: number;
  tokens: { avg: number; p50: number; max: number };
  additionTokens: number;
  assembleMs: { p50: number; p95: number };
  ingestMs: { p50: number; p95: number };
  /** Entries, summed over all turns, that it left out and another engine kept. */
  dropped: number;
  /** Turns whose context was larger than their budget. */
  overBudget: number;
  compactions: { asked: number; done: number };
  /** How often by code. */
  failures: Record<string, number>;
  failedTurns: number;
}

/** Turns of the same engines. */
export interface ComparisonGroup {
  turns: number;
  sessions: number;
  /** Turns that were not compared, for the shadow was too far behind or had failed too often. */
  skipped: number;
  /** Sessions in which the shadow was given up. */
  disabled: number;
  engines: EngineSummary[];
  verdict: string;
}

export interface Comparison {
  turns: number;
  /** The newest turns' engines first. */
  groups: ComparisonGroup[];
}

/** Adds turns up, those of the same engines together. */
export function compareTurns(turns: readonly ComparedTurn[], roles: readonly EngineSummary['role'][] = ['active', 'shadow']): Comparison {
  const groups = new Map<string, ComparedTurn[]>();
  for (const turn of turns.toReversed()) {
    const id = turn.engines.map(({ engine }) => engine).join('\n');
    const group = groups.get(id);
    if (group === undefined) groups.set(id, [turn]);
    else group.push(turn);
  }
  return { turns: turns.length, groups: [...groups.values()].map((group) => summarizeGroup(group, roles)) };
}

function summarizeGroup(turns: readonly ComparedTurn[], roles: readonly EngineSummary['role'][]): ComparisonGroup {
  const engines = (turns[0]?.engines ?? []).map(({ engine }, place) => {
    const samples = turns.flatMap((turn) => turn.engines[place] ?? []);
    return summarizeEngine(engine, roles[place] ?? 'replay', samples);
  });
  const disabled = new Set(turns.filter((turn) => turn.disabled === true).map(({ sessionKey }) => sessionKey)).size;
  return {
    turns: turns.length,
    sessions: new Set(turns.map(({ sessionKey }) => sessionKey)).size,
    skipped: turns.reduce((sum, { skipped }) => sum + skipped, 0),
    disabled,
    engines,
    verdict: verdictOf(turns.length, engines),
  };
}

function summarizeEngine(engine: string, role: EngineSummary['role'], samples: readonly EngineSample[]): EngineSummary {
  const numbers = (pick: (sample: EngineSample) => number | undefined) => samples.flatMap((sample) => pick(sample) ?? []).sort((a, b) => a - b);
  const sum = (pick: (sample: EngineSample) => number) => samples.reduce((total, sample) => total + pick(sample), 0);
  const tokens = numbers((sample) => sample.tokens);
  const assembleMs = numbers((sample) => sample.assembleMs);
  const ingestMs = numbers((sample) => sample.ingestMs);
  const failures: Record<string, number> = {};
  for (const { code } of samples.flatMap((sample) => sample.failures)) failures[code] = (failures[code] ?? 0) + 1;
  return {
    engine,
    role,
    answered: tokens.length,
    tokens: { avg: average(tokens), p50: quantile(tokens, 0.5), max: tokens.at(-1) ?? 0 },
    additionTokens: average(numbers((sample) => sample.additionTokens)),
    assembleMs: { p50: quantile(assembleMs, 0.5), p95: quantile(assembleMs, 0.95) },
    ingestMs: { p50: quantile(ingestMs, 0.5), p95: quantile(ingestMs, 0.95) },
    dropped: sum((sample) => sample.droppedCount),
    overBudget: samples.filter((sample) => sample.overBudget).length,
    compactions: { asked: sum((sample) => sample.compactions.asked), done: sum((sample) => sample.compactions.done) },
    failures,
    failedTurns: samples.filter((sample) => sample.failures.length > 0).length,
  };
}

/** One line without a judgement: what differs is said, what it is worth is for the operator to say. */
function verdictOf(turns: number, [first, ...others]: readonly EngineSummary[]): string {
  if (first === undefined) return 'nothing was compared';
  const notes = others.filter(isUncompacted).map(({ engine }) => `${engine} only grew: the host makes no summaries for a shadow, see durar context replay`);
  return [...others.map((other) => against(turns, first, other)), ...notes].join('; ');
}

function isUncompacted({ role, overBudget, compactions }: EngineSummary): boolean {
  return role === 'shadow' && overBudget > 0 && compactions.done === 0;
}

function against(turns: number, first: EngineSummary, other: EngineSummary): string {
  const failed = `failed in ${other.failedTurns} of ${turns} ${turns === 1 ? 'turn' : 'turns'} (${first.engine}: ${first.failedTurns})`;
  if (other.answered === 0 || first.answered === 0) return `${other.engine} ${failed}; there is no context of both to compare`;
  const tokens = first.tokens.avg === 0 ? 0 : Math.round((other.tokens.avg / first.tokens.avg - 1) * 100);
  const size = tokens === 0 ? `as many tokens as ${first.engine}` : `${Math.abs(tokens)}% ${tokens < 0 ? 'fewer' : 'more'} tokens than ${first.engine}`;
  const latency = `assembled in ${other.assembleMs.p50} ms at the median (${first.engine}: ${first.assembleMs.p50} ms)`;
  const over = other.overBudget + first.overBudget === 0 ? '' : `, was over budget in ${other.overBudget} (${first.engine}: ${first.overBudget})`;
  return `${other.engine} used ${size} on average, ${latency}${over} and ${failed}`;
}

const HEADER = [
  'engine',
  'role',
  'turns',
  'tokens avg',
  'p50',
  'max',
  'assemble p50',
  'p95',
  'ingest p50',
  'p95',
  'dropped',
  'compacted',
  'over budget',
  'failures',
];

/** A group as a table, one row an engine. */
export function comparisonTable({ engines }: ComparisonGroup): { header: readonly string[]; rows: string[][] } {
  const rows = engines.map((one) => [
    one.engine,
    one.role,
    count(one.answered),
    count(one.tokens.avg),
    count(one.tokens.p50),
    count(one.tokens.max),
    `${one.assembleMs.p50} ms`,
    `${one.assembleMs.p95} ms`,
    `${one.ingestMs.p50} ms`,
    `${one.ingestMs.p95} ms`,
    count(one.dropped),
    `${one.compactions.done}/${one.compactions.asked}`,
    count(one.overBudget),
    Object.entries(one.failures)
      .map(([code, times]) => `${times} ${code}`)
      .join(', ') || '0',
  ]);
  return { header: HEADER, rows };
}

function count(value: number): string {
  return value.toLocaleString('en');
}

function average(values: readonly number[]): number {
  return values.length === 0 ? 0 : Math.round(values.reduce((sum, value) => sum + value, 0) / values.length);
}

/** Of sorted values, by nearest rank. */
function quantile(values: readonly number[], share: number): number {
  return values[Math.max(0, Math.ceil(values.length * share) - 1)] ?? 0;
}
