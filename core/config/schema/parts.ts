/**
 * The vocabulary of the configuration schema.
 *
 * A property with a `default` is required in the TypeScript type (it is there once defaults are applied) and optional in the file. Our
 * keywords: `sensitive` marks a secret, `x-active` says when it or those below are in use, `x-announce` is the code under which the log tells
 * that of a reference, `x-reload` says what a change needs (absent = live), `$id` names a shape that is emitted once.
 */
import { type SchemaOptions, type Static, type TProperties, type TSchema, Type } from '@sinclair/typebox';
import type { ActiveRule } from '../active-rule.ts';

export const opt = Type.Optional;

/** An object that is always present once defaults are applied. */
export const section = <T extends TProperties>(properties: T, options: SchemaOptions = {}) =>
  Type.Object(properties, { additionalProperties: false, default: {}, ...options });

/** A closed object without a default of its own. */
export const shape = <T extends TProperties>(properties: T, options: SchemaOptions = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options });

/** An object whose keys another party checks (an extension's own schema). */
export const open = (options: SchemaOptions = {}) => Type.Unsafe<Record<string, unknown>>({ type: 'object', ...options });

export const map = <T extends TSchema>(value: T, options: SchemaOptions = {}) =>
  Type.Unsafe<Record<string, Static<T>>>({ type: 'object', additionalProperties: value, ...options });

export const oneOf = <const T extends readonly string[]>(values: T, options: SchemaOptions = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options });

export const strings = (options: SchemaOptions = {}) => Type.Array(Type.String(), options);

export const text = (options: SchemaOptions = {}) => Type.String({ minLength: 1, ...options });

export const flag = (value: boolean, options: SchemaOptions = {}) => Type.Boolean({ default: value, ...options });

/** A whole number that is not negative. */
export const count = (value?: number, options: SchemaOptions = {}) =>
  Type.Integer({ minimum: 0, ...(value === undefined ? {} : { default: value }), ...options });

/** A share between 0 and 1. */
export const ratio = (value?: number) => Type.Number({ minimum: 0, maximum: 1, ...(value === undefined ? {} : { default: value }) });

/** A duration such as `30m` or `1h30m`; a bare number counts in the unit that the key's description names. */
export const duration = (options: SchemaOptions = {}) =>
  Type.Unsafe<string | number>({ type: ['string', 'number'], pattern: '^\\s*(\\d+(\\.\\d+)?\\s*(ms|s|m|h|d|w)?\\s*)+$', minimum: 0, ...options });

/** A size such as `10mb`, or a number of bytes. */
export const bytes = (options: SchemaOptions = {}) =>
  Type.Unsafe<string | number>({
    type: ['string', 'number'],
    pattern: '^\\s*\\d+(\\.\\d+)?\\s*([kKmMgGtT]?[bB])?\\s*$|^\\d+(\\.\\d+)?%$',
    minimum: 0,
    ...options,
  });

export const SecretRef = shape(
  {
    source: Type.String({ pattern: '^[a-z][a-z0-9_-]{0,63}$', description: 'env, file, exec, or a source that an installed extension serves' }),
    provider: Type.String({ pattern: '^[a-z][a-z0-9_-]{0,63}$', description: 'alias under secrets.providers' }),
    id: text({ description: 'what the provider looks up' }),
  },
  { $id: 'secretRef' },
);

/** A secret: text, a `${VAR}` template, or a reference. */
export const Secret = Type.Unsafe<string | Static<typeof SecretRef>>({ anyOf: [Type.String(), SecretRef], sensitive: true, $id: 'secret' });

/** The same with rules of its own. */
export const secret = (rules: readonly ActiveRule[], options: SchemaOptions = {}) =>
  Type.Unsafe<string | Static<typeof SecretRef>>({ anyOf: [Type.String(), SecretRef], sensitive: true, 'x-active': rules, ...options });

/** A secret that has no reference form. */
export const PlainSecret = Type.String({ sensitive: true });

/** Values by name where each may be a secret: headers, environment variables. */
export const secretMap = (options: SchemaOptions = {}) => map(Secret, options);

export const Thinking = oneOf(['off', 'minimal', 'low', 'medium', 'high', 'xhigh', 'adaptive']);

export const ModelChoice = Type.Unsafe<string | { primary?: string; fallbacks?: string[] }>({
  anyOf: [text(), shape({ primary: opt(text()), fallbacks: opt(strings()) })],
  $id: 'modelChoice',
});
