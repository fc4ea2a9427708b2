import { expect, it } from 'vitest';
import type { Config } from '../../config/schema.ts';
import { patternFault, repetitions } from './mention-pattern.ts';
import { createMentions } from './mentions.ts';

const config = (messages: string[] | undefined, agent?: string[]) =>
  ({
    messages: { groupChat: { mentionPatterns: messages } },
    agents: { list: [{ id: 'Main', ...(agent === undefined ? {} : { groupChat: { mentionPatterns: agent } }) }] },
  }) as unknown as Config;

it.each(['@durar', '\\bdurar\\b', '^(?:hey|hi),? durar', '(durar)?', '[a-z+*]+bot', '(?:abc)+', 'a{2}', '(?<name>bot)', 'bot[(+]*', '\\(+'])(
  'takes %s',
  (pattern) => expect(patternFault(pattern)).toBeUndefined(),
);

it.each([
  ['(a+)+b', 'repeats'],
  ['(?:a*)*', 'repeats'],
  ['(a|aa)+', 'repeats'],
  ['((a{2,})b)*', 'repeats'],
  ['(?:\\(+)+', 'repeats'],
  ['([ab]+c?)*', 'repeats'],
  ['(x)\\1', 'refers back'],
  ['(', 'Invalid'],
  ['', 'empty'],
  ['a'.repeat(201), 'longer'],
])('refuses %s', (pattern, reason) => expect(patternFault(pattern)).toContain(reason));

it('counts what repeats', () => expect(['abc', 'a+', 'a?b{3}', 'a+b*', 'a{2,5}[x+]', '\\+\\*'].map(repetitions)).toEqual([0, 1, 1, 2, 1, 0]));

it("an agent's own patterns replace the common ones; case does not count", () => {
  const mentions = createMentions(() => undefined);
  expect(mentions.isNamed(config(['durar']), 'main', 'Hi DURAR')).toBe(true);
  expect(mentions.isNamed(config(['durar'], ['clerk']), 'main', 'hi durar')).toBe(false);
  expect(mentions.isNamed(config(['durar'], ['clerk']), 'main', 'hi Clerk')).toBe(true);
  expect([mentions.has(config(undefined), 'main'), mentions.has(config(['x'], []), 'main'), mentions.has(config(['x']), 'main')]).toEqual([false, false, true]);
});

it('a pattern that takes too long is given up, and the process goes on', () => {
  const told: string[] = [];
  const mentions = createMentions((pattern) => void told.push(pattern));
  const slow = `${'a*'.repeat(12)}c`;
  expect(mentions.isNamed(config([slow, 'durar']), 'main', `${'a'.repeat(3_000)} durar`)).toBe(true);
  expect(mentions.isNamed(config([slow]), 'main', 'aac')).toBe(false);
  expect(told).toEqual([slow]);
});

it('a refused pattern is told once and never used', () => {
  const told: string[] = [];
  const mentions = createMentions((pattern) => void told.push(pattern));
  for (let time = 0; time < 3; time += 1) expect(mentions.isNamed(config(['(a+)+']), 'main', 'aaa')).toBe(false);
  expect(told).toEqual(['(a+)+']);
});
