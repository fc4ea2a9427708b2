import { durarError } from '../../sdk/errors.ts';

/** One step into the configuration: a key or an array index. */
export type Segment = string | number;

const FORBIDDEN = new Set(['__proto__', 'prototype', 'constructor']);

export function isForbiddenKey(key: string): boolean {
  return FORBIDDEN.has(key);
}

/**
 * `agents.list[0].id`, `plugins.entries["my.plugin"].enabled`, and `a\.b` for a key with a dot. Throws `DUR_CONFIG_PATH`.
 */
export function parsePath(text: string): Segment[] {
  const fail = (reason: string) => durarError('DUR_CONFIG_PATH', { path: text, reason });
  const segments: Segment[] = [];
  let at = 0;
  let expectKey = true;
  while (at < text.length) {
    const char = text[at];
    if (char === '[') {
      const match = /^\[(?:(\d{1,9})|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\]/.exec(text.slice(at));
      if (match === null) throw fail('a bracket holds a number or a quoted key');
      segments.push(match[1] === undefined ? unescapeKey(match[2] ?? match[3] ?? '') : Number(match[1]));
      at += match[0].length;
      expectKey = false;
    } else if (char === '.') {
      if (expectKey) throw fail('a key is empty');
      at += 1;
      expectKey = true;
      if (at === text.length) throw fail('it ends with a dot');
    } else {
      if (!expectKey) throw fail('a dot is missing after a bracket');
      const match = /^(?:[^.[\]\\]|\\.)+/.exec(text.slice(at));
      if (match === null) throw fail(`'${char}' is out of place`);
      segments.push(unescapeKey(match[0]));
      at += match[0].length;
      expectKey = false;
    }
  }
  if (segments.length === 0) throw fail('it is empty');
  const bad = segments.find((segment) => typeof segment === 'string' && isForbiddenKey(segment));
  if (bad !== undefined) throw fail(`'${bad}' is not allowed`);
  return segments;
}

/** The inverse of `parsePath`, for messages. The root is `(root)`. */
export function formatPath(segments: readonly Segment[]): string {
  if (segments.length === 0) return '(root)';
  let text = '';
  for (const segment of segments) {
    if (typeof segment === 'number') text += `[${segment}]`;
    else if (segment === '' || /[.[\]\\"']/.test(segment)) text += `[${JSON.stringify(segment)}]`;
    else text += text === '' ? segment : `.${segment}`;
  }
  return text;
}

/** RFC 6901. */
export function toPointer(segments: readonly Segment[]): string {
  return segments.map((segment) => `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** The value at a path, or undefined. Only own keys are followed. */
export function getAt(root: unknown, segments: readonly Segment[]): unknown {
  let value = root;
  for (const segment of segments) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined;
    value = (value as Record<Segment, unknown>)[segment];
  }
  return value;
}

/** A copy of `root` without the value at the path; what is not on the way is shared. */
export function withoutAt(root: unknown, segments: readonly Segment[]): unknown {
  const [first, ...rest] = segments;
  if (first === undefined || typeof root !== 'object' || root === null || !Object.hasOwn(root, first)) return root;
  if (Array.isArray(root)) return rest.length === 0 ? root.toSpliced(Number(first), 1) : root.with(Number(first), withoutAt(root[Number(first)], rest));
  const { [first]: child, ...others } = root as Record<Segment, unknown>;
  return rest.length === 0 ? others : { ...root, [first]: withoutAt(child, rest) };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unescapeKey(text: string): string {
  return text.replace(/\\(.)/g, '$1');
}
