import { describe, expect, it } from 'vitest';
import { type AssistantMessage, emptyUsage, type ModelEntry, type ProviderEvent } from '../../../sdk/index.ts';
import { consumeStream } from './stream.ts';

const model: ModelEntry = {
  id: 'm',
  name: 'M',
  api: 'a',
  provider: 'p',
  reasoning: false,
  input: ['text'],
  cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  contextWindow: 1000,
  maxTokens: 100,
};
const partial: AssistantMessage = {
  role: 'assistant',
  content: [],
  api: 'a',
  provider: 'p',
  model: 'm',
  usage: emptyUsage(),
  stopReason: 'stop',
  timestamp: 1,
};
const delta = (text: string, contentIndex = 0): ProviderEvent => ({ type: 'text_delta', contentIndex, delta: text, partial });
const done = (content: AssistantMessage['content'], reason: 'stop' | 'length' | 'toolUse' = 'stop'): ProviderEvent => ({
  type: 'done',
  reason,
  message: { ...partial, content },
});

async function consume(open: (signal: AbortSignal) => AsyncIterable<ProviderEvent>, more: { signal?: AbortSignal; stallMs?: number } = {}) {
  const text: string[] = [];
  const thoughts: string[] = [];
  const outcome = await consumeStream({
    open,
    model,
    owner: 'provider-extension',
    signal: more.signal ?? new AbortController().signal,
    stallMs: more.stallMs ?? 5_000,
    now: () => 7,
    onText: (part) => text.push(part),
    onThinking: (part) => thoughts.push(part),
  });
  return { ...outcome, text, thoughts };
}

const from = (...events: unknown[]) =>
  async function* stream(): AsyncIterable<ProviderEvent> {
    yield* events as ProviderEvent[];
  };

describe('a provider stream', () => {
  it('tells deltas as they come and ends with its message', async () => {
    const { message, error, text, thoughts } = await consume(
      from(
        { type: 'start', partial },
        { type: 'thinking_delta', contentIndex: 0, delta: 'hm', partial },
        delta('he', 1),
        delta('', 1),
        delta('llo', 1),
        done([{ type: 'text', text: 'hello' }]),
      ),
    );
    expect(error).toBeUndefined();
    expect(message).toMatchObject({ content: [{ text: 'hello' }], stopReason: 'stop' });
    expect([text, thoughts]).toEqual([['he', 'llo'], ['hm']]);
  });

  it('fills in what the message leaves out, and reads the stop reason from its blocks', async () => {
    const bare = { role: 'assistant', content: [{ type: 'toolCall', id: 'c', name: 'look', arguments: null }] };
    const { message } = await consume(from({ type: 'done', reason: 'stop', message: bare }));
    expect(message).toMatchObject({
      api: 'a',
      provider: 'p',
      model: 'm',
      stopReason: 'toolUse',
      usage: emptyUsage(),
      timestamp: 7,
      content: [{ arguments: {} }],
    });
    const cut = await consume(
      from(
        done(
          [
            { type: 'text', text: 'par' },
            { type: 'toolCall', id: 'c', name: 'look', arguments: {} },
          ],
          'length',
        ),
      ),
    );
    expect(cut.message).toMatchObject({ stopReason: 'length', content: [{ type: 'text' }] });
    expect((await consume(from(done([{ type: 'text', text: 'x' }], 'toolUse')))).message.stopReason).toBe('stop');
  });

  it.each([
    ['ends without a last event', [delta('x')], "'done' or 'error'"],
    ['yields nothing at all', [], "'done' or 'error'"],
    ['yields something unknown', [{ type: 'surprise' }], "'surprise'"],
    ['yields undefined', [undefined], "'undefined'"],
    ['ends without a message', [{ type: 'done', reason: 'stop' }], 'no assistant message'],
    ['has a delta without text', [{ type: 'text_delta', contentIndex: 0, partial }], 'text_delta'],
    ['has a call without id', [done([{ type: 'toolCall', id: '', name: 'x', arguments: {} }])], 'without id'],
    ['has an unknown block', [done([{ type: 'video' } as never])], "'video'"],
  ])('that %s is broken', async (_name, events, reason) => {
    const { error, message } = await consume(from(...events));
    expect(error).toMatchObject({ code: 'DUR_PROVIDER_STREAM', owner: { extension: 'provider-extension', hook: 'stream' } });
    expect(error?.message).toContain(reason);
    expect(message).toMatchObject({ stopReason: 'error', errorMessage: error?.message });
  });

  it('that throws keeps what had arrived', async () => {
    const { error, message } = await consume(async function* () {
      yield delta('so far');
      throw new Error('connection reset');
    });
    expect(error).toMatchObject({ code: 'DUR_PROVIDER_FAILED', retry: true, message: expect.stringContaining('connection reset') });
    expect(message.content).toEqual([{ type: 'text', text: 'so far' }]);
    const atOnce = await consume(() => {
      throw new Error('no route');
    });
    expect(atOnce.error?.code).toBe('DUR_PROVIDER_FAILED');
  });

  it('that reports an error passes its kind and its usage on', async () => {
    const usage = { ...emptyUsage(), input: 5 };
    const { error, kind, message } = await consume(
      from({ type: 'error', reason: 'error', kind: 'rate_limit', retryAfterMs: 250, error: { ...partial, usage, errorMessage: 'slow down' } }),
    );
    expect([error?.code, kind, error?.details]).toEqual(['DUR_PROVIDER_FAILED', 'rate_limit', { retryAfterMs: 250 }]);
    expect(error?.message).toContain('slow down');
    expect(message.usage).toMatchObject({ input: 5, totalTokens: 5 });
  });

  it('that falls silent is a stall; each event starts the clock anew', async () => {
    let aborted = false;
    const slow = async function* (signal: AbortSignal): AsyncIterable<ProviderEvent> {
      for (let part = 0; part < 5; part += 1) {
        await new Promise((resolve) => setTimeout(resolve, 15));
        yield delta(`${part}`);
      }
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      aborted = true;
    };
    const { error, text } = await consume(slow, { stallMs: 60 });
    expect(error).toMatchObject({ code: 'DUR_PROVIDER_STALLED', retry: true });
    expect(text.join('')).toBe('01234');
    await new Promise((resolve) => setImmediate(resolve));
    expect(aborted).toBe(true);
  });

  it('that ignores its signal cannot hold an abort', async () => {
    const controller = new AbortController();
    const deaf = async function* (): AsyncIterable<ProviderEvent> {
      yield delta('half a ');
      yield delta('sentence');
      controller.abort(new Error('stop'));
      await new Promise(() => undefined);
    };
    const { message, error } = await consume(deaf, { signal: controller.signal });
    expect(error).toBeUndefined();
    expect(message).toMatchObject({ stopReason: 'aborted', content: [{ type: 'text', text: 'half a sentence' }] });
    expect((await consume(deaf, { signal: AbortSignal.abort() })).message).toMatchObject({ stopReason: 'aborted', content: [] });
  });

  it('is not read any further than its end', async () => {
    let returned = false;
    const { message } = await consume(async function* () {
      try {
        yield done([{ type: 'text', text: 'end' }]);
        yield delta('after the end');
      } finally {
        returned = true;
      }
    });
    expect(message.content).toEqual([{ type: 'text', text: 'end' }]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(returned).toBe(true);
  });
});
