import { errorText } from '../../../sdk/index.ts';

const MAX_LENGTH = 200;

/** Why a pattern may not be used; undefined: it may. Repetition inside repetition takes time without end on some texts. */
export function patternFault(source: string): string | undefined {
  if (source.trim() === '') return 'it is empty';
  if (source.length > MAX_LENGTH) return `it is longer than ${MAX_LENGTH} characters`;
  try {
    new RegExp(source, 'i');
  } catch (error) {
    return errorText(error);
  }
  if (/\\(?:[1-9]|k<)/.test(source)) return 'it refers back to a group';
  return scan(source).isNested ? 'it repeats a group that repeats or chooses' : undefined;
}

/** How many parts of a pattern repeat. */
export function repetitions(source: string): number {
  return scan(source).count;
}

interface Group {
  /** Something in it repeats, or there are alternatives. */
  branches: boolean;
}

/** Goes once over the text of a valid pattern. */
function scan(source: string): { count: number; isNested: boolean } {
  const open: Group[] = [{ branches: false }];
  let last: Group | undefined;
  let count = 0;
  let isNested = false;
  // what stands behind an opening bracket is the kind of its group
  let isOpening = false;
  for (let at = 0; at < source.length; at += 1) {
    const sign = source[at];
    const top = open.at(-1) as Group;
    const repeat = isOpening ? undefined : repeatAt(source, at);
    isOpening = sign === '(';
    if (repeat !== undefined) {
      at += repeat.length - 1;
      if (repeat.more) {
        count += 1;
        if (last?.branches === true) isNested = true;
        top.branches = true;
      }
      last = undefined;
    } else if (sign === '(') {
      open.push({ branches: false });
      last = undefined;
    } else if (sign === ')') {
      last = open.pop();
      if (last?.branches === true) (open.at(-1) as Group).branches = true;
    } else {
      if (sign === '|') top.branches = true;
      last = undefined;
      if (sign === '\\') at += 1;
      else if (sign === '[') at = endOfClass(source, at);
    }
  }
  return { count, isNested };
}

/** The quantifier that begins here. `more`: it allows a second time. */
function repeatAt(source: string, at: number): { length: number; more: boolean } | undefined {
  const found = /^(?:[*+]|\{(\d+)(?:(,)(\d*))?\})\??|^\?\??/.exec(source.slice(at));
  if (found === null) return undefined;
  const [text, least, comma, most] = found;
  if (text.startsWith('?')) return { length: text.length, more: false };
  const upper = least === undefined || (comma !== undefined && most === '') ? Number.POSITIVE_INFINITY : Number(most ?? least);
  return { length: text.length, more: upper > 1 };
}

function endOfClass(source: string, start: number): number {
  let at = start + 1;
  while (at < source.length && source[at] !== ']') at += source[at] === '\\' ? 2 : 1;
  return at;
}
