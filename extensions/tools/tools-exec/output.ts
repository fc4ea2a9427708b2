import { stripVTControlCharacters } from 'node:util';

/** Keeps the beginning and the end of an output; what lies between is counted. */
export class OutputWindow {
  readonly #headLimit: number;
  readonly #tailLimit: number;
  #head = '';
  #tail = '';
  #total = 0;

  constructor(maxChars: number) {
    this.#headLimit = Math.floor(maxChars / 3);
    this.#tailLimit = maxChars - this.#headLimit;
  }

  /** Characters seen so far. */
  get total(): number {
    return this.#total;
  }

  push(chunk: string): void {
    this.#total += chunk.length;
    const free = this.#headLimit - this.#head.length;
    this.#head += chunk.slice(0, free);
    this.#tail += chunk.slice(free);
    // cut in strides, so that many small chunks cost no more than their length
    if (this.#tail.length > 2 * this.#tailLimit) this.#tail = this.#tail.slice(-this.#tailLimit);
  }

  text(): string {
    const tail = this.#tail.slice(-this.#tailLimit);
    const left = this.#total - this.#head.length - tail.length;
    const whole = left > 0 ? `${this.#head}\n[${left} characters left out]\n${tail}` : this.#head + tail;
    return clean(whole);
  }
}

/** Terminal sequences and control characters would act on the terminal of whoever reads the result. */
function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, '');
}
