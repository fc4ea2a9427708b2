/** What a broken or hostile client may send, and what the protocol says the answer is. */
import fc from 'fast-check';
import { PROTOCOL_ERROR_CODES } from '../../sdk/protocol/errors.ts';
import { METHODS } from '../../sdk/protocol/generated/tables.ts';

/** Those that end the gateway, replace its configuration or wait for minutes are not called by chance. */
const LEFT_OUT = new Set([
  'gateway.stop',
  'update.run',
  'config.set',
  'config.apply',
  'config.patch',
  'plugins.reload',
  'agent.wait',
  'exec.approval.waitDecision',
]);
const NAMES = Object.keys(METHODS).filter((name) => !LEFT_OUT.has(name));
const WORDS = ['main', 'agent:main:main', 'agent:main:fuzz', 'agent:', '', '__proto__', 'constructor', '../..', '\u0000', '\ud800', 'x'.repeat(600)];
const KEYS = [
  'sessionKey',
  'key',
  'message',
  'idempotencyKey',
  'runId',
  'limit',
  'agentId',
  'id',
  'path',
  'raw',
  'deviceId',
  'nodeId',
  'command',
  'params',
  'role',
  'scopes',
  'attachments',
  'name',
  'content',
  'timeoutMs',
  '__proto__',
  'toString',
];

const word = () => fc.oneof(fc.constantFrom(...WORDS), fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 40 }));
const scalar = () => fc.oneof(word(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null));
const value = () => fc.oneof(scalar(), fc.array(scalar(), { maxLength: 6 }), fc.jsonValue({ maxDepth: 5 }));
const params = () => fc.oneof(fc.dictionary(fc.constantFrom(...KEYS), value(), { maxKeys: 6 }), value());
const method = () => fc.oneof({ arbitrary: fc.constantFrom(...NAMES), weight: 4 }, { arbitrary: word(), weight: 1 });

const request = () => fc.record({ type: fc.constant('req'), id: fc.string({ minLength: 1, maxLength: 20 }), method: method(), params: params() });
const shapeless = () =>
  fc.record(
    { type: fc.oneof(fc.constant('req'), value()), id: value(), method: fc.oneof(method(), value()), params: params(), extra: value() },
    { requiredKeys: [] },
  );
const deep = () =>
  fc.tuple(fc.integer({ min: 1, max: 30_000 }), fc.constantFrom(...NAMES), fc.constantFrom('[', '{"a":')).map(([depth, name, open]) => {
    const nested = open.repeat(depth) + (open === '[' ? '' : '0') + (open === '[' ? ']' : '}').repeat(depth);
    return `{"type":"req","id":"deep","method":"${name}","params":{"key":${nested},"message":${nested}}}`;
  });
const large = () =>
  fc.tuple(fc.integer({ min: 1, max: 300_000 }), fc.constantFrom('id', 'method', 'key')).map(([size, where]) => {
    const text = 'x'.repeat(size);
    if (where === 'key') return JSON.stringify({ type: 'req', id: 'large', method: 'health', [text]: 1 });
    return JSON.stringify({ type: 'req', id: 'large', method: 'health', [where]: text });
  });
const mutated = () =>
  fc
    .tuple(request(), fc.array(fc.tuple(fc.nat(), fc.constantFrom('cut', 'drop', 'add', 'twice'), fc.string({ maxLength: 3 })), { minLength: 1, maxLength: 4 }))
    .map(([frame, changes]) => {
      let text = JSON.stringify(frame);
      for (const [at, how, more] of changes) {
        const place = text.length === 0 ? 0 : at % text.length;
        if (how === 'cut') text = text.slice(0, place);
        else if (how === 'drop') text = text.slice(0, place) + text.slice(place + 1);
        else if (how === 'add') text = text.slice(0, place) + more + text.slice(place);
        else text = text + text.slice(place);
      }
      return text;
    });

/** Texts of frames: proper requests, nearly proper ones, and rubbish. */
export const texts = (): fc.Arbitrary<string> =>
  fc.oneof(
    { arbitrary: request().map((frame) => JSON.stringify(frame)), weight: 6 },
    { arbitrary: shapeless().map((frame) => JSON.stringify(frame)), weight: 4 },
    { arbitrary: mutated(), weight: 4 },
    { arbitrary: fc.json(), weight: 2 },
    { arbitrary: fc.string({ unit: 'binary' }), weight: 2 },
    { arbitrary: fc.constantFrom('null', 'true', '0', '""', '[]', '{}', '', ' ', '\ufeff{}', '{"__proto__":{"type":"req"}}'), weight: 2 },
    { arbitrary: deep(), weight: 1 },
    { arbitrary: large(), weight: 1 },
  );

/** Bytes of a text frame that are no UTF-8. */
export const brokenUtf8 = (): fc.Arbitrary<Buffer> =>
  fc.constantFrom('{"type":"req","id":"ü","method":"health"}', '"€"', '{"a":"😀"}').map((text) => {
    const bytes = Buffer.from(text);
    const start = bytes.findIndex((byte) => byte >= 0xc0);
    // the beginning of a character without its end
    return Buffer.concat([bytes.subarray(0, start + 1), Buffer.from('"}')]);
  });

export const bytes = (): fc.Arbitrary<Buffer> => fc.uint8Array({ minLength: 1, maxLength: 2000 }).map((array) => Buffer.from(array));

interface Answer {
  type: string;
  id: string;
  ok: boolean;
  error?: { code: string; message: string };
}

/** The id under which a text is answered; undefined: it is ignored. */
export function answeredAs(text: string): { id: string; isRequest: boolean } | undefined {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { type, id, method, ...rest } = (typeof frame === 'object' && frame !== null ? frame : {}) as Record<string, unknown>;
  const isText = (part: unknown) => typeof part === 'string' && part !== '';
  const isRequest = type === 'req' && isText(id) && isText(method) && Object.keys(rest).every((key) => key === 'params') && !Array.isArray(frame);
  return { id: isText(id) && !Array.isArray(frame) ? (id as string) : 'invalid', isRequest };
}

/** What is wrong with an answer. */
export function faultOf(answer: Answer, expected: { isRequest: boolean }): string | undefined {
  if (answer.ok) return expected.isRequest ? undefined : 'a malformed frame was carried out';
  if (answer.error === undefined || answer.error.message === '') return 'a refusal without a reason';
  if (!PROTOCOL_ERROR_CODES.includes(answer.error.code as never)) return `an error code outside the closed set: ${answer.error.code}`;
  if (expected.isRequest) return undefined;
  return answer.error.code === 'INVALID_REQUEST' && answer.error.message.startsWith('invalid request frame: ')
    ? undefined
    : `wrong refusal: ${answer.error.message}`;
}
