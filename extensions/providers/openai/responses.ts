import type { ProviderEvent, ProviderRequest, StreamOptions, TextBlock, ThinkingBlock, ToolCallBlock } from 'Durar/plugin-sdk/core';
import { BadReply, type OpenBlock, type ProviderStream } from 'Durar/plugin-sdk/provider-stream';
import type { Response, ResponseCreateParamsStreaming, ResponseOutputItem, ResponseStreamEvent } from 'openai/resources/responses/responses';
import { baseUrlOf, isNative, openClient } from './client.ts';
import { compatOf, effortOf } from './compat.ts';
import { guarded } from './guard.ts';
import { responsesInput, responsesTools } from './responses-input.ts';

/** The model API `openai-responses`. */
export function streamResponses(request: ProviderRequest, options: StreamOptions): AsyncIterable<ProviderEvent> {
  return guarded(request, options, async function* (reply) {
    const baseUrl = baseUrlOf(request);
    const client = await openClient({
      baseUrl,
      ...(request.apiKey === undefined ? {} : { apiKey: request.apiKey }),
      headers: { ...request.model.headers, ...request.headers },
    });
    const stream = await client.responses.create(responsesBody(request, isNative(baseUrl)), { signal: options.signal });
    yield* new ResponsesReader(reply).read(stream);
  });
}

/** What is sent. A compatible server gets nothing that only OpenAI understands. */
export function responsesBody(request: ProviderRequest, native: boolean): ResponseCreateParamsStreaming {
  const { model, maxTokens, temperature, params, sessionId } = request;
  const compat = compatOf(model, native);
  const effort = compat.supportsReasoningEffort ? effortOf(model, compat, request.thinking) : undefined;
  const tools = responsesTools(request);
  return {
    ...(effort === undefined ? {} : { reasoning: { effort: effort as 'low', ...(effort === 'none' ? {} : { summary: 'auto' as const }) } }),
    ...(native && model.reasoning ? { include: ['reasoning.encrypted_content' as const] } : {}),
    ...(native && sessionId !== undefined ? { prompt_cache_key: sessionId.slice(0, 64) } : {}),
    ...(request.fast === true && native ? { service_tier: 'priority' as const } : {}),
    ...params,
    model: model.id,
    input: responsesInput(request, native),
    stream: true,
    ...(compat.supportsStore ? { store: false } : {}),
    ...(maxTokens === undefined ? {} : { max_output_tokens: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(tools.length === 0 ? {} : { tools }),
  };
}

type Item = OpenBlock<TextBlock> | OpenBlock<ThinkingBlock> | OpenBlock<ToolCallBlock>;

/** An error that the server reports inside the stream, in the shape of those outside it. */
class ServerFailure extends Error {
  readonly code: string | null;

  constructor(message: string, code: string | null) {
    super(message);
    this.code = code;
  }
}

/** Turns the events of one response into events of the port. */
class ResponsesReader {
  readonly #reply: ProviderStream;
  /** By output index. */
  readonly #items = new Map<number, Item>();

  constructor(reply: ProviderStream) {
    this.#reply = reply;
  }

  async *read(events: AsyncIterable<ResponseStreamEvent>): AsyncGenerator<ProviderEvent> {
    for await (const event of events) {
      switch (event.type) {
        case 'response.created':
          this.#reply.message.responseId = event.response.id;
          break;
        case 'response.output_item.added':
          yield* this.#open(event.item, event.output_index);
          break;
        case 'response.output_text.delta':
        case 'response.refusal.delta':
          yield* this.#text(event.output_index, event.delta);
          break;
        case 'response.reasoning_summary_part.added':
          // parts of a summary are paragraphs
          if (event.summary_index > 0) yield* this.#thinking(event.output_index, '\n\n');
          break;
        case 'response.reasoning_summary_text.delta':
        case 'response.reasoning_text.delta':
          yield* this.#thinking(event.output_index, event.delta);
          break;
        case 'response.function_call_arguments.delta':
          yield* this.#arguments(event.output_index, event.delta);
          break;
        case 'response.output_item.done':
          yield* this.#close(event.item, event.output_index);
          break;
        case 'response.completed':
        case 'response.incomplete':
          yield* this.#finish(event.response);
          return;
        case 'response.failed':
          this.#count(event.response);
          throw new ServerFailure(event.response.error?.message ?? 'the response failed', event.response.error?.code ?? null);
        case 'error':
          throw new ServerFailure(event.message, event.code);
      }
    }
  }

  *#open(item: ResponseOutputItem, index: number): Generator<ProviderEvent> {
    if (item.type === 'message') {
      const [open, event] = this.#reply.openText();
      this.#items.set(index, open);
      yield event;
    } else if (item.type === 'reasoning') {
      const [open, event] = this.#reply.openThinking();
      this.#items.set(index, open);
      yield event;
    } else if (item.type === 'function_call') {
      const [open, event] = this.#reply.openToolCall(item.id === undefined ? item.call_id : `${item.call_id}|${item.id}`, item.name);
      this.#items.set(index, open);
      yield event;
      // some servers send the whole call at once
      if (item.arguments) yield this.#reply.toolArguments(open, item.arguments);
    }
  }

  *#text(index: number, delta: string): Generator<ProviderEvent> {
    const open = this.#items.get(index);
    if (open?.block.type === 'text' && delta !== '') yield this.#reply.text(open as OpenBlock<TextBlock>, delta);
  }

  *#thinking(index: number, delta: string): Generator<ProviderEvent> {
    const open = this.#items.get(index);
    if (open?.block.type === 'thinking' && delta !== '') yield this.#reply.thinking(open as OpenBlock<ThinkingBlock>, delta);
  }

  *#arguments(index: number, delta: string): Generator<ProviderEvent> {
    const open = this.#items.get(index);
    if (open?.block.type === 'toolCall') yield this.#reply.toolArguments(open as OpenBlock<ToolCallBlock>, delta);
  }

  /** The finished item completes what deltas left out, and carries what must go back unchanged. */
  *#close(item: ResponseOutputItem, index: number): Generator<ProviderEvent> {
    if (!this.#items.has(index)) yield* this.#open(item, index);
    const open = this.#items.get(index);
    if (open === undefined) return;
    const { block } = open;
    if (item.type === 'message' && block.type === 'text') {
      const whole = item.content.map((part) => (part.type === 'output_text' ? part.text : part.refusal)).join('');
      if (whole.startsWith(block.text)) yield* this.#text(index, whole.slice(block.text.length));
      if (item.id) block.textSignature = item.id;
    } else if (item.type === 'reasoning' && block.type === 'thinking') {
      block.thinkingSignature = JSON.stringify(item);
    } else if (item.type === 'function_call' && block.type === 'toolCall' && (open as OpenBlock<ToolCallBlock>).json === '' && item.arguments) {
      yield* this.#arguments(index, item.arguments);
    }
    yield* this.#reply.close(open);
  }

  *#finish(response: Response): Generator<ProviderEvent> {
    this.#count(response);
    const isCut = response.status === 'incomplete';
    if (response.incomplete_details?.reason === 'content_filter') throw new BadReply('the reply was withheld by the content filter');
    for (const open of this.#items.values()) {
      if (isCut && open.isOpen && open.block.type === 'toolCall') this.#reply.drop(open as OpenBlock<ToolCallBlock>);
      else yield* this.#reply.close(open);
    }
    yield this.#reply.done(isCut ? 'length' : 'stop');
  }

  #count({ usage }: Response): void {
    if (!usage) return;
    this.#reply.report({ input: usage.input_tokens ?? 0, cacheRead: usage.input_tokens_details?.cached_tokens ?? 0, output: usage.output_tokens ?? 0 });
  }
}
