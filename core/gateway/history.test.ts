import { describe, expect, it } from 'vitest';
import type { AgentMessage, SessionRecord, StoredEntry } from '../../sdk/index.ts';
import { displayMessage } from './display.ts';
import { HISTORY_LIMITS, readHistory } from './history.ts';

const USAGE = { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, totalTokens: 2, cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 } };
const assistant = (text: string, more: object = {}): AgentMessage =>
  ({
    role: 'assistant',
    content: [{ type: 'text', text }],
    api: 'a',
    provider: 'p',
    model: 'm',
    usage: USAGE,
    stopReason: 'stop',
    timestamp: 1,
    ...more,
  }) as AgentMessage;
const user = (content: string): AgentMessage => ({ role: 'user', content, timestamp: 1 });
const textOf = (message: Record<string, unknown> | undefined) => (message?.content as Array<{ text: string }> | undefined)?.[0]?.text;
const shown = (text: string, maxChars = 12_000) => textOf(displayMessage(assistant(text), maxChars));

describe('a displayed message', () => {
  it.each([
    ['directive tags (PROTO-185)', '[[reply_to_current]]a [[reply_to: 12]]b [[audio_as_voice]]c', 'a b c'],
    ['tool_call (PROTO-186)', 'a<tool_call>{"name":"x"}</tool_call>b', 'ab'],
    ['function_call (PROTO-187)', 'a<function_call>{"name":"x"}</function_call>b', 'ab'],
    ['tool_calls (PROTO-188)', 'a<tool_calls>\n<tool_call>1</tool_call>\n</tool_calls>b', 'ab'],
    ['function_calls (PROTO-189)', 'a<function_calls><invoke name="x"></invoke></function_calls>b', 'ab'],
    ['with attributes', 'a<tool_call id="1">{}</tool_call>b', 'ab'],
    ['left open (PROTO-190)', 'a<tool_call>{"name":"x","argu', 'a'],
    ['left open after a whole one (PROTO-190)', 'a<function_calls>1</function_calls>b<function_calls>{"na', 'ab'],
    ['cut in the tag (PROTO-190)', 'a<tool_call', 'a'],
    ['cut in its attributes (PROTO-190)', 'a<tool_call name="x', 'a'],
    ['ASCII control tokens (PROTO-191)', 'a<|im_end|>b<|endoftext|>c', 'abc'],
    ['full-width control tokens (PROTO-192)', 'a<｜tool▁calls▁begin｜>b＜｜end｜＞c＜|x|＞d', 'abcd'],
  ])('has no %s', (_name, text, expected) => {
    expect(shown(text)).toBe(expected);
  });

  it('keeps what only looks alike', () => {
    for (const text of ['a < b | c > d', 'if (a <|| b) {}', '[[link]] and [text]', '<tool_caller>x</tool_caller>', 'x <tool> y', 'no tags'])
      expect(shown(text)).toBe(text);
    expect(displayMessage(user('<tool_call>what is this</tool_call>'), 100)?.content).toBe('<tool_call>what is this</tool_call>');
  });

  it('is left out when it is the silent token alone, and only then (PROTO-193 to PROTO-195)', () => {
    for (const text of ['NO_REPLY', 'no_reply', ' NO_REPLY\n']) expect(displayMessage(assistant(text), 100)).toBeUndefined();
    const thought = assistant('', {
      content: [
        { type: 'thinking', thinking: 'hm' },
        { type: 'text', text: 'NO_REPLY' },
      ],
    });
    expect(displayMessage(thought, 100)).toBeUndefined();
    expect(shown('I would say NO_REPLY here')).toBe('I would say NO_REPLY here');
    expect(displayMessage(user('NO_REPLY'), 100)).toMatchObject({ content: 'NO_REPLY' });
    const call = assistant('', {
      content: [
        { type: 'text', text: 'NO_REPLY' },
        { type: 'toolCall', id: '1', name: 'x', arguments: {} },
      ],
    });
    expect(displayMessage(call, 100)).toBeDefined();
  });

  it('has no data of pictures, no signatures, no details, usage only of replies', () => {
    const look = { role: 'user', content: [{ type: 'image', data: 'AAAA', mimeType: 'image/png' }], timestamp: 1, usage: 1 } as unknown as AgentMessage;
    expect(displayMessage(look, 100)).toEqual({ role: 'user', timestamp: 1, content: [{ type: 'image', mimeType: 'image/png', omitted: true, bytes: 3 }] });
    const thought = assistant('', { content: [{ type: 'thinking', thinking: 'hm', thinkingSignature: 'x' }] });
    expect(displayMessage(thought, 100)).toMatchObject({ content: [{ type: 'thinking', thinking: 'hm' }], usage: USAGE });
    expect(JSON.stringify(displayMessage(thought, 100))).not.toContain('Signature');
  });

  it('costs no more than its length, whatever it holds', () => {
    for (const unit of ['[[reply_to:', '<tool_call', '<tool_call ', '</tool_call', '<|', '[[ ', '<function_calls><']) {
      const text = unit.repeat(Math.ceil(400_000 / unit.length));
      // a pattern that looks back over all of it for each unit would take longer than a test may
      expect(displayMessage(assistant(`${text}>`), 500_000)).toBeDefined();
      expect(displayMessage(assistant(text), 500_000)).toBeDefined();
    }
  });
});

describe('a history', () => {
  const session = { sessionId: 's' } as SessionRecord;
  const storeOf = (entries: StoredEntry[]) => ({
    read: async (_session: SessionRecord, { fromSeq = 1, limit = Number.POSITIVE_INFINITY } = {}) => ({
      entries: entries.filter(({ seq }) => seq >= fromSeq).slice(0, limit),
      lastSeq: entries.length,
    }),
  });

  /** The same numbers each time. */
  function random(seed: number): () => number {
    let state = seed;
    return () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
  }

  function randomEntries(next: () => number, count: number, largest: number): StoredEntry[] {
    const pick = <Value>(values: readonly Value[]) => values[Math.floor(next() * values.length)] as Value;
    const letters = ['a', 'é', '漢', '😀', '"', '\n', '<', '[['];
    return Array.from({ length: count }, (_, index) => {
      const place = { id: `e${index}`, seq: index + 1, parentId: null, timestamp: '' };
      if (next() < 0.1) return { ...place, type: 'label', targetId: 'e0' } as StoredEntry;
      const text = next() < 0.1 ? 'NO_REPLY' : pick(letters).repeat(Math.floor(next() ** 4 * largest));
      const message = next() < 0.5 ? user(text) : assistant(text);
      return { ...place, type: 'message', message } as StoredEntry;
    });
  }

  it('keeps every limit for any transcript, newest first to stay (PROTO-184, PROTO-196)', async () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const next = random(seed);
      const entries = randomEntries(next, Math.floor(next() * 300), 400_000);
      const limit = 1 + Math.floor(next() * 400);
      const maxChars = 1 + Math.floor(next() ** 3 * 500_000);
      const messages = await readHistory(storeOf(entries), session, { limit, maxChars });
      expect(messages.length).toBeLessThanOrEqual(limit);
      const sizes = messages.map((message) => Buffer.byteLength(JSON.stringify(message)));
      for (const size of sizes) expect(size).toBeLessThanOrEqual(HISTORY_LIMITS.messageBytes);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      expect(total).toBeLessThanOrEqual(HISTORY_LIMITS.totalBytes);
      const places = messages.map(({ __openclaw }) => (__openclaw as { seq: number }).seq);
      expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
      const visible = entries.filter((entry) => entry.type === 'message' && displayMessage(entry.message, maxChars) !== undefined).map(({ seq }) => seq);
      expect(places).toEqual(visible.slice(visible.length - places.length));
      const isCutByBytes = total + HISTORY_LIMITS.messageBytes > HISTORY_LIMITS.totalBytes;
      if (!isCutByBytes) expect(places).toHaveLength(Math.min(limit, visible.length));
      for (const { content } of messages) {
        const text = typeof content === 'string' ? content : (content as Array<{ text: string }>)[0]?.text;
        expect(text?.length ?? 0).toBeLessThanOrEqual(maxChars + '[chat.history omitted: message too large]'.length);
        expect(text?.isWellFormed() ?? true).toBe(true);
      }
    }
  });

  it('marks what was too large, and leaves the stored entries as they are (PROTO-196, PROTO-197)', async () => {
    const entry = { type: 'message', id: 'e1', seq: 1, parentId: null, timestamp: '', message: assistant('漢'.repeat(60_000)) } as StoredEntry;
    const before = structuredClone(entry);
    const [message] = await readHistory(storeOf([entry]), session, { limit: 1, maxChars: 500_000 });
    expect(message).toEqual({
      role: 'assistant',
      timestamp: 1,
      content: [{ type: 'text', text: '[chat.history omitted: message too large]' }],
      __openclaw: { id: 'e1', seq: 1, truncated: true, reason: 'oversized' },
    });
    expect(entry).toEqual(before);
    const [cut] = await readHistory(storeOf([entry]), session, { limit: 1, maxChars: 10 });
    expect(textOf(cut)).toBe(`${'漢'.repeat(10)}\n...(truncated)...`);
  });
});
