import { errorText } from '../../sdk/errors.ts';
import type { LineLevel } from './level.ts';

export type ConsoleStyle = 'pretty' | 'compact' | 'json';

export interface Line {
  level: LineLevel;
  /** milliseconds since 1970 */
  time: number;
  subsystem: string;
  message: string;
  fields?: Record<string, unknown> | undefined;
}

const RESET = '\u001b[0m';
const DIM = '\u001b[2m';
const LEVEL_COLOURS: Record<LineLevel, string> = { trace: '\u001b[90m', debug: '\u001b[90m', info: '', warn: '\u001b[33m', error: '\u001b[31m' };
/** Cyan, green, magenta, blue and their bright forms: none of the colours that levels use. */
const SUBSYSTEM_COLOURS = [36, 32, 35, 34, 96, 92, 95, 94].map((code) => `\u001b[${code}m`);

/** Colour on a terminal or in an environment that looks like one; `NO_COLOR` and `TERM=dumb` switch it off. */
export function wantsColour(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  if (env.NO_COLOR || env.TERM === 'dumb') return false;
  return isTerminal || Boolean(env.COLORTERM || env.TERM_PROGRAM || env.TERM);
}

/** `gateway/channels/whatsapp/outbound` -> `whatsapp/outbound`. */
export function shortPrefix(subsystem: string): string {
  const parts = subsystem.split('/');
  while (parts.length > 1 && (parts[0] === 'gateway' || parts[0] === 'channels')) parts.shift();
  return parts.slice(-2).join('/');
}

/** The same subsystem has the same colour in every run. */
export function subsystemColour(subsystem: string): string {
  let hash = 0;
  for (const char of shortPrefix(subsystem)) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
  return SUBSYSTEM_COLOURS[hash % SUBSYSTEM_COLOURS.length] ?? '';
}

export function formatConsoleLine(line: Line, style: ConsoleStyle, colour: boolean): string {
  if (style === 'json') return formatJson(line);
  const paint = (code: string, text: string) => (colour && code !== '' ? code + text + RESET : text);
  const prefix = paint(subsystemColour(line.subsystem), `[${shortPrefix(line.subsystem)}]`);
  const message = paint(LEVEL_COLOURS[line.level], line.level === 'warn' || line.level === 'error' ? `${line.level}: ${line.message}` : line.message);
  const fields = Object.entries(line.fields ?? {}).map(([key, value]) => `${key}=${formatField(value)}`);
  const rest = fields.length === 0 ? '' : ` ${paint(DIM, fields.join(' '))}`;
  return style === 'compact' ? `${prefix} ${message}${rest}` : `${paint(DIM, clock(line.time))} ${prefix} ${message}${rest}`;
}

function formatJson({ time, level, subsystem, message, fields }: Line): string {
  return toJson({ ...fields, time: new Date(time).toISOString(), level, subsystem, message });
}

function formatField(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(errorText(value));
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return typeof value === 'object' && value !== null ? toJson(value) : String(value);
}

/** JSON of anything: errors as their text, large integers as digits, a value inside itself as `[Circular]`. */
function toJson(root: object): string {
  const parents: unknown[] = [];
  return JSON.stringify(root, function (this: unknown, _key, value: unknown) {
    if (typeof value === 'bigint') return String(value);
    if (value instanceof Error) return errorText(value);
    if (typeof value !== 'object' || value === null) return value;
    while (parents.length > 0 && parents.at(-1) !== this) parents.pop();
    if (parents.includes(value)) return '[Circular]';
    parents.push(value);
    return value;
  });
}

/** Local time of day. */
function clock(time: number): string {
  const date = new Date(time);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}
