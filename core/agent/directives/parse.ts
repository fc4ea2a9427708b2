import { CHAT_COMMAND_ROWS, type ChatCommandName, type DirectiveName } from '../../../sdk/chat-commands.ts';
import { type ExecSetting, readExecSetting } from './exec-setting.ts';
import { type LEVELS, readLevel } from './levels.ts';
import { type QueueSetting, readQueueSetting } from './queue-setting.ts';

/** One directive of a message. Without a value it asks how things stand. */
export type Directive =
  | { name: keyof typeof LEVELS; value?: string; unknown?: string }
  | { name: 'model'; value?: string; unknown?: string }
  | { name: 'queue'; value?: QueueSetting; unknown?: string }
  | { name: 'exec'; value?: ExecSetting; unknown?: string };

/** What a message turned out to be. */
export type ParsedMessage =
  | { kind: 'plain' }
  | { kind: 'command'; name: ChatCommandName; args: string }
  /** Nothing but directives, and what may be asked beside them. */
  | { kind: 'directives'; directives: Directive[]; shortcuts: ChatCommandName[] }
  | { kind: 'text'; text: string; directives: Directive[]; shortcuts: ChatCommandName[] };

const BY_NAME = new Map(CHAT_COMMAND_ROWS.flatMap((row) => [row.name, ...(row.aliases ?? [])].map((name) => [name, row] as const)));
const NAMES = [...BY_NAME.keys()].sort((one, other) => other.length - one.length).join('|');
/** A name stands by itself: what a path or an address continues is none. */
const TOKEN = new RegExp(`(?<=^|\\s)/(${NAMES})(?=$|\\s|:(?!/)):?`, 'gi');
const WHOLE = /^\/([a-z][\w-]*)(?:(?:\s*:\s*|\s+)([\s\S]*))?$/i;
const MODEL_REF = /^[\w.-]+\/[\w./:@-]*[\w@]/;

/** Splits `/name args` when the whole text is one. Names are lower case. */
export function splitCommand(text: string): { name: string; args: string } | undefined {
  const [, name, args = ''] = WHOLE.exec(text.trim()) ?? [];
  return name === undefined ? undefined : { name: name.toLowerCase(), args: args.trim() };
}

/**
 * Finds commands and directives in a message. `isModel` knows the aliases of models: inside a text only a ref or an alias is taken for the model
 * of `/model`.
 */
export function parseMessage(message: string, isModel: (word: string) => boolean): ParsedMessage {
  if (!message.includes('/')) return { kind: 'plain' };
  const whole = splitCommand(message);
  const row = whole === undefined ? undefined : BY_NAME.get(whole.name);
  if (whole !== undefined && row !== undefined) {
    const { args } = whole;
    if (row.kind !== 'directive' && (args === '' || row.args !== undefined)) return { kind: 'command', name: row.name, args };
    if (row.kind === 'directive') {
      const directive = alone(row.name as DirectiveName, args);
      if (directive !== undefined) return { kind: 'directives', directives: [directive], shortcuts: [] };
    }
  }
  return scan(message, isModel);
}

/** A directive with nothing else in its message; undefined: what follows is more than its value. */
function alone(name: DirectiveName, args: string): Directive | undefined {
  if (args === '' || (name === 'fast' && args.toLowerCase() === 'status')) return { name };
  if (name === 'model') return /\s/.test(args) ? undefined : { name, value: args };
  const read = readValue(name, args);
  if (read?.length === args.length) return { name, value: read.value } as Directive;
  // a single strange word is a slip, more of them are a message; but options are for the queue, good ones or not
  if (!/\s/.test(args)) return { name, unknown: args };
  const options =
    name === 'queue'
      ? args
          .slice(read?.length ?? 0)
          .trim()
          .split(/\s+/)
      : [];
  const [first] = options;
  if (first !== undefined && options.every((word) => /^(?:debounce|cap|drop):/i.test(word))) return { name, unknown: first };
  return undefined;
}

function scan(message: string, isModel: (word: string) => boolean): ParsedMessage {
  const directives: Directive[] = [];
  const shortcuts: ChatCommandName[] = [];
  let text = '';
  let at = 0;
  for (const match of message.matchAll(TOKEN)) {
    const row = BY_NAME.get((match[1] ?? '').toLowerCase());
    if (row === undefined || row.kind === 'command' || match.index < at) continue;
    const end = match.index + match[0].length;
    text = join(text, message.slice(at, match.index));
    at = end;
    if (row.kind === 'shortcut') {
      if (!shortcuts.includes(row.name)) shortcuts.push(row.name);
      continue;
    }
    const lead = /^[^\S\n]*/.exec(message.slice(end))?.[0].length ?? 0;
    const { directive, length } = inline(row.name as DirectiveName, message.slice(end + lead), isModel);
    directives.push(directive);
    if (length > 0) at = end + lead + length;
  }
  if (directives.length === 0 && shortcuts.length === 0) return { kind: 'plain' };
  text = join(text, message.slice(at)).trim();
  return text === '' ? { kind: 'directives', directives, shortcuts } : { kind: 'text', text, directives, shortcuts };
}

function inline(name: DirectiveName, rest: string, isModel: (word: string) => boolean): { directive: Directive; length: number } {
  if (name === 'model') {
    const [word = ''] = /^\S+/.exec(rest) ?? [];
    const value = isModel(word) ? word : (MODEL_REF.exec(word)?.[0] ?? '');
    return value === '' ? { directive: { name }, length: 0 } : { directive: { name, value }, length: value.length };
  }
  // a value does not reach over the end of its line
  const line = rest.split('\n', 1)[0] ?? '';
  const read = readValue(name, line);
  return read === undefined ? { directive: { name }, length: 0 } : { directive: { name, value: read.value } as Directive, length: read.length };
}

function readValue(name: Exclude<DirectiveName, 'model'>, text: string): { value: string | QueueSetting | ExecSetting; length: number } | undefined {
  if (name === 'queue') return readQueueSetting(text);
  return name === 'exec' ? readExecSetting(text) : readLevel(name, text);
}

/** What was around a token closes up; other white space stays as it was. */
function join(before: string, after: string): string {
  if (before === '') return after.replace(/^[^\S\n]+/, '');
  return /\s$/.test(before) ? before + after.replace(/^[^\S\n]+/, '') : before + after;
}
