import { durarError } from '../../../sdk/errors.ts';

/** A terminal, or what is piped in. */
export interface SecretStreams {
  input: NodeJS.ReadStream;
  /** Where the question goes; not stdout, which may be somebody's data. */
  screen: Pick<NodeJS.WriteStream, 'write'>;
}

const ENTER = new Set(['\r', '\n']);
const CANCEL = new Set(['\u0003', '\u0004']);
const ERASE = new Set(['\u007f', '\b']);

/**
 * One secret: typed or pasted at the terminal, where nothing of it is shown, else all of standard input. Throws `DUR_AUTH_INPUT` for nothing,
 * `DUR_CLI_CANCELLED` after Ctrl-C.
 */
export async function readSecret(what: string, { input, screen }: SecretStreams = { input: process.stdin, screen: process.stderr }): Promise<string> {
  const text = (input.isTTY === true ? await readHidden(what, input, screen) : await readAll(input)).trim();
  if (text === '') throw durarError('DUR_AUTH_INPUT', { what });
  if (/[\r\n]/.test(text)) throw durarError('DUR_CLI_USAGE', { reason: `the ${what} takes more than one line` }, { hint: 'Give it alone, in one line.' });
  return text;
}

async function readAll(input: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of input) text += String(chunk);
  return text;
}

async function readHidden(what: string, input: NodeJS.ReadStream, screen: SecretStreams['screen']): Promise<string> {
  screen.write(`${what} (it is not shown): `);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let typed = '';
  const take = (chunk: string | Buffer) => {
    for (const char of String(chunk)) {
      if (CANCEL.has(char)) return reject(durarError('DUR_CLI_CANCELLED'));
      if (ENTER.has(char)) return resolve(typed);
      typed = ERASE.has(char) ? [...typed].slice(0, -1).join('') : typed + char;
    }
  };
  const end = () => resolve(typed);
  input.setRawMode(true);
  input.on('data', take);
  input.on('end', end);
  input.resume();
  try {
    return await promise;
  } finally {
    input.off('data', take);
    input.off('end', end);
    input.setRawMode(false);
    input.pause();
    screen.write('\n');
  }
}
