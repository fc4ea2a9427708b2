/** Members of the ancestor's SDK that Durar offers though its own has no use for them, and what stands in for the rest. */
import { ancestorSubpath } from '../ancestor.ts';
import { durarError } from '../errors.ts';
import { buildChannelConfigSchema, createChannelPluginBase, createChatChannelPlugin } from './channel.ts';

const EMPTY_SCHEMA = { type: 'object', additionalProperties: false, properties: {} };

/** Small members that plugins of that line call while they are imported, by name. */
export const OFFERED: Readonly<Record<string, unknown>> = {
  DEFAULT_ACCOUNT_ID: 'default',
  emptyPluginConfigSchema: () => ({
    jsonSchema: EMPTY_SCHEMA,
    safeParse: (value: unknown) =>
      value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
        ? { success: true, data: value }
        : { success: false, error: { issues: [{ path: [], message: 'expected an empty object' }] } },
  }),
  stringEnum: (values: readonly string[], options: object = {}) => ({ type: 'string', enum: [...values], ...options }),
  optionalStringEnum: (values: readonly string[], options: object = {}) => ({ type: 'string', enum: [...values], ...options }),
  textResult: (text: string, details?: unknown) => ({ content: [{ type: 'text', text }], details }),
  readStringParam(params: Record<string, unknown>, key: string, { required = false, trim = true, label = key, allowEmpty = false } = {}): string | undefined {
    const value = params[key];
    const text = typeof value === 'string' ? (trim ? value.trim() : value) : undefined;
    if (text !== undefined && (text !== '' || allowEmpty)) return text;
    if (required) throw new Error(`${label} required`);
    return undefined;
  },
  buildChannelConfigSchema,
  createChannelPluginBase,
  createChatChannelPlugin,
  // The text that the selected memory adds to the prompt; no memory of this version adds any.
  buildMemorySystemPromptAddition: () => undefined,
  jsonResult: (details: unknown) => ({ content: [{ type: 'text', text: JSON.stringify(details, null, 2) }], details }),
};

/** A module of that SDK in which each name that Durar does not know is stood in for; any other module as it is. */
export function standIns(specifier: string, module: object): object {
  if (ancestorSubpath(specifier) === undefined) return module;
  const isName = (name: string | symbol): name is string => typeof name === 'string' && !['default', 'then', '__esModule'].includes(name);
  // Of a copy: a module's own namespace admits no further names.
  return new Proxy({ ...module } as Record<string | symbol, unknown>, {
    has: (target, name) => name in target || isName(name),
    get: (target, name) => (name in target || !isName(name) ? target[name] : (OFFERED[name] ?? unavailable(`${specifier} ${name}`))),
  });
}

/**
 * Stands in for a member that Durar does not have: it can be imported, passed on, extended and asked for its own members, and throws
 * `DUR_EXT_NOT_AVAILABLE` with the member's name when it is called, constructed or used as a text or number.
 */
export function unavailable(member: string): unknown {
  const refuse = (): never => {
    throw durarError('DUR_EXT_NOT_AVAILABLE', { member });
  };
  // biome-ignore lint/complexity/useArrowFunction: only a function can be constructed and extended
  return new Proxy(function () {}, {
    apply: refuse,
    construct: refuse,
    get(target, key) {
      if (key === Symbol.toPrimitive || key === Symbol.iterator || key === Symbol.asyncIterator) return refuse;
      // `then` would make it a promise to `await`; `prototype` belongs to `extends`.
      if (typeof key === 'symbol' || key === 'then' || key === 'toJSON' || key === 'prototype') return Reflect.get(target, key);
      return unavailable(`${member}.${key}`);
    },
  });
}
