import type {
  AgentMessage,
  AssistantMessage,
  ModelApi,
  ModelEntry,
  PluginApi,
  Provider,
  ProviderEvent,
  ProviderRequest,
  ThinkingLevel,
} from 'Durar/plugin-sdk/core';
import { emptyUsage } from 'Durar/plugin-sdk/core';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { providerContract } from '../../../sdk/contract/provider.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { compatOf } from './compat.ts';
import { completionsBody } from './completions.ts';
import { type Answer, type FakeServer, startFakeServer } from './fake-server.ts';
import entry from './index.ts';
import { responsesBody } from './responses.ts';

const PNG = { type: 'image', data: 'iVBORw0KGgo=', mimeType: 'image/png' } as const;

let server: FakeServer;
let provider: Provider;
const apis = new Map<string, ModelApi>();

beforeAll(async () => {
  server = await startFakeServer();
  await entry.register({
    registerProvider: (value: Provider) => {
      provider = value;
      return { ok: true };
    },
    registerModelApi: (api: ModelApi) => {
      apis.set(api.id, api);
      return { ok: true };
    },
  } as unknown as PluginApi);
});

afterAll(() => server.close());

beforeEach(() => {
  server.seen.length = 0;
});

function model(api: string, more: Partial<ModelEntry> = {}): ModelEntry {
  return {
    id: 'test-model',
    name: 'Test',
    api,
    provider: 'local',
    baseUrl: server.url,
    reasoning: false,
    input: ['text', 'image'],
    cost: { input: 1, output: 2, cacheRead: 0.5, cacheWrite: 0 },
    contextWindow: 100_000,
    maxTokens: 1000,
    ...more,
  };
}

/** The messages or the input of a request. */
function sentList(index: number): unknown[] {
  const body = server.seen[index]?.body;
  return (body?.messages ?? body?.input ?? []) as unknown[];
}

function user(content: string): AgentMessage {
  return { role: 'user', content, timestamp: 1 };
}

function request(api: string, more: Partial<ProviderRequest> = {}, entryMore: Partial<ModelEntry> = {}): ProviderRequest {
  return { model: model(api, entryMore), messages: [user('hello')], tools: [], apiKey: 'sk-test-key', ...more };
}

async function run(asked: ProviderRequest, signal = new AbortController().signal): Promise<ProviderEvent[]> {
  const api = apis.get(asked.model.api);
  if (api === undefined) throw new Error(`no ${asked.model.api}`);
  const events: ProviderEvent[] = [];
  for await (const event of api.stream(asked, { signal })) events.push(event);
  return events;
}

async function reply(asked: ProviderRequest): Promise<AssistantMessage> {
  const last = (await run(asked)).at(-1);
  if (last?.type !== 'done') throw new Error(last?.type === 'error' ? last.error.errorMessage : `ended with ${last?.type}`);
  return last.message;
}

const chunk = (delta: object, finish: string | null = null, more: object = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'test-model',
  choices: [{ index: 0, delta, finish_reason: finish }],
  ...more,
});
const chunkUsage = {
  ...chunk({}),
  choices: [],
  usage: { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120, prompt_tokens_details: { cached_tokens: 60 } },
};
const completionsText = [chunk({ role: 'assistant', content: '' }), chunk({ content: 'Hel' }), chunk({ content: 'lo €😀' }), chunk({}, 'stop'), chunkUsage];
const completionsTool = [
  chunk({ role: 'assistant', content: null, tool_calls: [{ index: 0, id: 'call_a', type: 'function', function: { name: 'read', arguments: '' } }] }),
  chunk({ tool_calls: [{ index: 0, function: { arguments: '{"path":' } }] }),
  chunk({ tool_calls: [{ index: 0, function: { arguments: '"a.txt"}' } }] }),
  chunk({ tool_calls: [{ index: 1, id: 'call_b', type: 'function', function: { name: 'list', arguments: '{}' } }] }),
  chunk({}, 'tool_calls'),
  chunkUsage,
];

const responseUsage = {
  input_tokens: 100,
  output_tokens: 20,
  total_tokens: 120,
  input_tokens_details: { cached_tokens: 60 },
  output_tokens_details: { reasoning_tokens: 5 },
};
const response = (more: object = {}) => ({ id: 'resp_1', object: 'response', status: 'completed', output: [], usage: responseUsage, ...more });
const created = { type: 'response.created', response: response({ status: 'in_progress', usage: null }) };
const completed = { type: 'response.completed', response: response() };
const messageItem = (text: string, status = 'completed') => ({
  type: 'message',
  id: 'msg_1',
  role: 'assistant',
  status,
  content: text === '' ? [] : [{ type: 'output_text', text, annotations: [] }],
});
const responsesText = [
  created,
  { type: 'response.output_item.added', output_index: 0, item: messageItem('', 'in_progress') },
  { type: 'response.content_part.added', output_index: 0, content_index: 0, item_id: 'msg_1', part: { type: 'output_text', text: '', annotations: [] } },
  { type: 'response.output_text.delta', output_index: 0, content_index: 0, item_id: 'msg_1', delta: 'Hel' },
  { type: 'response.output_text.delta', output_index: 0, content_index: 0, item_id: 'msg_1', delta: 'lo €😀' },
  { type: 'response.output_item.done', output_index: 0, item: messageItem('Hello €😀') },
  completed,
];
const call = (id: string, name: string, args: string) => ({
  type: 'function_call',
  id: `fc_${id}`,
  call_id: `call_${id}`,
  name,
  arguments: args,
  status: 'completed',
});
const responsesTool = [
  created,
  { type: 'response.output_item.added', output_index: 0, item: call('a', 'read', '') },
  { type: 'response.function_call_arguments.delta', output_index: 0, item_id: 'fc_a', delta: '{"path":' },
  { type: 'response.function_call_arguments.delta', output_index: 0, item_id: 'fc_a', delta: '"a.txt"}' },
  { type: 'response.function_call_arguments.done', output_index: 0, item_id: 'fc_a', arguments: '{"path":"a.txt"}' },
  { type: 'response.output_item.done', output_index: 0, item: call('a', 'read', '{"path":"a.txt"}') },
  { type: 'response.output_item.added', output_index: 1, item: call('b', 'list', '') },
  { type: 'response.output_item.done', output_index: 1, item: call('b', 'list', '{}') },
  completed,
];

const WIRE = [
  { api: 'openai-completions', path: '/v1/chat/completions', text: completionsText, tool: completionsTool },
  { api: 'openai-responses', path: '/v1/responses', text: responsesText, tool: responsesTool },
] as const;

const READ = { name: 'read', description: 'Reads.', parameters: { type: 'object', properties: { path: { type: 'string' } } } };

for (const { api, path, text, tool } of WIRE) {
  describe(api, () => {
    describeContract(providerContract, () => {
      const streaming = apis.get(api);
      if (streaming === undefined) throw new Error(`no ${api}`);
      const prepared = (answer: Answer) => () => {
        server.answer(answer);
        return request(api);
      };
      return {
        subject: streaming,
        request: prepared({ events: text }),
        toolRequest: prepared({ events: tool }),
        endlessRequest: prepared({ events: text.slice(0, 3), hang: true }),
        failingRequest: prepared({ status: 500, json: { error: { message: 'it broke' } } }),
      };
    });

    it('asks the base URL of the request with its key and headers (LOCAL-012 to LOCAL-015, LOCAL-021)', async () => {
      server.answer({ events: text });
      await reply(request(api, { maxTokens: 77, headers: { 'X-Two': '2' }, temperature: 0.5 }, { headers: { 'X-One': '1' } }));
      const [seen] = server.seen;
      expect(seen).toMatchObject({ method: 'POST', path, headers: { authorization: 'Bearer sk-test-key', 'x-one': '1', 'x-two': '2' } });
      expect(seen?.body).toMatchObject({
        model: 'test-model',
        stream: true,
        temperature: 0.5,
        [api === 'openai-responses' ? 'max_output_tokens' : 'max_tokens']: 77,
      });
    });

    it('sends a compatible server nothing that only OpenAI understands (LOCAL-040 to LOCAL-047)', async () => {
      server.answer({ events: text });
      await reply(request(api, { thinking: 'high', sessionId: 's1', systemPrompt: 'Be brief.' }, { reasoning: true }));
      const [seen] = server.seen;
      for (const field of ['service_tier', 'store', 'reasoning', 'reasoning_effort', 'include', 'prompt_cache_key', 'prompt_cache_retention']) {
        expect(seen?.body).not.toHaveProperty(field);
      }
      for (const header of ['originator', 'version', 'openai-organization', 'openai-project']) expect(seen?.headers).not.toHaveProperty(header);
      expect(seen?.headers['user-agent']).not.toMatch(/durar/i);
      expect(JSON.stringify(seen?.body)).toContain('"role":"system"');
    });

    it('sends no credential when there is none', async () => {
      server.answer({ events: text });
      const { apiKey: _key, ...asked } = request(api);
      await reply(asked);
      expect(server.seen[0]?.headers).not.toHaveProperty('authorization');
    });

    it('reads text that is cut anywhere, usage with cached tokens, and their price', async () => {
      server.answer({ events: text });
      const message = await reply(request(api));
      expect(message.content).toMatchObject([{ type: 'text', text: 'Hello €😀' }]);
      expect(message.usage).toMatchObject({ input: 40, cacheRead: 60, output: 20, totalTokens: 120 });
      expect(message.usage.cost.total).toBeCloseTo((40 * 1 + 60 * 0.5 + 20 * 2) / 1e6, 12);
      expect(message.responseId).toBeDefined();
    });

    it('reads tool calls', async () => {
      server.answer({ events: tool });
      const message = await reply(request(api, { tools: [READ] }));
      expect(message.stopReason).toBe('toolUse');
      expect(message.content).toMatchObject([
        { type: 'toolCall', name: 'read', arguments: { path: 'a.txt' } },
        { type: 'toolCall', name: 'list', arguments: {} },
      ]);
    });

    it('a reply goes back as it came, and a result finds its call', async () => {
      server.answer({ events: tool }, { events: text });
      const first = request(api, { tools: [READ] });
      const message = await reply(first);
      const results = message.content.flatMap((block): AgentMessage[] =>
        block.type === 'toolCall'
          ? [
              {
                role: 'toolResult',
                toolCallId: block.id,
                toolName: block.name,
                content: [{ type: 'text', text: `of ${block.name}` }],
                isError: false,
                timestamp: 1,
              },
            ]
          : [],
      );
      await reply({ ...first, messages: [...first.messages, message, ...results] });
      const sent = server.seen[1]?.body;
      if (api === 'openai-completions') {
        expect(sent?.messages).toEqual([
          { role: 'user', content: 'hello' },
          {
            role: 'assistant',
            content: null,
            tool_calls: [
              { id: 'call_a', type: 'function', function: { name: 'read', arguments: '{"path":"a.txt"}' } },
              { id: 'call_b', type: 'function', function: { name: 'list', arguments: '{}' } },
            ],
          },
          { role: 'tool', tool_call_id: 'call_a', content: 'of read' },
          { role: 'tool', tool_call_id: 'call_b', content: 'of list' },
        ]);
        expect(sent?.tools).toEqual([{ type: 'function', function: READ }]);
      } else {
        expect(sent?.input).toEqual([
          { role: 'user', content: [{ type: 'input_text', text: 'hello' }] },
          { type: 'function_call', id: 'fc_a', call_id: 'call_a', name: 'read', arguments: '{"path":"a.txt"}' },
          { type: 'function_call', id: 'fc_b', call_id: 'call_b', name: 'list', arguments: '{}' },
          { type: 'function_call_output', call_id: 'call_a', output: 'of read' },
          { type: 'function_call_output', call_id: 'call_b', output: 'of list' },
        ]);
        expect(sent?.tools).toEqual([{ type: 'function', ...READ, strict: false }]);
      }
    });

    it('images go as data URLs, those of tool results in a message after them, and not to a model that reads text only (LOCAL-018)', async () => {
      server.answer({ events: text });
      const messages: AgentMessage[] = [
        { role: 'user', content: [{ type: 'text', text: 'look' }, PNG], timestamp: 1 },
        { ...emptyReply(api), content: [{ type: 'toolCall', id: 'call_a', name: 'read', arguments: {} }] },
        { role: 'toolResult', toolCallId: 'call_a', toolName: 'read', content: [PNG], isError: false, timestamp: 1 },
      ];
      await reply(request(api, { messages }));
      const withImages = JSON.stringify(server.seen[0]?.body);
      expect(withImages.split('data:image/png;base64,iVBORw0KGgo=')).toHaveLength(3);
      expect(sentList(0).at(-1)).toMatchObject({ role: 'user' });
      await reply(request(api, { messages }, { input: ['text'] }));
      expect(JSON.stringify(server.seen[1]?.body)).not.toContain('base64');
    });

    it.each([
      [401, { message: 'Incorrect API key provided: sk-test-key', code: 'invalid_api_key' }, 'auth'],
      [403, { message: 'Country not supported' }, 'auth'],
      [401, { message: 'gone', code: 'account_deactivated' }, 'auth_permanent'],
      [402, { message: 'pay first' }, 'billing'],
      [404, { message: "The model 'x' does not exist", code: 'model_not_found' }, 'model_not_found'],
      [408, { message: 'late' }, 'timeout'],
      [400, { message: "This model's maximum context length is 8192 tokens", code: 'context_length_exceeded' }, 'context_overflow'],
      [400, { message: 'the request exceeds the available context size. try increasing it' }, 'context_overflow'],
      [413, { message: 'too many tokens in the prompt' }, 'context_overflow'],
      [400, { message: "Unknown parameter: 'x'" }, 'format'],
      [422, { message: 'bad field' }, 'format'],
      [429, { message: 'slow down', code: 'rate_limit_exceeded' }, 'rate_limit'],
      [429, { message: 'You exceeded your current quota', code: 'insufficient_quota', type: 'insufficient_quota' }, 'billing'],
      [500, { message: 'oops' }, 'overloaded'],
      [503, { message: 'overloaded' }, 'overloaded'],
    ])('status %i %j is %s', async (status, error, kind) => {
      server.answer({ status, json: { error } });
      const last = (await run(request(api))).at(-1);
      expect(last).toMatchObject({ type: 'error', reason: 'error', kind });
      expect(last?.type === 'error' && last.error.errorMessage).toContain(error.message.replace('sk-test-key', '***'));
      expect(JSON.stringify(last)).not.toContain('sk-test-key');
      expect(server.seen).toHaveLength(1);
    });

    it.each([
      [{ 'retry-after-ms': '1500' }, 1500],
      [{ 'retry-after': '2' }, 2000],
      [{ 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 0],
      [{ 'retry-after': 'soon' }, undefined],
    ])('%j is a wait of %s ms', async (headers, expected) => {
      server.answer({ status: 429, json: { error: { message: 'slow down' } }, headers });
      const last = (await run(request(api))).at(-1);
      expect(last?.type === 'error' ? last.retryAfterMs : 'no error').toBe(expected);
    });

    it('a server that is not there, a body that is no JSON and a connection that is cut are errors', async () => {
      const closed = await closedPort();
      expect((await run(request(api, { baseUrl: `http://127.0.0.1:${closed}/v1` }))).at(-1)).toMatchObject({
        kind: 'timeout',
        error: { errorMessage: expect.stringContaining('ECONNREFUSED') },
      });
      server.answer((answer) => answer.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>'));
      expect((await run(request(api))).at(-1)).toMatchObject({ kind: 'overloaded' });
      server.answer({ events: text.slice(0, 3), cut: true });
      expect((await run(request(api))).at(-1)).toMatchObject({ type: 'error', kind: 'timeout' });
      server.answer({ events: text.slice(0, 3), done: false });
      expect((await run(request(api))).at(-1)).toMatchObject({
        type: 'error',
        kind: 'timeout',
        error: { errorMessage: expect.stringContaining('before the reply was complete') },
      });
    });

    it('an abort closes the connection', async () => {
      const gone = Promise.withResolvers<void>();
      server.answer((answer) => {
        answer.on('close', () => gone.resolve());
        answer.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n');
      });
      const abort = new AbortController();
      const running = run(request(api), abort.signal);
      await expect.poll(() => server.seen.length).toBe(1);
      abort.abort();
      expect((await running).at(-1)).toMatchObject({ type: 'error', reason: 'aborted' });
      await gone.promise;
    });
  });
}

describe('openai-completions', () => {
  const api = 'openai-completions';

  it('reads reasoning of compatible servers as thinking, and sends it back in the same field', async () => {
    server.answer(
      { events: [chunk({ reasoning_content: 'Let me ' }), chunk({ reasoning_content: 'think' }), ...completionsText] },
      { events: completionsText },
    );
    const asked = request(api);
    const message = await reply(asked);
    expect(message.content).toMatchObject([
      { type: 'thinking', thinking: 'Let me think' },
      { type: 'text', text: 'Hello €😀' },
    ]);
    await reply({ ...asked, messages: [...asked.messages, message, user('go on')] });
    expect(sentList(1)[1]).toEqual({ role: 'assistant', content: 'Hello €😀', reasoning_content: 'Let me think' });
  });

  it.each([
    [
      'calls that are all numbered 0',
      [{ index: 0, id: 'x', function: { name: 'read', arguments: '{"a":1}' } }],
      [{ index: 0, id: 'y', function: { name: 'read', arguments: '{"a":2}' } }],
    ],
    [
      'calls without a number',
      [{ id: 'x', function: { name: 'read', arguments: '{"a":1}' } }],
      [{ id: 'y', function: { name: 'read', arguments: '{"a":2}' } }],
    ],
    [
      'both in one chunk',
      [
        { index: 0, id: 'x', function: { name: 'read', arguments: '{"a":1}' } },
        { index: 1, id: 'y', function: { name: 'read', arguments: '{"a":2}' } },
      ],
      [],
    ],
  ])('tells apart %s', async (_name, one, two) => {
    server.answer({ events: [chunk({ tool_calls: one }), chunk({ tool_calls: two }), chunk({}, 'stop')] });
    const message = await reply(request(api));
    expect(message.stopReason).toBe('toolUse');
    expect(message.content).toMatchObject([
      { id: 'x', arguments: { a: 1 } },
      { id: 'y', arguments: { a: 2 } },
    ]);
  });

  it('a reply that is cut ends with length and without the half tool call', async () => {
    server.answer({
      events: [
        chunk({ content: 'I call' }),
        chunk({ tool_calls: [{ index: 0, id: 'x', function: { name: 'read', arguments: '{"pa' } }] }),
        chunk({}, 'length'),
      ],
    });
    const message = await reply(request(api));
    expect(message.stopReason).toBe('length');
    expect(message.content).toMatchObject([{ type: 'text', text: 'I call' }]);
  });

  it.each([
    [
      'arguments that are not JSON',
      [chunk({ tool_calls: [{ index: 0, id: 'x', function: { name: 'read', arguments: '{oops' } }] }), chunk({}, 'tool_calls')],
      'not JSON',
    ],
    [
      'arguments that are a list',
      [chunk({ tool_calls: [{ index: 0, id: 'x', function: { name: 'read', arguments: '[]' } }] }), chunk({}, 'tool_calls')],
      'not an object',
    ],
    ['a call without a name', [chunk({ tool_calls: [{ index: 0, id: 'x', function: { arguments: '{}' } }] }), chunk({}, 'tool_calls')], 'no name'],
    ['a filtered reply', [chunk({ content: 'a' }), chunk({}, 'content_filter')], 'content filter'],
  ])('%s is an error', async (_name, events, message) => {
    server.answer({ events });
    expect((await run(request(api))).at(-1)).toMatchObject({ type: 'error', kind: 'format', error: { errorMessage: expect.stringContaining(message) } });
  });

  it('an error inside the stream is an error', async () => {
    server.answer({ events: [chunk({ content: 'a' }), { error: { message: 'the context window is full', code: 'context_length_exceeded' } }] });
    expect((await run(request(api))).at(-1)).toMatchObject({ type: 'error', kind: 'context_overflow' });
  });

  describe('compat', () => {
    const body = (more: Record<string, unknown>, asked: Partial<ProviderRequest> = {}, native = false) => {
      const made = request(api, { maxTokens: 9, ...asked }, { reasoning: true, compat: more });
      return completionsBody(made, compatOf(made.model, native)) as unknown as Record<string, unknown>;
    };

    it.each([
      [{ maxTokensField: 'max_completion_tokens' }, { max_completion_tokens: 9 }],
      [{ supportsStore: true }, { store: false }],
      [{ supportsUsageInStreaming: true }, { stream_options: { include_usage: true } }],
      [{ supportsReasoningEffort: true }, { reasoning_effort: 'high' }],
      [{ supportsReasoningEffort: true, reasoningEffortMap: { high: 'max' } }, { reasoning_effort: 'max' }],
      [{ thinkingFormat: 'zai' }, { thinking: { type: 'enabled' } }],
      [{ thinkingFormat: 'qwen' }, { enable_thinking: true }],
      [{ thinkingFormat: 'qwen-chat-template' }, { chat_template_kwargs: { enable_thinking: true } }],
      [{ thinkingFormat: 'openrouter' }, { reasoning: { effort: 'high' } }],
    ])('%j sends %j', (compat, expected) => {
      expect(body(compat, { thinking: 'high' })).toMatchObject(expected);
    });

    it('switches that are off leave fields out', () => {
      expect(body({ supportsUsageInStreaming: false })).not.toHaveProperty('stream_options');
      expect(body({ supportsStore: false }, {}, true)).not.toHaveProperty('store');
      expect(body({ supportsReasoningEffort: false }, { thinking: 'high' }, true)).not.toHaveProperty('reasoning_effort');
      expect(body({}, { params: { top_p: 0.5 } })).toMatchObject({ top_p: 0.5 });
    });

    it('roles, results and thinking follow the switches', () => {
      const messages: AgentMessage[] = [
        user('a'),
        {
          ...emptyReply(api),
          content: [
            { type: 'thinking', thinking: 'hm' },
            { type: 'toolCall', id: 'call_a|fc_a', name: 'read', arguments: {} },
          ],
        },
        { role: 'toolResult', toolCallId: 'call_a|fc_a', toolName: 'read', content: [], isError: false, timestamp: 1 },
        user('b'),
      ];
      const switches = { supportsDeveloperRole: true, requiresToolResultName: true, requiresAssistantAfterToolResult: true, requiresThinkingAsText: true };
      const sent = body(switches, { messages, systemPrompt: 'S' }).messages as Array<Record<string, unknown>>;
      expect(sent.map(({ role }) => role)).toEqual(['developer', 'user', 'assistant', 'tool', 'assistant', 'user']);
      expect(sent[2]).toMatchObject({ content: '<thinking>\nhm\n</thinking>', tool_calls: [{ id: 'call_a' }] });
      expect(sent[3]).toEqual({ role: 'tool', tool_call_id: 'call_a', content: '(no output)', name: 'read' });
    });

    it('strict is sent where it is supported', () => {
      const tools = [READ];
      expect(JSON.stringify(body({ supportsStrictMode: true }, { tools }))).toContain('"strict":false');
      expect(JSON.stringify(body({}, { tools }))).not.toContain('strict');
    });
  });
});

describe('openai-responses', () => {
  const api = 'openai-responses';
  const reasoning = {
    type: 'reasoning',
    id: 'rs_1',
    summary: [
      { type: 'summary_text', text: 'one' },
      { type: 'summary_text', text: 'two' },
    ],
    encrypted_content: 'opaque',
  };
  const withReasoning = [
    created,
    { type: 'response.output_item.added', output_index: 0, item: { ...reasoning, summary: [] } },
    { type: 'response.reasoning_summary_part.added', output_index: 0, summary_index: 0, item_id: 'rs_1', part: { type: 'summary_text', text: '' } },
    { type: 'response.reasoning_summary_text.delta', output_index: 0, summary_index: 0, item_id: 'rs_1', delta: 'one' },
    { type: 'response.reasoning_summary_part.added', output_index: 0, summary_index: 1, item_id: 'rs_1', part: { type: 'summary_text', text: '' } },
    { type: 'response.reasoning_summary_text.delta', output_index: 0, summary_index: 1, item_id: 'rs_1', delta: 'two' },
    { type: 'response.output_item.done', output_index: 0, item: reasoning },
    { type: 'response.output_item.added', output_index: 1, item: messageItem('', 'in_progress') },
    { type: 'response.output_text.delta', output_index: 1, content_index: 0, item_id: 'msg_1', delta: 'Hello' },
    { type: 'response.output_item.done', output_index: 1, item: messageItem('Hello there') },
    completed,
  ];

  it('reads reasoning as thinking; it goes back unchanged to its own model and to no other', async () => {
    server.answer({ events: withReasoning }, { events: responsesText });
    const asked = request(api);
    const message = await reply(asked);
    expect(message.content).toMatchObject([
      { type: 'thinking', thinking: 'one\n\ntwo' },
      { type: 'text', text: 'Hello there', textSignature: 'msg_1' },
    ]);
    const messages = [...asked.messages, message, user('go on')];
    await reply({ ...asked, messages });
    expect(sentList(1).slice(1, 3)).toEqual([reasoning, messageItem('Hello there')]);
    await reply(request(api, { messages }, { id: 'another' }));
    expect(sentList(2)[1]).toEqual({ role: 'assistant', content: 'Hello there' });
  });

  it('OpenAI itself is asked to hurry when that is wanted; a compatible server is not', () => {
    const asked = request(api, { fast: true });
    expect(responsesBody(asked, true)).toMatchObject({ service_tier: 'priority' });
    expect(responsesBody(asked, false)).not.toHaveProperty('service_tier');
    expect(responsesBody({ ...asked, params: { service_tier: 'flex' } }, true)).toMatchObject({ service_tier: 'flex' });
    expect(completionsBody(asked, compatOf(asked.model, true), true)).toMatchObject({ service_tier: 'priority' });
    expect(completionsBody(asked, compatOf(asked.model, false))).not.toHaveProperty('service_tier');
  });

  it('OpenAI itself gets reasoning, its encrypted content, a cache key and store: false', () => {
    const asked = request(api, { thinking: 'off', sessionId: 's1', systemPrompt: 'S' }, { reasoning: true, compat: { reasoningEffortMap: { off: 'none' } } });
    expect(responsesBody(asked, true)).toMatchObject({
      store: false,
      include: ['reasoning.encrypted_content'],
      prompt_cache_key: 's1',
      reasoning: { effort: 'none' },
      input: [{ role: 'developer', content: 'S' }, {}],
    });
    expect(responsesBody({ ...asked, thinking: 'high' }, true)).toMatchObject({ reasoning: { effort: 'high', summary: 'auto' } });
  });

  it.each<[ThinkingLevel]>([['off'], ['adaptive']])('%s leaves the effort to a model that has no word for it', (thinking) => {
    expect(responsesBody(request(api, { thinking }, { reasoning: true }), true)).not.toHaveProperty('reasoning');
  });

  it('a model that does not reason gets no reasoning fields (LOCAL-017)', () => {
    const body = responsesBody(request(api, { thinking: 'high' }), true);
    expect(body).not.toHaveProperty('reasoning');
    expect(body).not.toHaveProperty('include');
  });

  it('an incomplete response ends with length and without the half tool call', async () => {
    server.answer({
      events: [
        ...responsesText.slice(0, 6),
        { type: 'response.output_item.added', output_index: 1, item: call('a', 'read', '') },
        { type: 'response.function_call_arguments.delta', output_index: 1, item_id: 'fc_a', delta: '{"pa' },
        { type: 'response.incomplete', response: response({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }) },
      ],
    });
    const message = await reply(request(api));
    expect(message.stopReason).toBe('length');
    expect(message.content).toHaveLength(1);
  });

  it.each([
    [{ type: 'response.failed', response: response({ status: 'failed', error: { code: 'rate_limit_exceeded', message: 'slow down' } }) }, 'rate_limit'],
    [{ type: 'response.failed', response: response({ status: 'failed', error: { code: 'server_error', message: 'oops' } }) }, 'overloaded'],
    [{ type: 'error', code: 'context_length_exceeded', message: 'too long', param: null, sequence_number: 3 }, 'context_overflow'],
    [{ type: 'error', error: { type: 'insufficient_quota', code: 'insufficient_quota', message: 'no money' } }, 'billing'],
    [{ type: 'response.incomplete', response: response({ status: 'incomplete', incomplete_details: { reason: 'content_filter' } }) }, 'format'],
  ])('%j is %s', async (event, kind) => {
    server.answer({ events: [created, event] });
    expect((await run(request(api))).at(-1)).toMatchObject({ type: 'error', reason: 'error', kind });
  });
});

describe('the provider', () => {
  it('names its credential, and without a key knows its models without asking', async () => {
    expect(provider).toMatchObject({ id: 'openai', envVars: ['OPENAI_API_KEY'], baseUrl: 'https://api.openai.com/v1' });
    const models = (await provider.models?.({ baseUrl: server.url })) ?? [];
    expect(models.length).toBeGreaterThan(5);
    expect(new Set(models.map(({ id }) => id)).size).toBe(models.length);
    expect(models.every((one) => apis.has(one.api) && one.cost.output > 0 && one.provider === 'openai')).toBe(true);
    expect(server.seen).toEqual([]);
  });

  it('with a key lists what the server has, known models first with their facts', async () => {
    server.answer({
      status: 200,
      json: { object: 'list', data: ['zeta', 'gpt-5.4', 'alpha'].map((id) => ({ id, object: 'model', created: 1, owned_by: 'x' })) },
    });
    const models = (await provider.models?.({ baseUrl: server.url, apiKey: 'sk-test-key' })) ?? [];
    expect(models.map(({ id }) => id)).toEqual(['gpt-5.4', 'alpha', 'zeta']);
    expect(models[0]?.contextWindow).toBe(1_050_000);
    expect(models[1]).toMatchObject({ api: 'openai-completions', baseUrl: server.url });
    expect(server.seen[0]).toMatchObject({ path: '/v1/models', headers: { authorization: 'Bearer sk-test-key' } });
  });

  it('a server that does not answer leaves what is known', async () => {
    server.answer({ status: 500, json: {} });
    expect((await provider.models?.({ baseUrl: server.url, apiKey: 'k' }))?.[0]?.id).toBe('gpt-5.4');
  });
});

function emptyReply(api: string): AssistantMessage {
  return { role: 'assistant', content: [], api, provider: 'local', model: 'test-model', usage: emptyUsage(), stopReason: 'toolUse', timestamp: 1 };
}

async function closedPort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
