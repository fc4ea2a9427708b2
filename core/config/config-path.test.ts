import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatPath, getAt, parsePath, type Segment, toPointer, withoutAt } from './config-path.ts';

describe('parsePath', () => {
  it.each<[string, Segment[]]>([
    ['gateway.port', ['gateway', 'port']],
    ['agents.list[0].id', ['agents', 'list', 0, 'id']],
    ['plugins.entries["my.plugin"].enabled', ['plugins', 'entries', 'my.plugin', 'enabled']],
    ["a['b']", ['a', 'b']],
    ['a\\.b.c', ['a.b', 'c']],
    ['[2]', [2]],
    ['agents.defaults.models["anthropic/claude-opus-4-6"]', ['agents', 'defaults', 'models', 'anthropic/claude-opus-4-6']],
  ])('reads %s', (text, segments) => expect(parsePath(text)).toEqual(segments));

  it.each(['', '.', 'a.', '.a', 'a..b', 'a[', 'a[x]', 'a[-1]', 'a[0]b', 'a]', '__proto__', 'a.__proto__.b', 'a["constructor"]', 'a.prototype'])(
    'refuses "%s"',
    (text) => {
      expect(() => parsePath(text)).toThrow(expect.objectContaining({ code: 'DUR_CONFIG_PATH' }));
    },
  );

  it('reads what formatPath writes', () => {
    const segment = fc.oneof(
      fc.nat({ max: 99 }),
      fc.string().filter((text) => !['__proto__', 'prototype', 'constructor'].includes(text)),
    );
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1 }), (path) => {
        expect(parsePath(formatPath(path))).toEqual(path);
      }),
    );
  });
});

it('toPointer escapes', () => expect(toPointer(['a/b', 'c~d', 0])).toBe('/a~1b/c~0d/0'));

it('getAt follows own keys only', () => {
  expect(getAt({ a: [{ b: 1 }] }, ['a', 0, 'b'])).toBe(1);
  expect(getAt({ a: 'text' }, ['a', 'length'])).toBeUndefined();
  expect(getAt({}, ['toString'])).toBeUndefined();
});

it('withoutAt leaves the original alone', () => {
  const value = { a: [1, { b: 2, c: 3 }], d: 4 };
  expect(withoutAt(value, ['a', 1, 'b'])).toEqual({ a: [1, { c: 3 }], d: 4 });
  expect(withoutAt(value, ['a', 0])).toEqual({ a: [{ b: 2, c: 3 }], d: 4 });
  expect(withoutAt(value, ['x', 'y'])).toBe(value);
  expect(value).toEqual({ a: [1, { b: 2, c: 3 }], d: 4 });
});
