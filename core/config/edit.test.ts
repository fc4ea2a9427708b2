import fc from 'fast-check';
import JSON5 from 'json5';
import { describe, expect, it } from 'vitest';
import type { Segment } from './config-path.ts';
import { patchIn, setIn, unsetIn, updateTo } from './edit.ts';
import { findRange, locate, scanRanges } from './json5-ranges.ts';

const OWN_STYLE = `// head
{
  // about the gateway
  gateway: {
    port: 1, // the port
    'bind': 'lan', /* who */
  },
  list: [1, 2, /* three */ 3],
  "quoted": {"a": {"b": null}}, inline: {x: 1, y: 2},
  hex: +0x1F, inf: -Infinity, text: 'it\\'s "x" // no comment',
  // tail
}
// end
`;

describe('setIn', () => {
  it.each<[string, string, Segment[], unknown, string]>([
    ['replaces a value', '{a: 1, b: 2}', ['a'], 'x', '{a: "x", b: 2}'],
    ['adds to one line', '{a: 1}', ['b'], 2, '{a: 1, b: 2}'],
    ['adds to one line with a comma at its end', '{a: 1,}', ['b'], 2, '{a: 1, b: 2,}'],
    ['adds on its own line', '{\n  "a": 1\n}\n', ['b'], 2, '{\n  "a": 1,\n  "b": 2\n}\n'],
    ['keeps a comma at the end', '{\n  a: 1,\n}\n', ['b'], 2, '{\n  a: 1,\n  b: 2,\n}\n'],
    ['adds behind the comment of the last line', '{\n  a: 1 // one\n}\n', ['b'], 2, '{\n  a: 1, // one\n  b: 2\n}\n'],
    ['adds behind a comment that ends one line', '{a: 1 // one\n}', ['b'], 2, '{a: 1, // one\n  b: 2\n}'],
    ['fills an empty object', '{\n  a: {}\n}\n', ['a', 'b'], 2, '{\n  a: {\n    b: 2\n  }\n}\n'],
    ['fills an object that holds only a comment', '{\n  // nothing yet\n}\n', ['a'], 1, '{\n  // nothing yet\n  "a": 1\n}\n'],
    ['makes what is missing on the way', '{}', ['a', 'b', 0, 'c'], 1, '{\n  "a": {\n    "b": [\n      {\n        "c": 1\n      }\n    ]\n  }\n}'],
    ['puts an object in place of null', '{"a": null}', ['a', 'b'], 1, '{"a": {\n  "b": 1\n}}'],
    ['appends to a list', '{a: [1, 2]}', ['a', 2], 3, '{a: [1, 2, 3]}'],
    ['keeps tabs and CRLF', '{\r\n\t"a": 1\r\n}\r\n', ['b', 'c'], 2, '{\r\n\t"a": 1,\r\n\t"b": {\r\n\t\t"c": 2\r\n\t}\r\n}\r\n'],
    ['quotes a key that needs it', '{a: 1}', ['b-c'], 2, '{a: 1, "b-c": 2}'],
    ['finds a key with escapes', '{"\\u0061": 1, b: 2}', ['a'], 3, '{"\\u0061": 3, b: 2}'],
    ['changes the last of two equal keys', '{a: 1, a: 2}', ['a'], 3, '{a: 1, a: 3}'],
    ['makes strict JSON of an empty file', '', ['a', 'b'], true, '{\n  "a": {\n    "b": true\n  }\n}\n'],
    ['makes strict JSON of a blank file', ' \n', ['a'], 1, '{\n  "a": 1\n}\n'],
  ])('%s', (_name, text, path, value, expected) => {
    expect(setIn(text, path, value)).toBe(expected);
  });

  it.each<[string, string, Segment[]]>([
    ['a key below a text', '{a: "x"}', ['a', 'b']],
    ['a key of a list', '{a: [1]}', ['a', 'b']],
    ['a gap in a list', '{a: [1]}', ['a', 2]],
    ['a gap in a new list', '{}', ['a', 1]],
  ])('refuses %s', (_name, text, path) => {
    expect(() => setIn(text, path, 1)).toThrow(expect.objectContaining({ code: 'DUR_CONFIG_PATH' }));
  });
});

describe('unsetIn', () => {
  it.each<[string, string, Segment[], string]>([
    ['the first of one line', '{a: 1, b: 2}', ['a'], '{b: 2}'],
    ['the last of one line', '{a: 1, b: 2}', ['b'], '{a: 1}'],
    ['the only one', '{a: 1}', ['a'], '{}'],
    ['a line', '{\n  "a": 1,\n  "b": 2\n}\n', ['a'], '{\n  "b": 2\n}\n'],
    ['the last line', '{\n  "a": 1,\n  "b": 2\n}\n', ['b'], '{\n  "a": 1\n}\n'],
    ['a line, but not its comments', '{\n  // above\n  a: 1, // beside\n  b: 2,\n}\n', ['a'], '{\n  // above\n  // beside\n  b: 2,\n}\n'],
    ['both of two equal keys', '{a: 1, b: 2, a: 3}', ['a'], '{b: 2}'],
    ['one item of a list', '[[1, 2, 3]]', [0, 1], '[[1, 3]]'],
    ['nothing when it is not there', '{a: 1}', ['b', 'c'], '{a: 1}'],
  ])('removes %s', (_name, text, path, expected) => {
    expect(unsetIn(text, path)).toBe(expected);
  });
});

describe('patchIn', () => {
  it('merges objects, deletes with null, replaces the rest', () => {
    const text = '{\n  a: {b: 1, c: 2}, // keep\n  d: [1, 2],\n  e: 1,\n}\n';
    expect(patchIn(text, { a: { b: null, x: 3 }, d: [9], f: { g: null, h: 1 } })).toBe(
      '{\n  a: {c: 2, x: 3}, // keep\n  d: [\n    9\n  ],\n  e: 1,\n  f: {\n    h: 1\n  },\n}\n',
    );
  });
});

describe('updateTo', () => {
  it('touches only what differs', () => {
    const next = JSON5.parse(OWN_STYLE) as { gateway: { port: number } };
    next.gateway.port = 2;
    expect(updateTo(OWN_STYLE, JSON5.parse(OWN_STYLE), next)).toBe(OWN_STYLE.replace('port: 1,', 'port: 2,'));
  });
});

describe('locate', () => {
  it.each<[Segment[], { line: number; column: number }]>([
    [['gateway', 'port'], { line: 5, column: 5 }],
    [['list', 2], { line: 8, column: 28 }],
    [['quoted', 'a', 'nowhere'], { line: 9, column: 14 }],
    [[], { line: 2, column: 1 }],
  ])('finds %j', (path, place) => expect(locate(OWN_STYLE, scanRanges(OWN_STYLE), path)).toEqual(place));
});

/** A JSON value, and a text for it in a style that changes at random from token to token. */
interface Sample {
  value: Record<string, unknown>;
  text: string;
}

const key = fc.oneof(
  fc.constantFrom('a', 'b', 'c', 'port', '$x', 'ключ'),
  fc.string({ maxLength: 6 }).filter((text) => text !== '__proto__'),
);
const tree = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.oneof(fc.string({ maxLength: 8 }), fc.integer(), fc.boolean(), fc.constant(null)),
    tie('object'),
    fc.array(tie('value'), { maxLength: 3 }),
  ),
  object: fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
}));
const trivia = fc.constantFrom('', ' ', '\n', '\n    ', ' /* {,} "c" */ ', " // } , '\n", '\n\n\t', '\u00a0', '\r\n  ');

function render(value: unknown, pick: () => string, coin: () => boolean): string {
  const gap = pick;
  if (Array.isArray(value))
    return `[${value.map((item) => gap() + render(item, pick, coin) + gap()).join(',')}${value.length > 0 && coin() ? `,${gap()}` : gap()}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([name, child]) => `${gap()}${renderKey(name, coin)}${gap()}:${gap()}${render(child, pick, coin)}${gap()}`);
    return `{${members.join(',')}${members.length > 0 && coin() ? `,${gap()}` : gap()}}`;
  }
  if (typeof value === 'string' && coin()) return JSON5.stringify(value, { quote: "'" });
  return JSON.stringify(value);
}

function renderKey(name: string, coin: () => boolean): string {
  if (/^[A-Za-z_$][\w$]*$/.test(name) && coin()) return name;
  return coin() ? JSON5.stringify(name, { quote: "'" }) : JSON.stringify(name);
}

const sample: fc.Arbitrary<Sample> = fc
  .record({ value: tree.object, gaps: fc.infiniteStream(trivia), coins: fc.infiniteStream(fc.boolean()) })
  .map(({ value, gaps, coins }) => {
    const pick = () => gaps.next().value ?? '';
    const coin = () => coins.next().value ?? false;
    return { value, text: pick() + render(value, pick, coin) + pick() };
  });

function paths(value: unknown, at: Segment[] = []): Segment[][] {
  if (typeof value !== 'object' || value === null) return [at];
  const children = Array.isArray(value)
    ? value.flatMap((item, index) => paths(item, [...at, index]))
    : Object.entries(value).flatMap(([name, child]) => paths(child, [...at, name]));
  return [at, ...children];
}

function comments(text: string): string[] {
  return [...text.matchAll(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(\/\*[\s\S]*?\*\/|\/\/[^\n\r\u2028\u2029]*)/g)].flatMap((match) =>
    match[1] === undefined ? [] : [match[1]],
  );
}

function commentsOutside(text: string, range: { start: number; end: number } | undefined): string[] {
  return range === undefined ? comments(text) : [...comments(text.slice(0, range.start)), ...comments(text.slice(range.end))];
}

const related = (left: Segment[], right: Segment[]) => left.every((segment, index) => index >= right.length || segment === right[index]);

describe('every style', () => {
  it('scanRanges finds the text of every value', () => {
    fc.assert(
      fc.property(sample, ({ value, text }) => {
        const root = scanRanges(text);
        for (const path of paths(value)) {
          const node = findRange(root, path);
          expect(JSON5.parse(text.slice(node?.start, node?.end))).toEqual(
            path.reduce<unknown>((part, segment) => (part as Record<Segment, unknown>)[segment], value),
          );
        }
      }),
      { numRuns: 300 },
    );
  });

  it('setIn changes one value: comments, order and every other value keep their text', () => {
    fc.assert(
      fc.property(sample, fc.nat(), fc.option(fc.string({ minLength: 1, maxLength: 5 })), tree.value, ({ value, text }, choice, fresh, replacement) => {
        const all = paths(value);
        const chosen = all[choice % all.length] ?? [];
        const target = chosen.reduce<unknown>((part, segment) => (part as Record<Segment, unknown>)[segment], value);
        const container = typeof target === 'object' && target !== null;
        const path = container ? [...chosen, Array.isArray(target) ? target.length : (fresh ?? 'new')] : chosen;
        fc.pre(path.length > 0 && path.at(-1) !== '__proto__');
        const edited = setIn(text, path, replacement);
        expect(JSON5.parse(edited)).toEqual(model(value, path, replacement));
        expect(comments(edited)).toEqual(commentsOutside(text, findRange(scanRanges(text), path)));
        keepsOthers(value, text, edited, path);
      }),
      { numRuns: 500 },
    );
  });

  it('unsetIn removes one value: comments outside it, order and every other value keep their text', () => {
    fc.assert(
      fc.property(sample, fc.nat(), ({ value, text }, choice) => {
        const members = paths(value).filter((path) => typeof path.at(-1) === 'string');
        fc.pre(members.length > 0);
        const path = members[choice % members.length] ?? [];
        const edited = unsetIn(text, path);
        const parent = findRange(scanRanges(text), path.slice(0, -1));
        expect(comments(edited)).toEqual(
          commentsOutside(
            text,
            parent?.elements.find((element) => element.key === path.at(-1)),
          ),
        );
        expect(JSON5.parse(edited)).toEqual(model(value, path, undefined));
        keepsOthers(value, text, edited, path);
        expect(Object.keys(JSON5.parse(edited) as object)).toEqual(Object.keys(model(value, path, undefined) as object));
      }),
      { numRuns: 500 },
    );
  });

  it('updateTo reaches any other content', () => {
    fc.assert(
      fc.property(sample, tree.object, ({ value, text }, next) => {
        expect(JSON5.parse(updateTo(text, value, next))).toEqual(next);
      }),
      { numRuns: 300 },
    );
  });
});

function model(value: unknown, path: Segment[], replacement: unknown): unknown {
  const copy = structuredClone(value) as Record<Segment, unknown>;
  const parent = path.slice(0, -1).reduce<Record<Segment, unknown>>((part, segment) => part[segment] as Record<Segment, unknown>, copy);
  const last = path.at(-1) ?? '';
  if (replacement === undefined) delete parent[last];
  else parent[last] = replacement;
  return copy;
}

function keepsOthers(value: unknown, before: string, after: string, changed: Segment[]): void {
  const left = scanRanges(before);
  const right = scanRanges(after);
  for (const path of paths(value)) {
    if (related(path, changed)) continue;
    const from = findRange(left, path);
    const to = findRange(right, path);
    expect(after.slice(to?.start, to?.end)).toBe(before.slice(from?.start, from?.end));
  }
}
