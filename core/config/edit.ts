/**
 * Changes to the text of a configuration file. Only the value in question is touched: comments, order and the style of everything else stay,
 * byte by byte. The text must parse; an empty one counts as `{}`.
 */
import { isDeepStrictEqual } from 'node:util';
import { durarError } from '../../sdk/errors.ts';
import { formatPath, isRecord, type Segment } from './config-path.ts';
import { blockEnd, findElement, findRange, lineEnd, type RangeElement, type RangeNode, scanRanges } from './json5-ranges.ts';

/** Sets the value at a path; missing objects and lists on the way are made. A list grows at its end only. */
export function setIn(text: string, path: readonly Segment[], value: unknown): string {
  const source = text.trim() === '' ? '{}\n' : text;
  const root = scanRanges(source);
  const style = detectStyle(source, root);
  let node = root;
  for (const [depth, segment] of path.entries()) {
    const element = findElement(node, segment);
    const rest = path.slice(depth + 1);
    if (element !== undefined && (element.value.kind !== 'scalar' || rest.length === 0)) {
      node = element.value;
      continue;
    }
    if (element !== undefined) return setOnScalar(source, element, path, depth, value, style);
    checkFits(node, path, depth);
    return insert(source, node, segment, wrap(rest, value, path), style);
  }
  return splice(source, [{ start: node.start, end: node.end, text: print(value, indentAt(source, node.start), style) }]);
}

/** Removes the value at a path; the text is returned as it is when there is none. */
export function unsetIn(text: string, path: readonly Segment[]): string {
  const last = path.at(-1);
  if (last === undefined || text.trim() === '') return text;
  let result = text;
  for (;;) {
    const parent = findRange(scanRanges(result), path.slice(0, -1));
    const element = parent === undefined ? undefined : findElement(parent, last);
    if (parent === undefined || element === undefined) return result;
    result = remove(result, parent, element);
    // A key may stand twice; an item of a list must not take its followers with it.
    if (parent.kind === 'array') return result;
  }
}

/** Applies a merge patch (RFC 7396): objects merge, `null` deletes, everything else replaces. */
export function patchIn(text: string, patch: Record<string, unknown>, path: readonly Segment[] = []): string {
  let result = text;
  for (const [key, value] of Object.entries(patch)) {
    const below = [...path, key];
    if (value === null) result = unsetIn(result, below);
    else if (isRecord(value) && result.trim() !== '' && findRange(scanRanges(result), below)?.kind === 'object') result = patchIn(result, value, below);
    else result = setIn(result, below, withoutNulls(value));
  }
  return result;
}

/** Turns the text, whose content is `current`, into one whose content is `next`, touching only what differs. */
export function updateTo(text: string, current: unknown, next: unknown, path: readonly Segment[] = []): string {
  if (isDeepStrictEqual(current, next)) return text;
  if (!isRecord(current) || !isRecord(next)) return setIn(text, path, next);
  let result = text;
  for (const key of Object.keys(current)) if (next[key] === undefined) result = unsetIn(result, [...path, key]);
  for (const [key, value] of Object.entries(next)) if (value !== undefined) result = updateTo(result, current[key], value, [...path, key]);
  return result;
}

interface Style {
  eol: string;
  indent: string;
  bareKeys: boolean;
}

interface Change {
  start: number;
  end: number;
  text: string;
}

function detectStyle(text: string, root: RangeNode): Style {
  const first = root.elements[0];
  const indent = first === undefined ? '' : indentAt(text, first.start);
  return {
    eol: text.includes('\r\n') ? '\r\n' : '\n',
    indent: indent !== '' && isFirstOnLine(text, first?.start ?? 0) ? indent.slice(indentAt(text, root.start).length) || '  ' : '  ',
    bareKeys: first !== undefined && !/["']/.test(text[first.start] ?? ''),
  };
}

function setOnScalar(text: string, element: RangeElement, path: readonly Segment[], depth: number, value: unknown, style: Style): string {
  const { start, end } = element.value;
  if (text.slice(start, end) !== 'null') {
    throw durarError('DUR_CONFIG_PATH', { path: formatPath(path), reason: `'${formatPath(path.slice(0, depth + 1))}' is neither an object nor a list` });
  }
  return splice(text, [{ start, end, text: print(wrap(path.slice(depth + 1), value, path), indentAt(text, element.start), style) }]);
}

function checkFits(node: RangeNode, path: readonly Segment[], depth: number): void {
  const segment = path[depth];
  const place = formatPath(path.slice(0, depth));
  const fail = (reason: string) => durarError('DUR_CONFIG_PATH', { path: formatPath(path), reason });
  if (node.kind === 'scalar') throw fail('the file holds no object');
  if (node.kind === 'object') return;
  if (typeof segment !== 'number') throw fail(`'${place}' is a list, so a number in brackets must follow`);
  if (segment !== node.elements.length) throw fail(`the list '${place}' has ${node.elements.length} items`);
}

/** The value inside the objects and lists that the rest of a path needs. */
function wrap(rest: readonly Segment[], value: unknown, path: readonly Segment[]): unknown {
  return rest.reduceRight((inner, segment) => {
    if (typeof segment === 'string') return { [segment]: inner };
    if (segment !== 0) throw durarError('DUR_CONFIG_PATH', { path: formatPath(path), reason: 'a new list begins with [0]' });
    return [inner];
  }, value);
}

function insert(text: string, node: RangeNode, segment: Segment, value: unknown, style: Style): string {
  const last = node.elements.at(-1);
  const outer = indentAt(text, node.start);
  const inner = last !== undefined && isFirstOnLine(text, last.start) ? indentAt(text, last.start) : outer + style.indent;
  const bare = last === undefined || node.kind === 'array' ? style.bareKeys : !/["']/.test(text[last.start] ?? '');
  const content = (node.kind === 'array' ? '' : `${printKey(String(segment), bare)}: `) + print(value, inner, { ...style, bareKeys: bare });
  if (last === undefined) {
    const { at, hasLineComment } = endOfTrivia(text, node.start + 1, node.end - 1);
    if (at === node.start + 1 || hasLineComment || text.slice(node.start, node.end).includes('\n')) {
      return splice(text, [{ start: at, end: node.end - 1, text: style.eol + inner + content + style.eol + outer }]);
    }
    return splice(text, [{ start: at, end: at, text: ` ${content}` }]);
  }
  const anchor = behindComments(text, last.comma === undefined ? last.end : last.comma + 1);
  const ownLine = anchor.hasLineComment || isFirstOnLine(text, last.start);
  const changes: Change[] = [{ start: anchor.at, end: anchor.at, text: (ownLine ? style.eol + inner : ' ') + content + (last.comma === undefined ? '' : ',') }];
  if (last.comma === undefined) changes.unshift({ start: last.end, end: last.end, text: ',' });
  return splice(text, changes);
}

function remove(text: string, parent: RangeNode, element: RangeElement): string {
  const index = parent.elements.indexOf(element);
  const before = parent.elements[index - 1];
  const changes: Change[] = [];
  let start = element.start;
  let end = element.end;
  if (element.comma !== undefined) {
    if (text.slice(end, element.comma).trim() === '') end = element.comma + 1;
    else changes.push({ start: element.comma, end: element.comma + 1, text: '' });
  } else if (before?.comma !== undefined) changes.push({ start: before.comma, end: before.comma + 1, text: '' });

  const after = /^[ \t]*(?:\r\n|\n|$)/.exec(text.slice(end));
  if (isFirstOnLine(text, start) && after !== null) {
    start -= indentAt(text, start).length;
    end += after[0].length;
  } else if (index === parent.elements.length - 1) {
    while (/[ \t]/.test(text[start - 1] ?? '') && start - 1 > (before?.end ?? parent.start)) start -= 1;
  } else end += /^[ \t]*/.exec(text.slice(end))?.[0].length ?? 0;
  return splice(text, [...changes, { start, end, text: '' }]);
}

/** Behind the comments that follow on the same line, where they belong to what stands before them. */
function behindComments(text: string, from: number): { at: number; hasLineComment: boolean } {
  let at = from;
  for (;;) {
    const next = at + (/^[ \t]*/.exec(text.slice(at))?.[0].length ?? 0);
    if (text.startsWith('//', next)) return { at: lineEnd(text, next), hasLineComment: true };
    if (!text.startsWith('/*', next)) return { at, hasLineComment: false };
    at = blockEnd(text, next);
  }
}

/** Behind the last comment between two offsets that hold only white space and comments. */
function endOfTrivia(text: string, from: number, to: number): { at: number; hasLineComment: boolean } {
  let at = from;
  let hasLineComment = false;
  let offset = from;
  while (offset < to) {
    const isLine = text.startsWith('//', offset);
    if (isLine || text.startsWith('/*', offset)) {
      offset = isLine ? lineEnd(text, offset) : blockEnd(text, offset);
      at = offset;
      hasLineComment = isLine;
    } else offset += 1;
  }
  return { at, hasLineComment };
}

function isFirstOnLine(text: string, at: number): boolean {
  return /(?:^|[\n\r])[ \t]*$/.test(text.slice(0, at)) && at > 0;
}

/** The white space at the beginning of the line of an offset. */
function indentAt(text: string, at: number): string {
  const begin = Math.max(text.lastIndexOf('\n', at - 1), text.lastIndexOf('\r', at - 1)) + 1;
  return /^[ \t]*/.exec(text.slice(begin, at))?.[0] ?? '';
}

function print(value: unknown, indent: string, style: Style): string {
  if (!style.bareKeys) return JSON.stringify(value, null, style.indent).replaceAll('\n', style.eol + indent);
  const inner = indent + style.indent;
  const join = (open: string, items: string[], close: string) =>
    items.length === 0 ? open + close : open + style.eol + items.map((item) => inner + item).join(`,${style.eol}`) + style.eol + indent + close;
  if (Array.isArray(value))
    return join(
      '[',
      value.map((item) => print(item ?? null, inner, style)),
      ']',
    );
  if (!isRecord(value)) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, child]) => child !== undefined);
  return join(
    '{',
    members.map(([key, child]) => `${printKey(key, true)}: ${print(child, inner, style)}`),
    '}',
  );
}

function printKey(key: string, bare: boolean): string {
  return bare && /^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key);
}

function withoutNulls(value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, child]) => child !== null)
      .map(([key, child]) => [key, withoutNulls(child)]),
  );
}

/** Changes at the same place keep their order. */
function splice(text: string, changes: Change[]): string {
  let result = text;
  for (const { start, end, text: content } of changes.toReversed().toSorted((left, right) => right.start - left.start)) {
    result = result.slice(0, start) + content + result.slice(end);
  }
  return result;
}
