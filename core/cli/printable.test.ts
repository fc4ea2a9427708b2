import { expect, it } from 'vitest';
import { oneLine, printable } from './printable.ts';

it('lets no text drive the terminal or show itself in another order', () => {
  expect(printable('a\tb\nc\rd\u001b[31me\u009b2Jf\u0000')).toBe('a\tb\ncd[31me2Jf');
  expect(printable('rm \u202efr- x\u202c')).toBe('rm \\u202efr- x\\u202c');
  expect(printable('👩\u200d🔧 שלום')).toBe('👩\u200d🔧 שלום');
  expect(oneLine(' a\n b\t\tc ', 4)).toBe('a b…');
});
