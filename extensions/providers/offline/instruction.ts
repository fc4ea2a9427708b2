import type { ProviderErrorKind } from 'Durar/plugin-sdk/core';

/** One step of a scripted reply, as written in `[[offline: ...]]`. */
export type Instruction =
  | { do: 'say' | 'think' | 'throw'; text: string }
  | ToolStep
  | { do: 'fail'; kind: ProviderErrorKind; times: number; retryAfterMs?: number }
  | { do: 'delay'; ms: number }
  | { do: 'tokens'; count: number }
  | { do: 'usage'; input: number; output?: number }
  | { do: 'stall' | 'cut' | 'drop' };

/** A tool call; `also` puts it into the same reply as the one before. */
export interface ToolStep {
  do: 'tool' | 'also';
  name: string;
  args: Record<string, unknown>;
}

const OPENING = '[[offline:';
const KINDS = [
  'auth',
  'auth_permanent',
  'format',
  'overloaded',
  'rate_limit',
  'billing',
  'timeout',
  'model_not_found',
  'context_overflow',
  'unknown',
] as const satisfies readonly ProviderErrorKind[];

/** Reads every instruction of a text, in order. Throws an `Error` that names the first one it cannot read. */
export function parseInstructions(text: string): Instruction[] {
  const found: Instruction[] = [];
  let at = text.indexOf(OPENING);
  while (at !== -1) {
    const start = at + OPENING.length;
    const { instruction, end } = readOne(text, start);
    found.push(instruction);
    at = text.indexOf(OPENING, end);
  }
  return found;
}

/** `]]` may stand inside the JSON arguments of a tool, so each `]]` is tried until the text before it can be read. */
function readOne(text: string, start: number): { instruction: Instruction; end: number } {
  let problem: Error | undefined;
  for (let close = text.indexOf(']]', start); close !== -1; close = text.indexOf(']]', close + 1)) {
    try {
      return { instruction: parseOne(text.slice(start, close).trim()), end: close + 2 };
    } catch (error) {
      problem ??= error as Error;
      if (!(error instanceof SyntaxError)) break;
    }
  }
  throw problem ?? new Error(`the instruction '${text.slice(start, start + 40).trim()}' has no closing brackets`);
}

function parseOne(body: string): Instruction {
  const [, verb = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(body) ?? [];
  switch (verb) {
    case 'say':
    case 'think':
    case 'throw':
      return { do: verb, text: rest };
    case 'tool':
    case 'also': {
      const [, name = '', json = ''] = /^(\S+)\s*([\s\S]*)$/.exec(rest) ?? [];
      if (name === '') throw new Error(`the instruction '${verb}' needs the name of a tool`);
      return { do: verb, name, args: json === '' ? {} : (JSON.parse(json) as Record<string, unknown>) };
    }
    case 'fail': {
      const [kind = 'unknown', times, retryAfter] = rest.split(/\s+/);
      const known = KINDS.find((one) => one === (kind === '' ? 'unknown' : kind));
      if (known === undefined) throw new Error(`'${kind}' is not a kind of failure (${KINDS.join(', ')})`);
      return {
        do: 'fail',
        kind: known,
        times: times === undefined ? Number.POSITIVE_INFINITY : count(verb, times),
        ...(retryAfter === undefined ? {} : { retryAfterMs: count(verb, retryAfter) }),
      };
    }
    case 'delay':
      return { do: 'delay', ms: count(verb, rest) };
    case 'tokens':
      return { do: 'tokens', count: count(verb, rest) };
    case 'usage': {
      const [input = '', output] = rest.split(/\s+/);
      return { do: 'usage', input: count(verb, input), ...(output === undefined ? {} : { output: count(verb, output) }) };
    }
    case 'stall':
    case 'cut':
    case 'drop':
      return { do: verb };
    default:
      throw new Error(`'${verb}' is not an instruction of the offline model`);
  }
}

function count(verb: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`the instruction '${verb}' needs a whole number, not '${text}'`);
  return Number(text);
}
