import {
  type AssistantMessage,
  emptyUsage,
  type ModelEntry,
  type ProviderEvent,
  type TextBlock,
  type ThinkingBlock,
  type ToolCallBlock,
} from 'Durar/plugin-sdk/core';
import type { Failure } from './failure.ts';

export interface ReportedUsage {
  /** tokens sent, cached ones included */
  input: number;
  cached: number;
  output: number;
}

/** A block that is being streamed. */
export class OpenBlock<Block extends TextBlock | ThinkingBlock | ToolCallBlock> {
  readonly block: Block;
  readonly contentIndex: number;
  /** Arguments of a tool call so far, as text. */
  json = '';
  isOpen = true;

  constructor(block: Block, contentIndex: number) {
    this.block = block;
    this.contentIndex = contentIndex;
  }
}

/** The reply under way: each method changes the partial message and returns the event that tells about it. */
export class Reply {
  readonly message: AssistantMessage;
  readonly #model: ModelEntry;

  constructor(model: ModelEntry) {
    this.#model = model;
    this.message = {
      role: 'assistant',
      content: [],
      api: model.api,
      provider: model.provider,
      model: model.id,
      usage: emptyUsage(),
      stopReason: 'stop',
      timestamp: Date.now(),
    };
  }

  start(): ProviderEvent {
    return { type: 'start', partial: this.message };
  }

  openText(): [OpenBlock<TextBlock>, ProviderEvent] {
    const open = this.#open<TextBlock>({ type: 'text', text: '' });
    return [open, { type: 'text_start', contentIndex: open.contentIndex, partial: this.message }];
  }

  text({ block, contentIndex }: OpenBlock<TextBlock>, delta: string): ProviderEvent {
    block.text += delta;
    return { type: 'text_delta', contentIndex, delta, partial: this.message };
  }

  openThinking(): [OpenBlock<ThinkingBlock>, ProviderEvent] {
    const open = this.#open<ThinkingBlock>({ type: 'thinking', thinking: '' });
    return [open, { type: 'thinking_start', contentIndex: open.contentIndex, partial: this.message }];
  }

  thinking({ block, contentIndex }: OpenBlock<ThinkingBlock>, delta: string): ProviderEvent {
    block.thinking += delta;
    return { type: 'thinking_delta', contentIndex, delta, partial: this.message };
  }

  openToolCall(id: string, name: string): [OpenBlock<ToolCallBlock>, ProviderEvent] {
    const open = this.#open<ToolCallBlock>({ type: 'toolCall', id, name, arguments: {} });
    return [open, { type: 'toolcall_start', contentIndex: open.contentIndex, partial: this.message }];
  }

  toolArguments(open: OpenBlock<ToolCallBlock>, delta: string): ProviderEvent {
    open.json += delta;
    return { type: 'toolcall_delta', contentIndex: open.contentIndex, delta, partial: this.message };
  }

  /** Closes a block once. Throws when the arguments of a tool call are not an object. */
  *close(open: OpenBlock<TextBlock> | OpenBlock<ThinkingBlock> | OpenBlock<ToolCallBlock> | undefined): Generator<ProviderEvent> {
    if (open?.isOpen !== true) return;
    open.isOpen = false;
    const { block, contentIndex } = open;
    const partial = this.message;
    if (block.type === 'text') yield { type: 'text_end', contentIndex, content: block.text, partial };
    else if (block.type === 'thinking') yield { type: 'thinking_end', contentIndex, content: block.thinking, partial };
    else {
      block.arguments = parseArguments(block.name, open.json);
      yield { type: 'toolcall_end', contentIndex, toolCall: block, partial };
    }
  }

  report({ input, cached, output }: ReportedUsage): void {
    const { cost } = this.#model;
    const fresh = Math.max(0, input - cached);
    const price = (tokens: number, perMillion: number) => (tokens * perMillion) / 1_000_000;
    const costs = { input: price(fresh, cost.input), output: price(output, cost.output), cacheRead: price(cached, cost.cacheRead), cacheWrite: 0 };
    this.message.usage = {
      input: fresh,
      output,
      cacheRead: cached,
      cacheWrite: 0,
      totalTokens: fresh + cached + output,
      cost: { ...costs, total: costs.input + costs.output + costs.cacheRead },
    };
  }

  done(reason: 'stop' | 'length'): ProviderEvent {
    const callsTool = this.message.content.some((block) => block.type === 'toolCall');
    const stopReason = reason === 'stop' && callsTool ? 'toolUse' : reason;
    this.message.stopReason = stopReason;
    return { type: 'done', reason: stopReason, message: this.message };
  }

  /** Removes a tool call whose arguments were cut off. */
  drop({ block }: OpenBlock<ToolCallBlock>): void {
    const index = this.message.content.indexOf(block);
    if (index !== -1) this.message.content.splice(index, 1);
  }

  aborted(): ProviderEvent {
    this.message.stopReason = 'aborted';
    this.message.errorMessage = 'the call was aborted';
    return { type: 'error', reason: 'aborted', error: this.message };
  }

  failed({ kind, text, retryAfterMs }: Failure): ProviderEvent {
    this.message.stopReason = 'error';
    this.message.errorMessage = text;
    return { type: 'error', reason: 'error', error: this.message, kind, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }

  #open<Block extends TextBlock | ThinkingBlock | ToolCallBlock>(block: Block): OpenBlock<Block> {
    return new OpenBlock(block, this.message.content.push(block) - 1);
  }
}

/** The stream said something that is no valid reply. */
export class BadReply extends Error {}

function parseArguments(name: string, json: string): Record<string, unknown> {
  if (json.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new BadReply(`the model called '${name}' with arguments that are not JSON`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new BadReply(`the model called '${name}' with arguments that are not an object`);
  return value as Record<string, unknown>;
}
