import type { ModelEntry, ProviderEvent } from 'Durar/plugin-sdk/core';
import { ProviderStream } from 'Durar/plugin-sdk/provider-stream';

const CHARS_PER_TOKEN = 4;

/** A reply whose tokens are counted while it is made. */
export class Reply {
  readonly stream: ProviderStream;
  #input: number;
  #outputChars = 0;

  constructor(model: ModelEntry, inputTokens: number) {
    this.stream = new ProviderStream(model);
    this.#input = inputTokens;
    this.#count();
  }

  /** Yields a text block piece by piece. */
  *text(pieces: Iterable<string>): Generator<ProviderEvent> {
    const [open, opened] = this.stream.openText();
    yield opened;
    for (const piece of pieces) {
      this.#produced(piece);
      yield this.stream.text(open, piece);
    }
    yield* this.stream.close(open);
  }

  *thinking(pieces: Iterable<string>): Generator<ProviderEvent> {
    const [open, opened] = this.stream.openThinking();
    yield opened;
    for (const piece of pieces) {
      this.#produced(piece);
      yield this.stream.thinking(open, piece);
    }
    yield* this.stream.close(open);
  }

  *toolCall(id: string, name: string, args: Record<string, unknown>): Generator<ProviderEvent> {
    const [open, opened] = this.stream.openToolCall(id, name);
    yield opened;
    const json = JSON.stringify(args);
    this.#produced(name + json);
    yield this.stream.toolArguments(open, json);
    yield* this.stream.close(open);
  }

  /** Replaces what the reply reports as its cost. */
  report(input: number, output?: number): void {
    this.#input = input;
    if (output !== undefined) this.#outputChars = output * CHARS_PER_TOKEN;
    this.#count();
  }

  #produced(text: string): void {
    this.#outputChars += text.length;
    this.#count();
  }

  #count(): void {
    this.stream.report({ input: this.#input, output: tokensOf(this.#outputChars) });
  }
}

/** The offline model's tokeniser: four characters are one token. */
export function tokensOf(characters: number): number {
  return Math.ceil(characters / CHARS_PER_TOKEN);
}
