import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type Machine, root, until } from './gateway-process.ts';

/** A command of the product at a real terminal, and the person before it. */
export interface Terminal {
  /** Everything on the screen so far, without colours. */
  screen(): string;
  /** Waits for a text behind what was awaited before, then types the line. */
  answer(question: string, line: string): Promise<void>;
  /** Waits for a question, then picks the row with that text from its numbered list. */
  pick(question: string, row: string): Promise<void>;
  type(keys: string): void;
  /** Its exit code. */
  closed: Promise<number | null>;
}

/** `script` (util-linux) opens the terminal. `out`: a file that gets stdout. */
export function openTerminal(machine: Machine, args: string[], env: NodeJS.ProcessEnv = {}, out?: string): Terminal {
  const words = [process.execPath, join(root, 'core/cli/durar.js'), ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  const child = spawn('script', ['-qfec', [...words, ...(out === undefined ? [] : [`> '${out}'`])].join(' '), '/dev/null'], {
    cwd: machine.home,
    env: { ...machine.env, TERM: 'xterm', SHELL: '/bin/sh', COLUMNS: '200', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let text = '';
  let seen = 0;
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  child.stderr.on('data', (chunk) => (text += String(chunk)));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences of a terminal begin with the escape character
  const screen = () => text.replace(/\u001b\[[\d;?]*[A-Za-z]/g, '').replaceAll('\r', '');
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  const reach = async (wanted: string): Promise<string> => {
    const found = await until(
      () => {
        const rest = screen().slice(seen);
        const at = rest.indexOf(wanted);
        return at >= 0 && rest.slice(at).includes('›') ? rest.slice(at) : undefined;
      },
      `'${wanted}' on the screen`,
      30_000,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${screen()}`);
    });
    seen = screen().length;
    return found;
  };
  return {
    screen,
    async answer(question, line) {
      await reach(question);
      child.stdin.write(`${line}\r`);
    },
    async pick(question, row) {
      const shown = await reach(question);
      const line = shown.split('\n').find((each) => each.includes(row));
      const number = /^\s*(\d+)\s/.exec(line ?? '')?.[1];
      if (number === undefined) throw new Error(`no row '${row}' in:\n${shown}`);
      child.stdin.write(`${number}\r`);
    },
    type: (keys) => void child.stdin.write(keys),
    closed,
  };
}
