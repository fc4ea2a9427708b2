import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type BlockLimits, createBlockStream } from './block-stream.ts';
import { createPreviewStream } from './preview-stream.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function stream(more: Partial<BlockLimits> = {}) {
  const blocks: string[] = [];
  const limits: BlockLimits = {
    minChars: 10,
    maxChars: 40,
    breakPreference: 'paragraph',
    breakAt: 'text_end',
    coalesce: { minChars: 1, maxChars: 40, idleMs: 1_000 },
    ...more,
  };
  return { blocks, ...createBlockStream(limits, (block) => blocks.push(block)) };
}

const said = (text: string, { feed }: { feed(delta: string): void }) => {
  for (const character of text) feed(character);
};

describe('blocks', () => {
  it('end at paragraphs, else lines, else sentences, and are the text exactly', () => {
    const text = 'A first paragraph.\n\nA second one that is longer. It has two sentences\nand a line of its own. The end';
    const one = stream();
    said(text, one);
    one.flush();
    expect(one.blocks.join('')).toBe(text);
    expect(one.blocks[0]).toBe('A first paragraph.\n\n');
    expect(one.blocks.every((block) => block.length <= 40)).toBe(true);
  });

  it('wait for more until nothing came for a while', () => {
    const one = stream();
    said('A first paragraph.\n\n', one);
    expect(one.blocks).toEqual([]);
    vi.advanceTimersByTime(999);
    said('And ', one);
    vi.advanceTimersByTime(1);
    expect(one.blocks).toEqual(['A first paragraph.\n\n']);
  });

  it('go out at the end of the message when that is wanted', () => {
    const one = stream({ breakAt: 'message_end' });
    said('A first paragraph.\n\nA second.\n\nA third one of some length.', one);
    vi.advanceTimersByTime(5_000);
    expect(one.blocks).toEqual([]);
    one.flush();
    expect(one.blocks.join('')).toBe('A first paragraph.\n\nA second.\n\nA third one of some length.');
  });

  it('never end inside a code block', () => {
    const text = 'Look:\n\n```ts\nconst one = 1;\n\nconst two = 2;\n\nconst three = 3;\n```\n\nThat is all of it, my friend.';
    const one = stream();
    said(text, one);
    one.flush();
    expect(one.blocks.join('')).toBe(text);
    for (const block of one.blocks) expect((block.match(/```/g) ?? []).length % 2).toBe(0);
  });

  it('are none for the silent token', () => {
    const one = stream({ minChars: 1 });
    said('NO_REPLY', one);
    one.flush();
    expect(one.blocks).toEqual([]);
  });

  it('are none after the end', () => {
    const one = stream();
    said('A first paragraph.\n\n', one);
    one.stop();
    vi.advanceTimersByTime(5_000);
    expect(one.blocks).toEqual([]);
  });
});

describe('a draft', () => {
  function preview(more: { fails?: boolean; limit?: number } = {}) {
    const shown: string[] = [];
    const failures: unknown[] = [];
    const draft = createPreviewStream(
      {
        open: async (text) => {
          if (more.fails) throw new Error('no');
          shown.push(`open ${text}`);
          return 'd1';
        },
        edit: async (_id, text) => void shown.push(`edit ${text}`),
        failed: (error) => failures.push(error),
      },
      { mode: 'partial', limit: more.limit ?? 100 },
    );
    return { ...draft, shown, failures };
  }

  it('is edited once a second at most, with all that was said', async () => {
    const draft = preview();
    for (let n = 1; n <= 30; n += 1) {
      draft.show('word '.repeat(n + 3));
      await vi.advanceTimersByTimeAsync(100);
    }
    await vi.advanceTimersByTimeAsync(1_000);
    expect(draft.shown[0]).toMatch(/^open word/);
    expect(draft.shown.length).toBeLessThanOrEqual(5);
    expect(draft.shown.at(-1)).toMatch(/^edit (word ?){10,}/);
  });

  it('never shows what may be the silent token, nor directives', async () => {
    const draft = preview();
    draft.show('NO_REP');
    draft.show('[[reply_to_current]] Here is what I found out [[audio');
    await vi.advanceTimersByTimeAsync(0);
    expect(draft.shown).toEqual(['open Here is what I found out']);
  });

  it('stays within one message', async () => {
    const draft = preview({ limit: 30 });
    draft.show('a'.repeat(100));
    await vi.advanceTimersByTimeAsync(0);
    expect(draft.shown).toEqual([`open ${'a'.repeat(29)}…`]);
  });

  it('is given up when the service refuses it, and tells it once', async () => {
    const draft = preview({ fails: true });
    draft.show('a long enough beginning');
    await vi.advanceTimersByTimeAsync(5_000);
    draft.show('a long enough beginning and more');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(draft.failures).toHaveLength(1);
  });

  it('is not touched after its end', async () => {
    const draft = preview();
    draft.show('a long enough beginning');
    await draft.end();
    draft.show('a long enough beginning and more');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(draft.shown).toEqual(['open a long enough beginning']);
  });
});
