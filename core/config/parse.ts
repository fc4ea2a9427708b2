import { durarError } from '../../sdk/errors.ts';

/**
 * Parses JSON5. Throws `DUR_CONFIG_SYNTAX` with line and column. Plain JSON, which is what Durar itself writes, does not load the JSON5
 * parser.
 */
export async function parseText(text: string, file: string): Promise<unknown> {
  const content = text.startsWith('\uFEFF') ? text.slice(1) : text;
  if (content.trim() === '') return {};
  const plain = parseJson(content);
  if (plain !== undefined) return plain.value;
  const { default: JSON5 } = await import('json5');
  try {
    return JSON5.parse(content);
  } catch (error) {
    const { lineNumber: line = 1, columnNumber: column = 1, message } = error as Error & { lineNumber?: number; columnNumber?: number };
    const reason = curlyQuote(content, line, column) ?? message.replace(/^JSON5: /, '').replace(/ at \d+:\d+$/, '');
    throw durarError('DUR_CONFIG_SYNTAX', { file, line, column, reason }, { owner: { file, line, column }, cause: error });
  }
}

/** A value typed by a person: JSON5 when it parses, else the text itself. */
export async function parseValue(text: string): Promise<unknown> {
  const plain = parseJson(text);
  if (plain !== undefined) return plain.value;
  const { default: JSON5 } = await import('json5');
  try {
    return JSON5.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

function parseJson(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Text copied from a web page or a word processor often has typographic quotes; say so. */
function curlyQuote(text: string, line: number, column: number): string | undefined {
  const char = text.split(/\r\n|[\n\r\u2028\u2029]/)[line - 1]?.[column - 1];
  if (char === undefined || !'“”„‟‘’‚‛'.includes(char)) return undefined;
  return `the quotation mark ${char} is curly; write straight quotes (" or ')`;
}
