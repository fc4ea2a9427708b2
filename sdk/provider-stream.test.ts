import { describe, expect, it } from 'vitest';
import type { ModelEntry, ProviderEvent } from './ports/provider.ts';
import { BadReply, ProviderStream } from './provider-stream.ts';

const model: ModelEntry = {
  id: 'm',
  name: 'M',
  api: 'a',
  provider: 'p',
  reasoning: true,
  input: ['text'],
  cost: { input: 2, output: 10, cacheRead: 0.5, cacheWrite: 3 },
  contextWindow: 1000,
  maxTokens: 100,
};

/** What an event says beside the message so far. */
const told = ({ type, ...rest }: ProviderEvent) => {
  const { partial: _partial, ...fields } = rest as Record<string, unknown>;
  return { type, ...fields };
};

describe('a reply', () => {
  it('is told block by block and ends as toolUse when it calls a tool', () => {
    const reply = new ProviderStream(model);
    const events = [reply.start()];
    const [thought, thinking] = reply.openThinking();
    events.push(thinking, reply.thinking(thought, 'hm'), ...reply.close(thought));
    const [text, opened] = reply.openText();
    events.push(opened, reply.text(text, 'Hel'), reply.text(text, 'lo'));
    const [call, called] = reply.openToolCall('c1', 'read');
    events.push(called, reply.toolArguments(call, '{"path":'), reply.toolArguments(call, '"a"}'), ...reply.close(text), ...reply.close(call));
    expect(events.map(told)).toEqual([
      { type: 'start' },
      { type: 'thinking_start', contentIndex: 0 },
      { type: 'thinking_delta', contentIndex: 0, delta: 'hm' },
      { type: 'thinking_end', contentIndex: 0, content: 'hm' },
      { type: 'text_start', contentIndex: 1 },
      { type: 'text_delta', contentIndex: 1, delta: 'Hel' },
      { type: 'text_delta', contentIndex: 1, delta: 'lo' },
      { type: 'toolcall_start', contentIndex: 2 },
      { type: 'toolcall_delta', contentIndex: 2, delta: '{"path":' },
      { type: 'toolcall_delta', contentIndex: 2, delta: '"a"}' },
      { type: 'text_end', contentIndex: 1, content: 'Hello' },
      { type: 'toolcall_end', contentIndex: 2, toolCall: { type: 'toolCall', id: 'c1', name: 'read', arguments: { path: 'a' } } },
    ]);
    expect(reply.done()).toMatchObject({ type: 'done', reason: 'toolUse', message: { stopReason: 'toolUse', model: 'm', provider: 'p', api: 'a' } });
  });

  it('closes a block once, and none where there is none', () => {
    const reply = new ProviderStream(model);
    const [text] = reply.openText();
    expect([...reply.close(text), ...reply.close(text), ...reply.close(undefined)].map(({ type }) => type)).toEqual(['text_end']);
    expect(reply.done()).toMatchObject({ reason: 'stop' });
  });

  it('that was cut keeps no half tool call', () => {
    const reply = new ProviderStream(model);
    const [call] = reply.openToolCall('c1', 'read');
    reply.toolArguments(call, '{"pa');
    reply.drop(call);
    expect(reply.done('length')).toMatchObject({ reason: 'length', message: { content: [] } });
  });

  it.each(['{"pa', '[1]', 'null', '"text"'])('with the arguments %s is no reply', (json) => {
    const reply = new ProviderStream(model);
    const [call] = reply.openToolCall('c1', 'read');
    reply.toolArguments(call, json);
    expect(() => [...reply.close(call)]).toThrow(BadReply);
  });

  it('counts its tokens once and prices each part', () => {
    const reply = new ProviderStream(model);
    reply.report({ input: 1, output: 1 });
    reply.report({ input: 1_000_000, output: 100_000, cacheRead: 400_000, cacheWrite: 100_000 });
    expect(reply.message.usage).toEqual({
      input: 500_000,
      output: 100_000,
      cacheRead: 400_000,
      cacheWrite: 100_000,
      totalTokens: 1_100_000,
      cost: { input: 1, output: 1, cacheRead: 0.2, cacheWrite: 0.3, total: 2.5 },
    });
  });

  it('that fails says why, and keeps what there is', () => {
    const reply = new ProviderStream(model);
    const [text] = reply.openText();
    reply.text(text, 'half');
    const failed = reply.failed({ kind: 'rate_limit', text: 'slow down', retryAfterMs: 5 });
    expect(failed).toMatchObject({
      type: 'error',
      reason: 'error',
      kind: 'rate_limit',
      retryAfterMs: 5,
      error: { stopReason: 'error', errorMessage: 'slow down' },
    });
    expect(failed).toMatchObject({ error: { content: [{ type: 'text', text: 'half' }] } });
    expect(new ProviderStream(model).aborted()).toMatchObject({ type: 'error', reason: 'aborted', error: { stopReason: 'aborted' } });
  });
});
