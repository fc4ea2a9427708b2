/** A command line that is nothing but simple commands joined by `;`, `&&`, `||`, `|` or newlines. */
export interface PlainCommand {
  segments: PlainSegment[];
}

export interface PlainSegment {
  name: string;
  /** As the shell would see them before it expands variables and globs. */
  args: string[];
  /** An argument holds something to expand, so what the program gets is not known. */
  isOpen: boolean;
}

/**
 * Splits a command line. Whatever a path allowlist cannot judge makes it return the reason instead: substitutions, redirections, groups,
 * background jobs, assignments, comments, control characters.
 */
export function parsePlain(command: string): PlainCommand | { reason: string } {
  try {
    return { segments: new Reader(command).segments() };
  } catch (error) {
    if (error instanceof NotPlain) return { reason: error.message };
    throw error;
  }
}

class NotPlain extends Error {}

class Reader {
  readonly #text: string;
  #at = 0;
  #words: string[] = [];
  #segmentOpen = false;
  /** undefined: between words */
  #word: string | undefined;
  /** The word holds a variable or a glob, so it is not known before the shell expands it. */
  #open = false;

  constructor(text: string) {
    this.#text = text;
  }

  segments(): PlainSegment[] {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(this.#text)) throw new NotPlain('a control character');
    const segments: PlainSegment[] = [];
    const endSegment = (optional: boolean) => {
      this.#endWord();
      const [name, ...args] = this.#words;
      if (name !== undefined) segments.push({ name, args, isOpen: this.#segmentOpen });
      else if (!optional) throw new NotPlain('an empty command');
      this.#words = [];
      this.#segmentOpen = false;
    };
    // only what separates words in a shell: to it other white space is part of a name
    const text = this.#text.replace(/^[ \t\n]+|[ \t\n]+$/g, '');
    while (this.#at < text.length) {
      const char = text[this.#at] as string;
      const next = text[this.#at + 1];
      this.#at += 1;
      if (char === ' ' || char === '\t') this.#endWord();
      else if (char === '\n') endSegment(true);
      else if (char === ';') endSegment(false);
      else if (char === '|' || char === '&') {
        if (char === '&' && next !== '&') throw new NotPlain('a background job');
        if (char === '|' && next === '&') throw new NotPlain('a redirection');
        if (next === char) this.#at += 1;
        endSegment(false);
      } else if (char === '<' || char === '>') throw new NotPlain('a redirection');
      else if (char === '(' || char === ')') throw new NotPlain('a group');
      else if (char === '`') throw new NotPlain('a command substitution');
      else if (char === '#') throw new NotPlain('a comment');
      else if (char === "'") this.#single(text);
      else if (char === '"') this.#double(text);
      else if (char === '\\') this.#escape(next);
      else if (char === '$') this.#variable(text);
      else this.#add(char, '*?[{~'.includes(char));
    }
    endSegment(segments.length > 0);
    return segments;
  }

  #add(text: string, open = false): void {
    this.#word = (this.#word ?? '') + text;
    if (open) this.#open = true;
  }

  #endWord(): void {
    if (this.#word === undefined) return;
    if (this.#words.length === 0) {
      if (this.#open) throw new NotPlain('a command name that is not literal');
      if (/^[A-Za-z_]\w*\+?=/.test(this.#word)) throw new NotPlain('an assignment');
    }
    this.#words.push(this.#word);
    this.#segmentOpen ||= this.#open;
    this.#word = undefined;
    this.#open = false;
  }

  #single(text: string): void {
    const end = text.indexOf("'", this.#at);
    if (end === -1) throw new NotPlain('an open quote');
    this.#add(text.slice(this.#at, end));
    this.#at = end + 1;
  }

  #double(text: string): void {
    this.#add('');
    for (;;) {
      const char = text[this.#at];
      const next = text[this.#at + 1];
      this.#at += 1;
      if (char === undefined) throw new NotPlain('an open quote');
      if (char === '"') return;
      if (char === '`') throw new NotPlain('a command substitution');
      if (char === '$') this.#variable(text);
      else if (char === '\\' && next !== undefined && '$`"\\'.includes(next)) {
        this.#add(next);
        this.#at += 1;
      } else if (char === '\\' && next === '\n') throw new NotPlain('a continued line');
      else this.#add(char);
    }
  }

  #escape(next: string | undefined): void {
    if (next === undefined || next === '\n') throw new NotPlain('a continued line');
    this.#add(next);
    this.#at += 1;
  }

  /** `$NAME` and `${NAME}` only; other forms can run commands or hide them. */
  #variable(text: string): void {
    const name = /^(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})/.exec(text.slice(this.#at))?.[0];
    if (name === undefined) throw new NotPlain('a substitution');
    this.#add(`$${name}`, true);
    this.#at += name.length;
  }
}
