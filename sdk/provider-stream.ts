import { type AssistantMessage, emptyUsage, type TextBlock, type ThinkingBlock, type ToolCallBlock } from './messages.ts';
import type { ModelEntry, ProviderErrorKind, ProviderEvent } from './ports/provider.ts';

/** What the provider says that the call took, in tokens. */
export interface ReportedUsage {
  /** all that was sent, also what was read from or written to a cache */
  input: number;
  output: number;
  cacheRead?: number;
  cacheWrite?: number;
}

/** Why a call failed. `text` is shown to people and must not hold a credential. */
export interface ProviderFailure {
  kind: ProviderErrorKind;
  text: string;
  retryAfterMs?: number;
}

/** A block that is being streamed. */
export interface OpenBlock<Block extends TextBlock | ThinkingBlock | ToolCallBlock = TextBlock | ThinkingBlock | ToolCallBlock> {
  readonly block: Block;
  readonly contentIndex: number;
  /** Arguments of a tool call so far, as text. */
  json: string;
  isOpen: boolean;
}

/** The model said something that is no valid reply; the call failed for the reason `format`. */
export class BadReply extends Error {}

/**
 * One reply under way, for providers and model APIs: each method changes the partial message and returns the event that tells about it, to be
 * yielded. `start` first; a block is opened, gets its deltas and is closed, and several may be open at once; exactly one of `done`, `aborted`
 * and `failed` ends it.
 */
export class ProviderStream {
  /** The reply so far; `partial` of every event. */
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

  /** Adds to the JSON of the arguments. */
  toolArguments(open: OpenBlock<ToolCallBlock>, delta: string): ProviderEvent {
    open.json += delta;
    return { type: 'toolcall_delta', contentIndex: open.contentIndex, delta, partial: this.message };
  }

  /** Closes a block; nothing happens when it is closed or there is none. Throws `BadReply` when the arguments of a tool call are not an object. */
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

  /** Removes a tool call whose arguments were cut off, right before `done`: the blocks behind it change their index. */
  drop({ block }: OpenBlock<ToolCallBlock>): void {
    const index = this.message.content.indexOf(block);
    if (index !== -1) this.message.content.splice(index, 1);
  }

  /** Sets the usage, and its cost by the model's prices. The last report counts. */
  report({ input, output, cacheRead = 0, cacheWrite = 0 }: ReportedUsage): void {
    const { cost } = this.#model;
    const fresh = Math.max(0, input - cacheRead - cacheWrite);
    const price = (tokens: number, perMillion: number) => (tokens * perMillion) / 1_000_000;
    const prices = {
      input: price(fresh, cost.input),
      output: price(output, cost.output),
      cacheRead: price(cacheRead, cost.cacheRead),
      cacheWrite: price(cacheWrite, cost.cacheWrite),
    };
    this.message.usage = {
      input: fresh,
      output,
      cacheRead,
      cacheWrite,
      totalTokens: fresh + cacheRead + cacheWrite + output,
      cost: { ...prices, total: prices.input + prices.output + prices.cacheRead + prices.cacheWrite },
    };
  }

  /** The reply is complete, or was cut at the longest that the model may say. A complete one that calls a tool ends as `toolUse`. */
  done(reason: 'stop' | 'length' = 'stop'): ProviderEvent {
    const callsTool = this.message.content.some((block) => block.type === 'toolCall');
    const stopReason = reason === 'stop' && callsTool ? 'toolUse' : reason;
    this.message.stopReason = stopReason;
    return { type: 'done', reason: stopReason, message: this.message };
  }

  /** The host's signal was aborted. */
  aborted(): ProviderEvent {
    this.message.stopReason = 'aborted';
    this.message.errorMessage = 'the call was aborted';
    return { type: 'error', reason: 'aborted', error: this.message };
  }

  failed({ kind, text, retryAfterMs }: ProviderFailure): ProviderEvent {
    this.message.stopReason = 'error';
    this.message.errorMessage = text;
    return { type: 'error', reason: 'error', error: this.message, kind, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }

  #open<Block extends TextBlock | ThinkingBlock | ToolCallBlock>(block: Block): OpenBlock<Block> {
    return { block, contentIndex: this.message.content.push(block) - 1, json: '', isOpen: true };
  }
}

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
