import type { ErrorReport } from '../../sdk/errors.ts';
import { createPalette, type Palette } from './palette.ts';

export type Level = 'info' | 'warn' | 'error';

/** Where a command writes. Text goes to stdout, what only accompanies it (errors, progress, hints) to stderr; with `--json` stdout carries one document. */
export interface Output {
  readonly json: boolean;
  /** A person reads stdout. */
  readonly interactive: boolean;
  readonly paint: Palette;
  /** One line of text on stdout; nothing with `--json`. */
  line(text?: string): void;
  /** Raw text on stdout, for streaming; nothing with `--json`. */
  write(text: string): void;
  /** A line that is no part of the result, on stderr; nothing with `--json`. */
  note(text: string): void;
  /** Aligned columns; the last one is not padded. */
  table(header: readonly string[], rows: ReadonlyArray<readonly string[]>): void;
  /** Aligned `label  value` lines. */
  pairs(rows: ReadonlyArray<readonly [string, string | undefined]>): void;
  /** The result of the command: the document with `--json`, else what `render` writes. */
  result(document: unknown, render: () => void): void;
  /** What failed: code, message, hint and owner. With `--json` the document `{ok: false, error}` on stdout; `errors` lists all where there are several. */
  failure(reports: readonly ErrorReport[]): void;
  /** Progress on a terminal; silent elsewhere. */
  progress(text: string): Progress;
}

export interface Progress {
  update(text: string): void;
  stop(): void;
}

export interface OutputOptions {
  json: boolean;
  colour: boolean;
  env: NodeJS.ProcessEnv;
  stdout?: NodeJS.WriteStream;
  stderr?: NodeJS.WriteStream;
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 80;

export function createOutput(options: OutputOptions): Output {
  const { json, env } = options;
  const stdout = options.stdout ?? process.stdout;
  const stderr = options.stderr ?? process.stderr;
  const paint = createPalette(stdout, env, options.colour && !json);
  const errorPaint = createPalette(stderr, env, options.colour && !json);
  const write = (text: string) => {
    if (!json) stdout.write(text);
  };
  const line = (text = '') => write(`${text}\n`);
  const note = (text: string) => {
    if (!json) stderr.write(`${text}\n`);
  };
  return {
    json,
    interactive: stdout.isTTY === true && !json,
    paint,
    line,
    write,
    note,
    table(header, rows) {
      for (const text of alignColumns([header.map((title) => paint.muted(title.toUpperCase())), ...rows])) line(text);
    },
    pairs(rows) {
      const known = rows.filter((row): row is [string, string] => row[1] !== undefined);
      for (const text of alignColumns(known.map(([label, value]) => [paint.muted(label), value]))) line(text);
    },
    result(document, render) {
      if (json) stdout.write(`${JSON.stringify(document, null, 2)}\n`);
      else render();
    },
    failure(reports) {
      const errors = reports.length > 1 ? { errors: reports } : {};
      if (json) stdout.write(`${JSON.stringify({ ok: false, error: reports[0], ...errors }, null, 2)}\n`);
      else for (const report of reports) stderr.write(`${describeFailure(report, errorPaint)}\n`);
    },
    progress: (text) => (stderr.isTTY && !json ? spinner(stderr, errorPaint, text) : { update() {}, stop() {} }),
  };
}

/** Pads all but the last column to the width of its widest cell. */
export function alignColumns(rows: ReadonlyArray<readonly string[]>): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, visibleWidth(cell));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - visibleWidth(cell))))
      .join('  ')
      .trimEnd(),
  );
}

function visibleWidth(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is removed
  return [...text.replace(/\u001b\[[\d;]*m/g, '')].length;
}

function describeFailure(report: ErrorReport, paint: Palette): string {
  const lines = [`${paint.error('error')} ${paint.muted(`${report.code}:`)} ${report.message}`];
  const { extension, hook, file, pointer, line, column } = report.owner;
  const place = file === undefined ? undefined : `${file}${line === undefined ? '' : `:${line}:${column ?? 1}`}`;
  const owner = [extension === undefined ? undefined : `extension ${extension}`, hook, place, pointer].filter((part) => part !== undefined);
  if (owner.length > 0) lines.push(`  ${paint.muted('at')} ${owner.join(', ')}`);
  if (report.cause !== undefined && !report.message.includes(report.cause)) lines.push(`  ${paint.muted('because')} ${report.cause}`);
  if (report.hint !== '') lines.push(`  ${report.hint}`);
  return lines.join('\n');
}

function spinner(stream: NodeJS.WriteStream, paint: Palette, first: string): Progress {
  let text = first;
  let frame = 0;
  const draw = () => {
    stream.write(`\r\u001b[2K${paint.accent(FRAMES[frame % FRAMES.length] ?? '')} ${text.slice(0, Math.max(10, (stream.columns ?? 80) - 3))}`);
    frame += 1;
  };
  draw();
  const timer = setInterval(draw, FRAME_MS).unref();
  return {
    update(next) {
      text = next;
    },
    stop() {
      clearInterval(timer);
      stream.write('\r\u001b[2K');
    },
  };
}
