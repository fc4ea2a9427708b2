import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readSecret } from './secret-input.ts';

/** A terminal, or a pipe, and what became of it. */
function streams(isTTY: boolean) {
  const raw: boolean[] = [];
  const shown: string[] = [];
  const input = Object.assign(new PassThrough(), { isTTY, setRawMode: (mode: boolean) => void raw.push(mode) });
  return { input, raw, shown, both: { input: input as never, screen: { write: (text: string) => shown.push(text) > 0 } } };
}

describe('a secret', () => {
  it('that is typed is not shown, and can be corrected', async () => {
    const { input, raw, shown, both } = streams(true);
    const read = readSecret('API key', both);
    for (const piece of ['sk-x', '\u007f', 'ab', '\b', 'c\rnever']) input.write(piece);
    expect(await read).toBe('sk-ac');
    expect(raw).toEqual([true, false]);
    expect(shown.join('')).toBe('API key (it is not shown): \n');
  });

  it.each([
    ['\u0003', 'DUR_CLI_CANCELLED'],
    ['\r', 'DUR_AUTH_INPUT'],
  ])('%j instead of one ends the question', async (typed, code) => {
    const { input, raw, both } = streams(true);
    const read = readSecret('token', both);
    input.write(typed);
    await expect(read).rejects.toMatchObject({ code });
    expect(raw).toEqual([true, false]);
  });

  it.each([
    ['  sk-1\n', 'sk-1'],
    ['', 'DUR_AUTH_INPUT'],
    ['one\ntwo\n', 'DUR_CLI_USAGE'],
  ])('piped in as %j is %s', async (text, outcome) => {
    const { input, both } = streams(false);
    input.end(text);
    const read = await readSecret('API key', both).catch((error) => {
      expect(error.message).not.toContain('two');
      return error.code;
    });
    expect(read).toBe(outcome);
  });
});
