import { expect, it } from 'vitest';
import { parseValue } from './parse.ts';

it.each([
  ['5', 5],
  ['true', true],
  ['null', null],
  ['"x"', 'x'],
  ["'x'", 'x'],
  ['[1, 2,]', [1, 2]],
  ['{a: 1}', { a: 1 }],
  ['my-engine', 'my-engine'],
  ['http://127.0.0.1:1/v1', 'http://127.0.0.1:1/v1'],
  ['', ''],
])('parseValue reads %s as JSON5, else as text', async (text, value) => expect(await parseValue(text)).toEqual(value));
