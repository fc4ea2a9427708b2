import { format } from 'node:util';
import { type ConsoleStyle, formatConsoleLine, type Line, wantsColour } from './console.ts';
import { createFileSink, type FileSink } from './file.ts';
import { type Level, type LineLevel, passes } from './level.ts';
import type { Logger } from './logger.ts';
import { createPatternMask, createValueMask, type Mask } from './redact.ts';

export interface LoggingSettings {
  /** Threshold of the file. */
  level: Level;
  consoleLevel: Level;
  consoleStyle: ConsoleStyle;
  /** `tools`: patterns mask tool summaries on the console. */
  redactSensitive: 'off' | 'tools';
  /** Replaces the built-in patterns. */
  redactPatterns?: readonly string[] | undefined;
}

export interface LoggingOptions extends Partial<LoggingSettings> {
  /** `logging.file`. `false`: no file at all. */
  file?: string | false | undefined;
  /** Folder of the daily files. */
  folder?: string | undefined;
  maxFileBytes?: number | undefined;
  env?: Readonly<Record<string, string | undefined>>;
  stdout?: OutputStream;
  /** Warnings and errors; pass the same stream as `stdout` to keep stdout free for `--json`. */
  stderr?: OutputStream;
}

export interface OutputStream {
  write(text: string): unknown;
  isTTY?: boolean;
}

export interface Logging {
  child(subsystem: string): Logger;
  /** Takes effect with the next line. */
  set(settings: Partial<LoggingSettings>): void;
  /** The active secrets; they are masked in every line from now on, and stay masked once seen. */
  setSecretValues(values: Iterable<string>): void;
  /** Prints text as it is, without prefix; it does not go to the file. For QR codes and the like. */
  logRaw(text: string): void;
  /** Applies the masking of tool summaries. */
  maskTool: Mask;
  /** Copies what is printed with `console.*` to the file; it is still printed. Returns the way back. */
  captureConsole(): () => void;
  /** The file of the next line; undefined without a file. */
  filePath(): string | undefined;
  flush(): Promise<void>;
  /** Ends the file; the console goes on. Twice is harmless. */
  close(): Promise<void>;
}

const CAPTURED = { log: 'info', info: 'info', warn: 'warn', error: 'error', debug: 'debug', trace: 'trace' } as const;
const DEFAULTS: LoggingSettings = { level: 'info', consoleLevel: 'info', consoleStyle: 'pretty', redactSensitive: 'tools' };
const DEFAULT_MAX_BYTES = 524_288_000;

export function createLogging(options: LoggingOptions = {}): Logging {
  const { stdout = process.stdout, stderr = process.stderr, env = process.env, file, folder, maxFileBytes = DEFAULT_MAX_BYTES, ...initial } = options;
  let settings: LoggingSettings = { ...DEFAULTS, ...defined(initial) };
  let maskPatterns = patternMask(settings);
  let maskValues: Mask = (text) => text;
  const secrets = new Set<string>();

  const print = (line: Line) => {
    const stream = line.level === 'warn' || line.level === 'error' ? stderr : stdout;
    const text = formatConsoleLine(isToolLine(line) ? maskTool(line) : line, settings.consoleStyle, wantsColour(env, stream.isTTY === true));
    stream.write(`${maskValues(text)}\n`);
  };
  const maskTool = (line: Line): Line => ({
    ...line,
    message: maskPatterns(line.message),
    ...(line.fields === undefined
      ? {}
      : { fields: Object.fromEntries(Object.entries(line.fields).map(([key, value]) => [key, typeof value === 'string' ? maskPatterns(value) : value])) }),
  });
  const sink: FileSink | undefined =
    file === false
      ? undefined
      : createFileSink({
          file,
          folder,
          maxFileBytes,
          mask: () => maskValues,
          onProblem: (message) => print({ level: 'warn', time: Date.now(), subsystem: 'logging', message }),
        });

  const emit = (level: LineLevel, subsystem: string, message: string, fields?: Record<string, unknown>) => {
    const toFile = sink !== undefined && passes(settings.level, level);
    const toConsole = passes(settings.consoleLevel, level);
    if (!toFile && !toConsole) return;
    const line: Line = { level, time: Date.now(), subsystem, message, fields };
    if (toFile) sink.write(line);
    if (toConsole) print(line);
  };

  return {
    child: (subsystem) => createLogger(subsystem, emit),
    set(changes) {
      settings = { ...settings, ...defined(changes) };
      maskPatterns = patternMask(settings);
    },
    setSecretValues(values) {
      for (const value of values) secrets.add(value);
      maskValues = createValueMask(secrets);
    },
    logRaw: (text) => void stdout.write(text.endsWith('\n') ? text : `${text}\n`),
    maskTool: (text) => maskPatterns(text),
    captureConsole: () =>
      captureConsole((level, message) => {
        if (sink !== undefined && passes(settings.level, level)) sink.write({ level, time: Date.now(), subsystem: 'console', message });
      }),
    filePath: () => sink?.path(),
    flush: async () => sink?.flush(),
    close: async () => sink?.close(),
  };
}

type Emit = (level: LineLevel, subsystem: string, message: string, fields?: Record<string, unknown>) => void;

function createLogger(subsystem: string, emit: Emit): Logger {
  return {
    trace: (message, fields) => emit('trace', subsystem, message, fields),
    debug: (message, fields) => emit('debug', subsystem, message, fields),
    info: (message, fields) => emit('info', subsystem, message, fields),
    warn: (message, fields) => emit('warn', subsystem, message, fields),
    error: (message, fields) => emit('error', subsystem, message, fields),
    child: (name) => createLogger(`${subsystem}/${name}`, emit),
  };
}

/** A tool summary: logged below a subsystem `tools`, or with the tool's name in the field `tool`. */
function isToolLine({ subsystem, fields }: Line): boolean {
  return fields?.tool !== undefined || subsystem.split('/').includes('tools');
}

function patternMask({ redactSensitive, redactPatterns }: LoggingSettings): Mask {
  return redactSensitive === 'off' ? (text) => text : createPatternMask(redactPatterns);
}

function captureConsole(write: (level: LineLevel, message: string) => void): () => void {
  const names = Object.keys(CAPTURED) as Array<keyof typeof CAPTURED>;
  const originals = names.map((name) => [name, console[name]] as const);
  for (const [name, original] of originals) {
    console[name] = (...values: unknown[]) => {
      write(CAPTURED[name], format(...values));
      original.apply(console, values);
    };
  }
  return () => {
    for (const [name, original] of originals) console[name] = original;
  };
}

/** Without the keys that are undefined, which would hide a default. */
function defined<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
