import { chmodSync, closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Logger as Pino } from 'pino';
import { errorText } from '../../sdk/errors.ts';
import type { Line } from './console.ts';
import type { Mask } from './redact.ts';

export interface FileSinkOptions {
  /** `logging.file`: used as is. Absent: one file a local day under the temporary folder. */
  file?: string | undefined;
  maxFileBytes: number;
  mask: () => Mask;
  /** Told when lines are lost: the file cannot be written (at most once a minute), the cap is reached (once a file). */
  onProblem(message: string): void;
  /** Folder of the daily files; for tests. */
  folder?: string | undefined;
}

export interface FileSink {
  write(line: Line): void;
  /** The path that the next line goes to. */
  path(): string;
  /** Everything written so far is in the file when this returns. */
  flush(): void;
  close(): void;
}

/** Lines wait this long before the JSON formatter is loaded, so that neither a start nor a short command pays for it. */
const OPEN_DELAY_MS = 1000;
/** Waiting lines above this number end the wait. */
const MAX_WAITING = 1000;
const RESERVED = new Set(['level', 'time', 'subsystem', 'message']);

/** JSON lines in a file, in the order of the calls. No line is lost when the process exits in any other way than by a kill. */
export function createFileSink(options: FileSinkOptions): FileSink {
  let waiting: Line[] = [];
  let timer: NodeJS.Timeout | undefined;
  let pino: Pino | undefined;
  let closed = false;
  const target = createTarget(options);

  const drain = () => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length === 0) return;
    pino ??= loadPino(target.append);
    const lines = waiting;
    waiting = [];
    for (const line of lines) format(pino, line);
  };
  const onExit = () => drain();
  process.once('exit', onExit);

  return {
    write(line) {
      if (closed) return;
      if (pino !== undefined) {
        format(pino, line);
        return;
      }
      waiting.push(line);
      if (waiting.length >= MAX_WAITING) drain();
      else timer ??= setTimeout(drain, OPEN_DELAY_MS).unref();
    },
    path: () => target.path(Date.now()),
    flush: drain,
    close() {
      if (closed) return;
      drain();
      closed = true;
      process.removeListener('exit', onExit);
      target.close();
    },
  };
}

/** `/tmp/Durar`, or the system's temporary folder on Windows. */
export function logFolder(): string {
  return process.platform === 'win32' ? join(tmpdir(), 'Durar') : '/tmp/Durar';
}

/** `Durar-YYYY-MM-DD.log` by the local calendar. */
export function dailyName(time: number): string {
  const date = new Date(time);
  const pad = (part: number) => String(part).padStart(2, '0');
  return `Durar-${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}.log`;
}

/** Writes with one system call per line: a crash right after a log call still leaves the line. */
function loadPino(append: (text: string) => void): Pino {
  const { pino } = createRequire(import.meta.url)('pino') as typeof import('pino');
  return pino(
    {
      level: 'trace',
      base: null,
      messageKey: 'message',
      timestamp: false,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.errWithCause, error: pino.stdSerializers.errWithCause },
    },
    { write: append },
  );
}

function format(pino: Pino, { level, time, subsystem, message, fields }: Line): void {
  const line: Record<string, unknown> = { time: new Date(time).toISOString(), subsystem };
  for (const [key, value] of Object.entries(fields ?? {})) line[RESERVED.has(key) ? `${key}_` : key] = value;
  pino[level](line, message);
}

/** The open file: rolls at midnight, stops at the cap, never follows a link that another user planted. */
function createTarget({ file, maxFileBytes, mask, onProblem, folder }: FileSinkOptions) {
  const home = file === undefined ? ownFolder(folder ?? logFolder()) : dirname(file);
  let open: { fd: number; path: string; until: number; size: number; full: boolean } | undefined;
  let failedUntil = 0;

  const path = (now: number) => file ?? join(home, dailyName(now));
  const close = () => {
    if (open !== undefined) closeSync(open.fd);
    open = undefined;
  };
  const openFile = (now: number) => {
    const place = path(now);
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const follow = file === undefined ? (constants.O_NOFOLLOW ?? 0) : 0;
    const fd = openSync(place, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | follow, 0o600);
    const { size, mode } = fstatSync(fd);
    if ((mode & 0o077) !== 0 && process.platform !== 'win32') chmodSync(place, 0o600);
    open = { fd, path: place, until: file === undefined ? nextMidnight(now) : Number.POSITIVE_INFINITY, size, full: false };
    return open;
  };

  return {
    path,
    close,
    append(text: string) {
      const now = Date.now();
      try {
        if (open !== undefined && now >= open.until) close();
        if (open === undefined && now < failedUntil) return;
        const current = open ?? openFile(now);
        if (current.full) return;
        const bytes = Buffer.from(mask()(text));
        if (current.size + bytes.length > maxFileBytes) {
          current.full = true;
          onProblem(`the log file ${current.path} reached ${maxFileBytes} bytes; further lines are dropped`);
          return;
        }
        let written = 0;
        while (written < bytes.length) written += writeSync(current.fd, bytes, written);
        current.size += bytes.length;
      } catch (error) {
        close();
        failedUntil = now + 60_000;
        onProblem(`cannot write the log file ${path(now)}: ${errorText(error)}`);
      }
    },
  };
}

/** The folder itself when it is free or ours, else one that names the user: the temporary folder is shared. */
function ownFolder(folder: string): string {
  const uid = process.getuid?.();
  if (uid === undefined) return folder;
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  return stat === undefined || (stat.isDirectory() && stat.uid === uid) ? folder : `${folder}-${uid}`;
}

function nextMidnight(now: number): number {
  const date = new Date(now);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1).getTime();
}
