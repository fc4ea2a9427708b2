import type { AgentMessage, AssistantMessage, ModelEntry, ProviderEvent, ProviderRequest, ToolSchema } from 'Durar/plugin-sdk/core';
import { messageText } from 'Durar/plugin-sdk/core';
import { describe, expect, it } from 'vitest';
import { providerContract } from '../../../sdk/contract/provider.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { parseInstructions } from './instruction.ts';
import { createOfflineProvider, type OfflineConfig } from './provider.ts';

const READ: ToolSchema = { name: 'read', description: 'Reads a file.', parameters: { type: 'object' } };
const EXEC: ToolSchema = { name: 'exec', description: 'Runs a command.', parameters: { type: 'object' } };

function user(content: string): AgentMessage {
  return { role: 'user', content, timestamp: 1_795_000_000_000 };
}

async function setup(modelId = 'echo', config: OfflineConfig = {}) {
  const provider = createOfflineProvider(config);
  const model = (await provider.models?.({}))?.find((entry) => entry.id === modelId) as ModelEntry;
  const request = (text: string, more: Partial<ProviderRequest> = {}): ProviderRequest => ({ model, messages: [user(text)], tools: [READ, EXEC], ...more });
  const events = async (asked: ProviderRequest, signal = new AbortController().signal): Promise<ProviderEvent[]> => {
    const found: ProviderEvent[] = [];
    for await (const event of provider.stream?.(asked, { signal }) ?? []) found.push(event);
    return found;
  };
  const reply = async (asked: ProviderRequest): Promise<AssistantMessage> => {
    const last = (await events(asked)).at(-1);
    if (last?.type !== 'done') throw new Error(`ended with ${last?.type}`);
    return last.message;
  };
  return { provider, request, events, reply };
}

/** Goes on after a reply that called tools, as the host does. */
function answered(request: ProviderRequest, reply: AssistantMessage, text: string, isError = false): ProviderRequest {
  const results = reply.content
    .filter((block) => block.type === 'toolCall')
    .map((call): AgentMessage => ({ role: 'toolResult', toolCallId: call.id, toolName: call.name, content: [{ type: 'text', text }], isError, timestamp: 1 }));
  return { ...request, messages: [...request.messages, reply, ...results] };
}

describeContract(providerContract, async () => {
  const { provider, request } = await setup('script');
  const { stream } = provider;
  if (stream === undefined || provider.models === undefined) throw new Error('the offline provider streams and lists by itself');
  return {
    subject: { stream, models: provider.models },
    request: () => request('[[offline: say hello there]]'),
    toolRequest: () => request('[[offline: tool read {"path":"a.txt"}]] [[offline: also exec {"command":"ls"}]]'),
    endlessRequest: () => request('[[offline: say wait]] [[offline: stall]]'),
    failingRequest: () => request('[[offline: fail overloaded]]'),
  };
});

describe('echo', () => {
  it('repeats the message, says what it is, and is the first model of its list', async () => {
    const { provider, request, reply } = await setup();
    const text = messageText(await reply(request('hello')));
    expect(text).toContain('offline model');
    expect(text).toContain('"hello"');
    expect((await provider.models?.({}))?.[0]?.id).toBe('echo');
    expect(provider.keyless).toBe(true);
  });

  it('leaves out the envelope that stands before the words of the user', async () => {
    const { request, reply } = await setup();
    const text = messageText(await reply(request('Sender (untrusted metadata):\n```json\n{"name":"A"}\n```\n\n[Fri 2026-11-20 08:52 UTC] hello')));
    expect(text).toContain('You said: "hello"');
  });

  it('streams word by word', async () => {
    const { request, events } = await setup();
    const deltas = (await events(request('hello'))).filter((event) => event.type === 'text_delta');
    expect(deltas.length).toBeGreaterThan(5);
    expect(deltas.every((event) => event.delta.trim().split(/\s/).length === 1)).toBe(true);
  });

  it.each([
    ['read README.md', 'read', { path: 'README.md' }],
    ['please read the file `docs/a b.md`', undefined, {}],
    ['Show me the weather', undefined, {}],
    ['run ls -la', 'exec', { command: 'ls -la' }],
    ['execute `echo "a.b."`', 'exec', { command: 'echo "a.b."' }],
    ['I read a book', undefined, {}],
  ])('%s', async (said, name, args) => {
    const { request, reply } = await setup();
    const call = (await reply(request(said))).content.find((block) => block.type === 'toolCall');
    expect(call?.name).toBe(name);
    if (name !== undefined) expect(call?.arguments).toEqual(args);
  });

  it('reports the result of the tool, and says when it failed', async () => {
    const { request, reply } = await setup();
    const asked = request('read README.md');
    const call = await reply(asked);
    expect(messageText(await reply(answered(asked, call, '# Durar')))).toContain('# Durar');
    expect(messageText(await reply(answered(asked, call, 'no such file', true)))).toMatch(/`read` failed[\s\S]*no such file/);
  });

  it('says so when the tool is not offered', async () => {
    const { request, reply } = await setup();
    const message = await reply(request('read README.md', { tools: [] }));
    expect(message.stopReason).toBe('stop');
    expect(messageText(message)).toContain('not offered');
  });

  it('summarises when it is asked to, by the user or by the prompt of a call without tools', async () => {
    const { request, reply } = await setup();
    const messages = [user('the code word is nimbus'), user('Summarise the conversation above')];
    expect(messageText(await reply(request('', { messages })))).toContain('nimbus');
    const byPrompt = request('user: nimbus\n[[offline: fail auth]]', { tools: [], systemPrompt: 'Write a summary of what follows.' });
    expect(messageText(await reply(byPrompt))).toContain('nimbus');
  });

  it('gives the same reply to the same request', async () => {
    const { request, reply } = await setup();
    const [one, two] = [await reply(request('run ls')), await reply(request('run ls'))];
    expect(one.content).toEqual(two.content);
    expect(one.usage).toEqual(two.usage);
  });
});

describe('instructions', () => {
  it('say, think, usage and tokens shape the reply', async () => {
    const { request, reply } = await setup('script');
    const message = await reply(request('[[offline: think hm]] [[offline: say one]] [[offline: usage 90000 5]]'));
    expect(message.content).toEqual([
      { type: 'thinking', thinking: 'hm' },
      { type: 'text', text: 'one' },
    ]);
    expect(message.usage).toMatchObject({ input: 90_000, output: 5, totalTokens: 90_005 });
    expect((await reply(request('[[offline: tokens 5000]]'))).usage.output).toBe(5000);
  });

  it('tools run one reply after the other, `also` in the same one, and the rest follows the results', async () => {
    const { request, reply } = await setup('script');
    const asked = request('[[offline: tool read {"path":"a"}]] [[offline: also read {"deep":[[1]]}]] [[offline: tool exec]] [[offline: say end]]');
    const first = await reply(asked);
    expect(first.content).toMatchObject([
      { name: 'read', arguments: { path: 'a' } },
      { name: 'read', arguments: { deep: [[1]] } },
    ]);
    const afterFirst = answered(asked, first, 'x');
    const second = await reply(afterFirst);
    expect(second.content).toMatchObject([{ name: 'exec', arguments: {} }]);
    const ids = [...first.content, ...second.content].map((block) => (block.type === 'toolCall' ? block.id : ''));
    expect(new Set(ids).size).toBe(3);
    expect(messageText(await reply(answered(afterFirst, second, 'y')))).toBe('end');
  });

  it('fail <kind> <times> <retry after> fails as often as told', async () => {
    const { request, events } = await setup('script');
    const asked = request('[[offline: fail rate_limit 2 1500]] [[offline: say fine]]');
    const ends = [];
    for (let attempt = 0; attempt < 3; attempt += 1) ends.push((await events(asked)).at(-1));
    expect(ends).toMatchObject([
      { type: 'error', kind: 'rate_limit', retryAfterMs: 1500 },
      { type: 'error', kind: 'rate_limit', retryAfterMs: 1500 },
      { type: 'done' },
    ]);
  });

  it('cut ends with length, throw throws, drop ends without a last event', async () => {
    const { request, events } = await setup('script');
    expect((await events(request('[[offline: say a]] [[offline: cut]]'))).at(-1)).toMatchObject({ type: 'done', reason: 'length' });
    await expect(events(request('[[offline: throw broken pipe]]'))).rejects.toThrow('broken pipe');
    expect((await events(request('[[offline: say a]] [[offline: drop]]'))).at(-1)?.type).toBe('text_end');
  });

  it.each(['[[offline: dance]]', '[[offline: fail badly]]', '[[offline: tool read {"a"]]', '[[offline: delay soon]]', '[[offline: say'])(
    '%s is an error that says why',
    async (text) => {
      const { request, events } = await setup('script');
      expect((await events(request(text))).at(-1)).toMatchObject({ type: 'error', kind: 'format' });
      expect(() => parseInstructions(text)).toThrow();
    },
  );
});

describe('limits', () => {
  it('a request larger than the window fails with context_overflow', async () => {
    const { request, events } = await setup('small');
    expect((await events(request('x'.repeat(40_000)))).at(-1)).toMatchObject({ type: 'error', kind: 'context_overflow' });
  });

  it('contextWindow of the configuration is what the models state', async () => {
    const { provider } = await setup('echo', { contextWindow: 1234 });
    expect((await provider.models?.({}))?.map((model) => model.contextWindow)).toEqual([1234, 1234, 1234, 4000]);
  });

  it.each([['latencyMs'], ['wordDelayMs']] as const)('an abort during %s ends the stream', async (key) => {
    const { request, events } = await setup('echo', { [key]: 60_000 });
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 5);
    expect((await events(request('hello'), abort.signal)).at(-1)).toMatchObject({ type: 'error', reason: 'aborted' });
  });
});
