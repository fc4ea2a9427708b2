import { type AssistantMessage, emptyUsage, type ModelEntry, type ProviderErrorKind, type ProviderEvent, type ToolCallBlock } from 'Durar/plugin-sdk/core';

/** The reply under way: every method changes the partial message and returns the event that tells about it. */
export class Reply {
  readonly message: AssistantMessage;

  constructor(model: ModelEntry, inputTokens: number) {
    this.message = {
      role: 'assistant',
      content: [],
      api: model.api,
      provider: model.provider,
      model: model.id,
      usage: { ...emptyUsage(), input: inputTokens, totalTokens: inputTokens },
      stopReason: 'stop',
      timestamp: Date.now(),
    };
  }

  start(): ProviderEvent {
    return { type: 'start', partial: this.message };
  }

  /** Yields a text block piece by piece. */
  *text(pieces: Iterable<string>): Generator<ProviderEvent> {
    const block = { type: 'text' as const, text: '' };
    const contentIndex = this.message.content.push(block) - 1;
    yield { type: 'text_start', contentIndex, partial: this.message };
    for (const delta of pieces) {
      block.text += delta;
      this.#produced(delta);
      yield { type: 'text_delta', contentIndex, delta, partial: this.message };
    }
    yield { type: 'text_end', contentIndex, content: block.text, partial: this.message };
  }

  *thinking(pieces: Iterable<string>): Generator<ProviderEvent> {
    const block = { type: 'thinking' as const, thinking: '' };
    const contentIndex = this.message.content.push(block) - 1;
    yield { type: 'thinking_start', contentIndex, partial: this.message };
    for (const delta of pieces) {
      block.thinking += delta;
      this.#produced(delta);
      yield { type: 'thinking_delta', contentIndex, delta, partial: this.message };
    }
    yield { type: 'thinking_end', contentIndex, content: block.thinking, partial: this.message };
  }

  *toolCall(id: string, name: string, args: Record<string, unknown>): Generator<ProviderEvent> {
    const toolCall: ToolCallBlock = { type: 'toolCall', id, name, arguments: {} };
    const contentIndex = this.message.content.push(toolCall) - 1;
    yield { type: 'toolcall_start', contentIndex, partial: this.message };
    const delta = JSON.stringify(args);
    toolCall.arguments = args;
    this.#produced(name + delta);
    yield { type: 'toolcall_delta', contentIndex, delta, partial: this.message };
    yield { type: 'toolcall_end', contentIndex, toolCall, partial: this.message };
  }

  /** Replaces what the reply reports as its cost. */
  report(input: number, output?: number): void {
    const { usage } = this.message;
    usage.input = input;
    if (output !== undefined) this.#outputChars = output * CHARS_PER_TOKEN;
    this.#count();
  }

  done(reason: 'stop' | 'length'): ProviderEvent {
    const callsTool = this.message.content.some((block) => block.type === 'toolCall');
    this.message.stopReason = callsTool && reason === 'stop' ? 'toolUse' : reason;
    return { type: 'done', reason: this.message.stopReason as 'stop' | 'length' | 'toolUse', message: this.message };
  }

  aborted(): ProviderEvent {
    this.message.stopReason = 'aborted';
    this.message.errorMessage = 'the call was aborted';
    return { type: 'error', reason: 'aborted', error: this.message };
  }

  failed(kind: ProviderErrorKind, text: string, retryAfterMs?: number): ProviderEvent {
    this.message.stopReason = 'error';
    this.message.errorMessage = text;
    return { type: 'error', reason: 'error', error: this.message, kind, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }

  #outputChars = 0;

  #produced(text: string): void {
    this.#outputChars += text.length;
    this.#count();
  }

  #count(): void {
    const { usage } = this.message;
    usage.output = tokensOf(this.#outputChars);
    usage.totalTokens = usage.input + usage.output;
  }
}

const CHARS_PER_TOKEN = 4;

/** The offline model's tokeniser: four characters are one token. */
export function tokensOf(characters: number): number {
  return Math.ceil(characters / CHARS_PER_TOKEN);
}
