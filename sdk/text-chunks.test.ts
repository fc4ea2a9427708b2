import { describe, expect, it } from 'vitest';
import { type ChunkLimits, chunkMarkdown } from './text-chunks.ts';

describe('chunkMarkdown', () => {
  it.each<[string, string, ChunkLimits, string[]]>([
    ['leaves short text alone', 'one\n\ntwo', { chars: 20 }, ['one\n\ntwo']],
    ['gives nothing for nothing', ' \n ', { chars: 20 }, []],
    ['prefers the end of a paragraph', 'aaaa bbbb\n\ncccc. dddd', { chars: 18 }, ['aaaa bbbb', 'cccc. dddd']],
    ['then the end of a line', 'aaaa bbbb\ncccc. dddd', { chars: 17 }, ['aaaa bbbb', 'cccc. dddd']],
    ['then of a sentence', 'aaaa bbbb. cccc dddd', { chars: 16 }, ['aaaa bbbb.', 'cccc dddd']],
    ['then of a word', 'aaaa bbbb cccc dddd', { chars: 16 }, ['aaaa bbbb cccc', 'dddd']],
    ['else cuts anywhere', 'abcdefghij', { chars: 4 }, ['abcd', 'efgh', 'ij']],
    ['takes an early break rather than tear a word', 'ab cdefghijk', { chars: 9 }, ['ab', 'cdefghijk']],
    ['keeps the number of lines', 'a\nb\nc\nd\ne', { chars: 99, lines: 2 }, ['a\nb', 'c\nd', 'e']],
    ['cuts at each blank line when asked', 'a\n\nb\n\n```\nx\n\ny\n```\n\nc', { chars: 99, mode: 'newline' }, ['a', 'b', '```\nx\n\ny\n```', 'c']],
  ])('%s', (_title, text, limits, expected) => {
    expect(chunkMarkdown(text, limits)).toEqual(expected);
  });

  it('closes a code block at the cut and opens it again', () => {
    const code = Array.from({ length: 6 }, (_, at) => `line ${at}`).join('\n');
    expect(chunkMarkdown(`\`\`\`ts\n${code}\n\`\`\``, { chars: 34 })).toEqual(['```ts\nline 0\nline 1\nline 2\n```', '```ts\nline 3\nline 4\nline 5\n```']);
  });

  it('never tears what a reader sees as one character', () => {
    const family = '👩‍👩‍👧‍👦';
    for (const chunk of chunkMarkdown(family.repeat(10), { chars: 25 })) expect(chunk.length % family.length).toBe(0);
    const flags = chunkMarkdown('e\u0301'.repeat(50), { chars: 7 });
    expect(flags.every((chunk) => !chunk.startsWith('\u0301'))).toBe(true);
  });

  /** A small generator with a seed, so that a failure can be had again. */
  function randomOf(seed: number) {
    let state = seed;
    return (most: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state % most;
    };
  }

  it('keeps every limit and every letter, whatever the text', () => {
    const words = ['alpha', 'b', '\n', '\n\n', '```\n', '\n```\n', '~~~k\n', ' ', '. ', '😀', 'é', 'x'.repeat(50), '`x', '- item\n', '\t'];
    for (let seed = 1; seed <= 3_000; seed += 1) {
      const random = randomOf(seed);
      const text = Array.from({ length: 5 + random(60) }, () => words[random(words.length)]).join(' '.repeat(random(2)));
      const limits = { chars: 40 + random(80), ...(random(3) === 0 ? { lines: 3 + random(5) } : {}) };
      const chunks = chunkMarkdown(text, limits);
      for (const chunk of chunks) {
        expect(chunk.length, `seed ${seed}: ${JSON.stringify(chunk)}`).toBeLessThanOrEqual(limits.chars);
        if (limits.lines !== undefined) expect(chunk.split('\n').length, `seed ${seed}`).toBeLessThanOrEqual(limits.lines);
        expect(chunk.trim(), `seed ${seed}`).not.toBe('');
      }
      const letters = (given: string) => given.replace(/[\s`~]|k/g, '');
      expect(letters(chunks.join('')), `seed ${seed}`).toBe(letters(text));
    }
  });
});
