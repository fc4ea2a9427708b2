import type { ProviderEvent, ProviderRequest, StreamOptions, TextBlock, ThinkingBlock, ToolCallBlock } from 'Durar/plugin-sdk/core';
import { BadReply, type OpenBlock, type ProviderStream } from 'Durar/plugin-sdk/provider-stream';
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from 'openai/resources/chat/completions';
import { baseUrlOf, isNative, openClient } from './client.ts';
import { type Compat, compatOf, effortOf } from './compat.ts';
import { completionsMessages, completionsTools, REASONING_FIELDS } from './completions-input.ts';
import { guarded } from './guard.ts';

type Delta = ChatCompletionChunk.Choice.Delta;
type ToolDelta = NonNullable<Delta['tool_calls']>[number];

/** The model API `openai-completions`. */
export function streamCompletions(request: ProviderRequest, options: StreamOptions): AsyncIterable<ProviderEvent> {
  return guarded(request, options, async function* (reply) {
    const baseUrl = baseUrlOf(request);
    const client = await openClient({
      baseUrl,
      ...(request.apiKey === undefined ? {} : { apiKey: request.apiKey }),
      headers: { ...request.model.headers, ...request.headers },
    });
    const stream = await client.chat.completions.create(completionsBody(request, compatOf(request.model, isNative(baseUrl)), isNative(baseUrl)), {
      signal: options.signal,
    });
    yield* new CompletionsReader(reply).read(stream);
  });
}

/** What is sent. */
export function completionsBody(request: ProviderRequest, compat: Compat, native = false): ChatCompletionCreateParamsStreaming {
  const { model, maxTokens, temperature, params } = request;
  const tools = completionsTools(request, compat);
  return {
    ...thinkingFields(request, compat),
    ...(request.fast === true && native ? { service_tier: 'priority' as const } : {}),
    ...params,
    model: model.id,
    messages: completionsMessages(request, compat),
    stream: true,
    ...(compat.supportsUsageInStreaming ? { stream_options: { include_usage: true } } : {}),
    ...(compat.supportsStore ? { store: false } : {}),
    ...(maxTokens === undefined ? {} : { [compat.maxTokensField]: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(tools.length === 0 ? {} : { tools }),
  };
}

function thinkingFields(request: ProviderRequest, compat: Compat): Record<string, unknown> {
  const { model, thinking } = request;
  if (!model.reasoning || thinking === undefined) return {};
  const isOn = thinking !== 'off';
  const effort = effortOf(model, compat, thinking);
  switch (compat.thinkingFormat) {
    case 'zai':
      return { thinking: { type: isOn ? 'enabled' : 'disabled' } };
    case 'qwen':
      return { enable_thinking: isOn };
    case 'qwen-chat-template':
      return { chat_template_kwargs: { enable_thinking: isOn } };
    case 'openrouter':
      return { reasoning: isOn ? (effort === undefined ? { enabled: true } : { effort }) : { enabled: false } };
    case 'openai':
      return compat.supportsReasoningEffort && effort !== undefined ? { reasoning_effort: effort } : {};
  }
}

/** Turns the chunks of one reply into events. */
class CompletionsReader {
  readonly #reply: ProviderStream;
  #prose: OpenBlock<TextBlock> | OpenBlock<ThinkingBlock> | undefined;
  readonly #calls = new Map<number, OpenBlock<ToolCallBlock>>();
  #lastCall = 0;

  constructor(reply: ProviderStream) {
    this.#reply = reply;
  }

  async *read(chunks: AsyncIterable<ChatCompletionChunk>): AsyncGenerator<ProviderEvent> {
    let finish: string | undefined;
    for await (const chunk of chunks) {
      if (chunk.id) this.#reply.message.responseId = chunk.id;
      this.#count(chunk.usage);
      const choice = chunk.choices?.[0];
      if (choice === undefined) continue;
      if (choice.delta) yield* this.#delta(choice.delta);
      if (choice.finish_reason) finish = choice.finish_reason;
    }
    // without a reason the connection was cut
    if (finish === undefined) return;
    yield* this.#reply.close(this.#prose);
    if (finish === 'content_filter') throw new BadReply('the reply was withheld by the content filter');
    const isCut = finish === 'length';
    for (const call of this.#calls.values()) {
      if (isCut && !isJson(call.json)) this.#reply.drop(call);
      else yield* this.#reply.close(call);
    }
    yield this.#reply.done(isCut ? 'length' : 'stop');
  }

  *#delta(delta: Delta): Generator<ProviderEvent> {
    const thought = REASONING_FIELDS.map((field) => [field, (delta as Record<string, unknown>)[field]] as const).find(
      ([, value]) => typeof value === 'string' && value !== '',
    );
    if (thought !== undefined) yield* this.#thinking(thought[0], thought[1] as string);
    const text = delta.content || delta.refusal;
    if (text) yield* this.#text(text);
    for (const call of delta.tool_calls ?? []) yield* this.#toolCall(call);
  }

  *#thinking(field: string, delta: string): Generator<ProviderEvent> {
    let open = this.#prose;
    if (open?.block.type !== 'thinking') {
      yield* this.#reply.close(open);
      const [opened, event] = this.#reply.openThinking();
      opened.block.thinkingSignature = field;
      this.#prose = open = opened;
      yield event;
    }
    yield this.#reply.thinking(open as OpenBlock<ThinkingBlock>, delta);
  }

  *#text(delta: string): Generator<ProviderEvent> {
    let open = this.#prose;
    if (open?.block.type !== 'text') {
      yield* this.#reply.close(open);
      const [opened, event] = this.#reply.openText();
      this.#prose = open = opened;
      yield event;
    }
    yield this.#reply.text(open as OpenBlock<TextBlock>, delta);
  }

  /** Some servers leave out the index, some number every call 0 and tell them apart by id. */
  *#toolCall(delta: ToolDelta): Generator<ProviderEvent> {
    let index = delta.index ?? (delta.id ? this.#calls.size : this.#lastCall);
    const known = this.#calls.get(index);
    if (known !== undefined && delta.id && known.block.id !== delta.id) index = this.#calls.size;
    let call = this.#calls.get(index);
    if (call === undefined) {
      yield* this.#reply.close(this.#prose);
      this.#prose = undefined;
      if (!delta.function?.name) throw new BadReply('a tool call has no name');
      const [opened, event] = this.#reply.openToolCall(delta.id || `call_${crypto.randomUUID().slice(0, 8)}_${index}`, delta.function.name);
      this.#calls.set(index, opened);
      call = opened;
      yield event;
    }
    this.#lastCall = index;
    if (delta.function?.arguments) yield this.#reply.toolArguments(call, delta.function.arguments);
  }

  #count(usage: ChatCompletionChunk['usage']): void {
    if (!usage) return;
    this.#reply.report({ input: usage.prompt_tokens ?? 0, cacheRead: usage.prompt_tokens_details?.cached_tokens ?? 0, output: usage.completion_tokens ?? 0 });
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
