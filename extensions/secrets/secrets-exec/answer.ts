export interface Answer {
  values: Record<string, unknown>;
  errors: Record<string, string>;
}

/** The only version of the protocol on stdin and stdout. */
export const PROTOCOL_VERSION = 1;
const MAX_REASON = 300;

type Json = Record<string, unknown>;

/**
 * Reads what a program printed. With `jsonOnly` off, what is no answer of the protocol is the secret itself, when one id was asked for.
 * Throws when nothing can be taken from it; the error quotes nothing of it.
 */
export function readAnswer(printed: Uint8Array, ids: readonly string[], jsonOnly: boolean): Answer {
  const text = decode(printed);
  const answer = parse(text);
  if (!jsonOnly && (!isObject(answer) || !Object.hasOwn(answer, 'protocolVersion'))) return readRaw(text, ids);
  if (answer === undefined) throw new Error('its output is not JSON; with jsonOnly: false it may be the secret itself');
  if (!isObject(answer)) throw new Error('its output is not a JSON object');
  if (answer.protocolVersion !== PROTOCOL_VERSION) throw new Error(`its answer does not have protocolVersion ${PROTOCOL_VERSION}`);
  const { values = {}, errors = {} } = answer;
  if (!isObject(values) || !isObject(errors)) throw new Error("the 'values' or 'errors' of its answer are not an object");

  const result = emptyAnswer();
  const secrets = Object.values(values).filter((value) => typeof value === 'string' && value !== '') as string[];
  for (const id of ids) {
    const value = own(values, id);
    // an id with a value and an error is an error
    if (Object.hasOwn(errors, id)) result.errors[id] = reasonOf(errors[id], secrets);
    else if (value === undefined) result.errors[id] = 'its answer has neither a value nor an error for this id';
    else if (typeof value !== 'string') result.errors[id] = 'its value is not a text';
    else if (value === '') result.errors[id] = 'its value is empty';
    else result.values[id] = value;
  }
  return result;
}

export function emptyAnswer(): Answer {
  return { values: Object.create(null), errors: Object.create(null) };
}

function readRaw(text: string, ids: readonly string[]): Answer {
  const [id, ...more] = ids;
  if (id === undefined || more.length > 0) throw new Error(`its output is one secret, but ${ids.length} ids are asked for`);
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new Error('it printed nothing');
  const result = emptyAnswer();
  result.values[id] = value;
  return result;
}

/** What the program says of an id, on one line, without any value that it gave. */
function reasonOf(error: unknown, secrets: readonly string[]): string {
  const message = typeof error === 'string' ? error : isObject(error) && typeof error.message === 'string' ? error.message : '';
  const masked = [...secrets].sort((one, other) => other.length - one.length).reduce((text, secret) => text.replaceAll(secret, '***'), message);
  const line = masked.replace(/\p{C}+/gu, ' ').trim();
  return line === '' ? 'the command has no value for it' : line.slice(0, MAX_REASON);
}

function decode(printed: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(printed);
  } catch {
    // the error of the decoder says no more
    throw new Error('its output is not UTF-8');
  }
}

/** undefined: no JSON. The parser's own error quotes the text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(holder: Json, key: string): unknown {
  return Object.hasOwn(holder, key) ? holder[key] : undefined;
}
