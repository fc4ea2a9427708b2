import type { Segment } from './config-path.ts';

/** Where a value stands in a JSON5 text. Offsets are in UTF-16 units; `end` is behind the last one. */
export interface RangeNode {
  kind: 'object' | 'array' | 'scalar';
  start: number;
  end: number;
  /** Members or items, in the order of the text. */
  elements: RangeElement[];
}

export interface RangeElement {
  /** Of the key in an object, of the value in a list. */
  start: number;
  end: number;
  /** Decoded; absent in a list. */
  key?: string;
  value: RangeNode;
  /** Offset of the comma after it. */
  comma?: number;
}

const SPACE = /[\s\u00A0\uFEFF\u2028\u2029]/;

/**
 * Finds the ranges of a text that the JSON5 parser accepts. Only structure is read: a text that the parser refuses gives an error here or a
 * meaningless tree, so parse first.
 */
export function scanRanges(text: string): RangeNode {
  return readValue(text, skipTrivia(text, 0));
}

/** The node at a path. Of keys that stand twice the last counts, as in the parser. */
export function findRange(root: RangeNode, path: readonly Segment[]): RangeNode | undefined {
  let node: RangeNode | undefined = root;
  for (const segment of path) node = node === undefined ? undefined : findElement(node, segment)?.value;
  return node;
}

export function findElement(node: RangeNode, segment: Segment): RangeElement | undefined {
  if (node.kind === 'array') return typeof segment === 'number' ? node.elements[segment] : undefined;
  return node.elements.findLast((element) => element.key === String(segment));
}

/** The place of a path, or of its nearest parent that exists: for an unknown key the key itself. */
export function locate(text: string, root: RangeNode, path: readonly Segment[]): { line: number; column: number } {
  let offset = root.start;
  let node: RangeNode | undefined = root;
  for (const segment of path) {
    const element: RangeElement | undefined = node === undefined ? undefined : findElement(node, segment);
    if (element === undefined) break;
    offset = element.start;
    node = element.value;
  }
  const lines = text.slice(0, offset).split(/\r\n|[\n\r\u2028\u2029]/);
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}

/** The first offset at or behind `at` that is neither white space nor a comment. */
function skipTrivia(text: string, at: number): number {
  let offset = at;
  while (offset < text.length) {
    const char = text[offset] ?? '';
    if (SPACE.test(char)) offset += 1;
    else if (text.startsWith('//', offset)) offset = lineEnd(text, offset);
    else if (text.startsWith('/*', offset)) offset = blockEnd(text, offset);
    else break;
  }
  return offset;
}

/** The offset of the next line break, or the end of the text. */
export function lineEnd(text: string, at: number): number {
  const found = text.slice(at).search(/[\n\r\u2028\u2029]/);
  return found < 0 ? text.length : at + found;
}

/** The offset behind a block comment that begins at `at`. */
export function blockEnd(text: string, at: number): number {
  const found = text.indexOf('*/', at + 2);
  return found < 0 ? text.length : found + 2;
}

function readValue(text: string, start: number): RangeNode {
  const char = text[start];
  if (char === '{' || char === '[') return readContainer(text, start, char === '{' ? 'object' : 'array');
  const end = char === '"' || char === "'" ? stringEnd(text, start) : wordEnd(text, start);
  if (end === start) throw new Error(`no value at offset ${start}`);
  return { kind: 'scalar', start, end, elements: [] };
}

function readContainer(text: string, start: number, kind: 'object' | 'array'): RangeNode {
  const close = kind === 'object' ? '}' : ']';
  const elements: RangeElement[] = [];
  let at = skipTrivia(text, start + 1);
  while (text[at] !== close) {
    const element = kind === 'object' ? readMember(text, at) : readItem(text, at);
    elements.push(element);
    at = skipTrivia(text, element.end);
    if (text[at] === ',') {
      element.comma = at;
      at = skipTrivia(text, at + 1);
    } else if (text[at] !== close) throw new Error(`no comma at offset ${at}`);
  }
  return { kind, start, end: at + 1, elements };
}

function readItem(text: string, at: number): RangeElement {
  const value = readValue(text, at);
  return { start: value.start, end: value.end, value };
}

function readMember(text: string, start: number): RangeElement {
  const quoted = text[start] === '"' || text[start] === "'";
  const keyEnd = quoted ? stringEnd(text, start) : wordEnd(text, start);
  const colon = skipTrivia(text, keyEnd);
  if (text[colon] !== ':') throw new Error(`no colon at offset ${colon}`);
  const value = readValue(text, skipTrivia(text, colon + 1));
  const raw = quoted ? text.slice(start + 1, keyEnd - 1) : text.slice(start, keyEnd);
  return { start, end: value.end, key: decode(raw), value };
}

function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== text[start]) at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** The end of a number, a literal or an unquoted key. */
function wordEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && !/[,:{}[\]/"']/.test(text[at] ?? '') && !SPACE.test(text[at] ?? '')) at += 1;
  return at;
}

const ESCAPES: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', 0: '\0' };

function decode(raw: string): string {
  return raw.replace(/\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(\r\n|[\s\S]))/g, (_place, unicode?: string, hex?: string, char?: string) => {
    const code = unicode ?? hex;
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
    if (char === undefined || /^[\n\r\u2028\u2029]/.test(char)) return '';
    return ESCAPES[char] ?? char;
  });
}
