import { createInterface } from 'node:readline';
import { durarError } from '../../sdk/errors.ts';
import type { Output } from './output.ts';
import { printable } from './printable.ts';

export interface Choice<Value> {
  label: string;
  /** Said behind the label, in a quieter colour. */
  note?: string;
  value: Value;
}

/** Questions to the person at the terminal. Each rejects with `DUR_CLI_CANCELLED` when that person leaves (Ctrl-C, Ctrl-D). */
export interface Prompt {
  say(text?: string): void;
  /** One of a numbered list; Enter takes the preset, by its place. */
  choose<Value>(question: string, choices: ReadonlyArray<Choice<Value>>, preset?: number): Promise<Value>;
  /** A line; `check` says what is wrong with it, and then it is asked again. */
  text(question: string, options?: { preset?: string; optional?: boolean; check?: (text: string) => string | undefined }): Promise<string>;
  confirm(question: string, preset: boolean): Promise<boolean>;
  close(): void;
}

/** A longer label moves its note to the right. */
const MAX_LABEL = 48;

/** Lines are kept in their order: what is typed or pasted ahead answers the next question. With `--json` the questions go to stderr. */
export function createPrompt({ json, paint }: Output): Prompt {
  const screen = json ? process.stderr : process.stdout;
  const readline = createInterface({ input: process.stdin, output: screen, terminal: true });
  const lines: string[] = [];
  let waiting: PromiseWithResolvers<string> | undefined;
  let isClosed = false;
  const leave = () => {
    isClosed = true;
    waiting?.reject(durarError('DUR_CLI_CANCELLED'));
    waiting = undefined;
  };
  readline.on('line', (line) => {
    if (waiting === undefined) lines.push(line);
    else waiting.resolve(line);
    waiting = undefined;
  });
  readline.on('SIGINT', () => readline.close());
  readline.on('close', leave);

  async function ask(question: string): Promise<string> {
    const typed = lines.shift();
    if (typed !== undefined) {
      screen.write(`${question}${typed}\n`);
      return typed.trim();
    }
    if (isClosed) throw durarError('DUR_CLI_CANCELLED');
    waiting = Promise.withResolvers<string>();
    const answer = waiting.promise;
    readline.setPrompt(question);
    readline.prompt();
    return (await answer).trim();
  }

  const say = (text = '') => void screen.write(`${text}\n`);
  const mark = paint.accent('?');

  return {
    say,
    async choose(question, choices, preset) {
      say(`\n${mark} ${paint.bold(question)}`);
      const width = String(choices.length).length;
      const wide = Math.min(MAX_LABEL, Math.max(...choices.map(({ label }) => label.length)));
      for (const [at, { label, note }] of choices.entries()) {
        say(
          `  ${paint.info(String(at + 1).padStart(width))}  ${note === undefined ? printable(label) : `${printable(label).padEnd(wide)}  ${paint.muted(printable(note))}`}`,
        );
      }
      for (;;) {
        const answer = await ask(`  number${preset === undefined ? '' : paint.muted(` [${preset + 1}]`)} › `);
        const at = answer === '' && preset !== undefined ? preset : Number(answer) - 1;
        const chosen = /^\d+$/.test(answer) || answer === '' ? choices[at] : undefined;
        if (chosen !== undefined) return chosen.value;
        say(paint.warn(`  Give a number from 1 to ${choices.length}.`));
      }
    },
    async text(question, { preset, optional = false, check } = {}) {
      for (;;) {
        const typed = await ask(`${mark} ${question}${preset === undefined ? '' : paint.muted(` [${printable(preset)}]`)} › `);
        const answer = typed === '' ? (preset ?? '') : typed;
        const problem = answer === '' ? (optional ? undefined : 'An answer is needed.') : check?.(answer);
        if (problem === undefined) return answer;
        say(paint.warn(`  ${problem}`));
      }
    },
    async confirm(question, preset) {
      for (;;) {
        const answer = (await ask(`${mark} ${question} ${paint.muted(preset ? '[Y/n]' : '[y/N]')} › `)).toLowerCase();
        if (answer === '') return preset;
        if (/^y(es)?$/.test(answer)) return true;
        if (/^n(o)?$/.test(answer)) return false;
        say(paint.warn('  Answer y or n.'));
      }
    },
    close: () => readline.close(),
  };
}
