import { setTimeout as sleep } from 'node:timers/promises';
import { durarError, errorCode, errorText } from '../../../sdk/errors.ts';
import type { LogsTailResult } from '../../../sdk/protocol/generated/types.ts';
import { channelOf } from '../channel-options.ts';
import type { Action, CommandContext } from '../command.ts';
import { printable } from '../printable.ts';
import { openRpc, type Rpc } from '../rpc.ts';

const INTERVAL_MS = 1000;
const FIELDS_APART = new Set(['time', 'level', 'subsystem', 'message']);

interface Options {
  follow?: true;
  limit?: number;
  maxBytes?: number;
  interval?: number;
  localTime?: true;
  plain?: true;
}

/** `durar logs`: the log of the running gateway, asked over its own protocol so that it works from anywhere. `--json` prints one document a line. */
export const logs: Action = (context) => tail(context, context.options as Options, () => true);

/** `durar channels logs [channel]`: the same, lines of channels alone. */
export const channelLogs: Action = (context) => {
  const { lines, follow } = context.options as { lines?: number; follow?: true };
  const wanted = context.args[0] === undefined && context.options.channel === undefined ? 'all' : channelOf(context);
  const isWanted = (entry: Record<string, unknown>) => {
    const { channel, subsystem } = entry;
    const parts = String(subsystem ?? '').split('/');
    return wanted === 'all'
      ? typeof channel === 'string' || parts.includes('channels')
      : channel === wanted || (parts.includes('channels') && parts.at(-1) === wanted);
  };
  return tail(context, { ...(lines === undefined ? {} : { limit: lines }), ...(follow === undefined ? {} : { follow }) }, isWanted);
};

async function tail(context: CommandContext, options: Options, isWanted: (entry: Record<string, unknown>) => boolean): Promise<void> {
  const write = createWriter(context, options);
  const rpc = await open(context);
  try {
    let at: LogsTailResult | undefined;
    for (;;) {
      const next = await ask(rpc, at, options);
      if (next.file !== at?.file) write.meta(next);
      else if (next.reset) write.notice('The log was cut or grew faster than it was read; some lines are missing.');
      if (at === undefined && next.truncated) write.notice('Older lines are left out; --limit and --max-bytes show more.');
      for (const line of next.lines) if (isWanted(parse(line) ?? {})) write.line(line);
      const isBehind = at !== undefined && next.truncated && next.lines.length > 0;
      at = next;
      if (options.follow !== true) return;
      if (!isBehind) await sleep(options.interval ?? INTERVAL_MS);
    }
  } finally {
    rpc.close();
  }
}

async function open(context: CommandContext): Promise<Rpc> {
  try {
    return await openRpc(context);
  } catch (error) {
    if (errorCode(error) !== 'DUR_GATEWAY_UNREACHABLE') throw error;
    throw durarError('DUR_LOGS_UNREACHABLE', { reason: errorText(error) }, { cause: error });
  }
}

/** What was written since the last answer. A new file, at midnight, is read from its beginning. */
async function ask(rpc: Rpc, before: LogsTailResult | undefined, { limit, maxBytes }: Options): Promise<LogsTailResult> {
  const window = { ...(limit === undefined ? {} : { limit }), ...(maxBytes === undefined ? {} : { maxBytes }) };
  const tail = async (cursor?: number) => (await rpc.call('logs.tail', { ...window, ...(cursor === undefined ? {} : { cursor }) })) as LogsTailResult;
  if (before === undefined) return await tail();
  const next = await tail(before.cursor);
  return next.file === before.file ? next : await tail(0);
}

function createWriter({ output }: CommandContext, { localTime, plain }: Options) {
  const document = (value: object) => void process.stdout.write(`${JSON.stringify(value)}\n`);
  return {
    meta({ file, cursor, size, truncated, reset }: LogsTailResult) {
      if (output.json) document({ type: 'meta', file, cursor, size, truncated, reset });
      else output.note(output.paint.muted(file));
    },
    notice(message: string) {
      if (output.json) document({ type: 'notice', message });
      else output.note(output.paint.muted(message));
    },
    line(raw: string) {
      const entry = parse(raw);
      if (output.json) document(entry === undefined ? { type: 'raw', raw } : { type: 'log', ...entry, raw });
      else output.line(entry === undefined ? printable(raw) : describe(entry));
    },
  };

  function describe(entry: Record<string, unknown>): string {
    const { paint } = output;
    const time = localTime === true ? localClock(String(entry.time)) : String(entry.time ?? '');
    const rest = Object.entries(entry).flatMap(([key, value]) =>
      FIELDS_APART.has(key) ? [] : [`${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`],
    );
    const level = String(entry.level ?? '');
    const [dim, loud] = plain === true ? [String, String] : [paint.muted, { warn: paint.warn, error: paint.error }[level] ?? String];
    const parts: Array<[paint: (text: string) => string, text: string]> = [
      [dim, time],
      [loud, level],
      [dim, `[${String(entry.subsystem ?? '')}]`],
      [loud, String(entry.message ?? '')],
      [dim, rest.join(' ')],
    ];
    return parts.flatMap(([colour, text]) => (text === '' ? [] : [colour(printable(text))])).join(' ');
  }
}

function parse(raw: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(raw);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** ISO with the zone of this machine. */
function localClock(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return time;
  const offset = -date.getTimezoneOffset();
  const pad = (part: number) => String(Math.trunc(Math.abs(part))).padStart(2, '0');
  return `${new Date(date.getTime() + offset * 60_000).toISOString().slice(0, -1)}${offset < 0 ? '-' : '+'}${pad(offset / 60)}:${pad(offset % 60)}`;
}
