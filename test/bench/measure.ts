import { spawn, spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';

/** One measured claim beside its physical limit, both from this run. */
export interface Row {
  what: string;
  measured: number;
  unit: 'ms' | 'MB' | '/s' | 'x' | 'packages';
  /** What it is held against, and how much that took. */
  limit: string;
  limitValue: number;
  /** measured / limitValue, the other way round for rates */
  ratio: number;
  /** The claim, where there is one. */
  claim?: { at: 'most' | 'least'; value: number; of: 'ratio' | 'measured' };
  holds?: boolean;
  note?: string;
}

export function row(what: string, unit: Row['unit'], measured: number, limit: { name: string; value: number }, claim?: Row['claim'], note?: string): Row {
  const ratio = measured / limit.value;
  const value = claim?.of === 'measured' ? measured : ratio;
  const holds = claim === undefined ? undefined : claim.at === 'most' ? value <= claim.value : value >= claim.value;
  return {
    what,
    measured,
    unit,
    limit: limit.name,
    limitValue: limit.value,
    ratio,
    ...(claim === undefined ? {} : { claim, holds: holds === true }),
    ...(note === undefined ? {} : { note }),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** Whole-process wall times of several commands, taken in turn so that a drift of the machine touches all alike. */
export function timeCommands(commands: ReadonlyArray<{ args: string[]; env?: NodeJS.ProcessEnv }>, runs: number): number[] {
  const times: number[][] = commands.map(() => []);
  for (let run = -1; run < runs; run += 1) {
    for (const [at, { args, env }] of commands.entries()) {
      const began = performance.now();
      const { status, stderr } = spawnSync(process.execPath, args, { env: env ?? process.env, encoding: 'utf8' });
      if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`);
      if (run >= 0) times[at]?.push(performance.now() - began);
    }
  }
  return times.map(median);
}

export async function time(task: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await task();
  return performance.now() - began;
}

/** Resident memory of a process, in MB. */
export async function residentMb(pid: number): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

/** Idle memory of a bare Node process. */
export async function bareNodeMb(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const mb = await residentMb(child.pid ?? 0);
  child.kill();
  return mb;
}

export function print(rows: readonly Row[]): string {
  const cells = rows.map((item) => [
    item.what,
    `${item.measured.toFixed(item.unit === '/s' || item.unit === 'packages' ? 0 : 2)} ${item.unit}`,
    `${item.limit}: ${item.limitValue.toFixed(2)}`,
    `${item.ratio.toFixed(2)}x`,
    item.claim === undefined
      ? ''
      : `${item.claim.at === 'most' ? '<=' : '>='} ${Number(item.claim.value.toFixed(2))}${item.claim.of === 'ratio' ? 'x' : ` ${item.unit}`}`,
    item.holds === undefined ? '' : item.holds ? 'holds' : 'MISSED',
    item.note ?? '',
  ]);
  const head = ['what', 'measured', 'limit', 'ratio', 'claim', '', ''];
  const widths = head.map((title, at) => Math.max(title.length, ...cells.map((line) => line[at]?.length ?? 0)));
  return [head, ...cells]
    .map((line) =>
      line
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
