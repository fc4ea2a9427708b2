/**
 * Checks a value against a JSON Schema of the few keywords that the configuration uses. It visits only what the value holds, so its cost
 * follows the size of the file and not of the schema (compiled code for this schema is 630 kB and takes 25 ms to load and run once).
 */
import { isForbiddenKey, isRecord, type Segment } from './config-path.ts';

export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  propertyNames?: Schema;
  items?: Schema;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  not?: { const: unknown };
  minimum?: number;
  maximum?: number;
  minLength?: number;
  pattern?: string;
  description?: string;
  sensitive?: boolean;
}

export interface Violation {
  path: Segment[];
  kind: 'unknown-key' | 'missing' | 'type' | 'value';
  /** Completes a sentence that begins with the path: `must be a whole number`. */
  reason: string;
  /** For `unknown-key`: the keys that exist there. */
  known?: string[];
}

const NOUNS: Record<string, string> = {
  string: 'text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
};

export function checkSchema(root: Schema, value: unknown): Violation[] {
  const violations: Violation[] = [];
  check(root, root, value, [], violations);
  return violations;
}

function check(root: Schema, node: Schema, value: unknown, path: Segment[], out: Violation[]): void {
  const schema = resolve(root, node);
  if (schema.anyOf !== undefined) {
    checkAny(root, schema.anyOf, value, path, out);
    return;
  }
  const types = typeof schema.type === 'string' ? [schema.type] : schema.type;
  if (types !== undefined && !types.some((type) => hasType(type, value))) {
    out.push({ path, kind: 'type', reason: `must be ${list(types.map((type) => NOUNS[type] ?? type))}, not ${describe(value)}` });
    return;
  }
  const reason = scalarReason(schema, value);
  if (reason !== undefined) out.push({ path, kind: 'value', reason });
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items !== undefined) for (const [index, item] of value.entries()) check(root, items, item, [...path, index], out);
  } else if (isRecord(value)) {
    checkObject(root, schema, value, path, out);
  }
}

function checkObject(root: Schema, schema: Schema, value: Record<string, unknown>, path: Segment[], out: Violation[]): void {
  const { properties = {}, additionalProperties: rest } = schema;
  for (const key of schema.required ?? []) {
    if (!Object.hasOwn(value, key)) out.push({ path, kind: 'missing', reason: `needs the key '${key}'` });
  }
  for (const [key, child] of Object.entries(value)) {
    const below = [...path, key];
    const property = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (property !== undefined) check(root, property, child, below, out);
    else if (rest === false || isForbiddenKey(key))
      out.push({ path: below, kind: 'unknown-key', reason: 'is not a known key', known: Object.keys(properties) });
    else {
      const nameReason = schema.propertyNames === undefined ? undefined : scalarReason(schema.propertyNames, key);
      if (nameReason !== undefined) out.push({ path: below, kind: 'value', reason: `has a name that ${nameReason}` });
      if (typeof rest === 'object') check(root, rest, child, below, out);
    }
  }
}

/** Reports the option that the value most likely means: the one whose type fits. */
function checkAny(root: Schema, options: Schema[], value: unknown, path: Segment[], out: Violation[]): void {
  const expected: string[] = [];
  let closest: Violation[] | undefined;
  for (const option of options) {
    const found: Violation[] = [];
    check(root, option, value, path, found);
    if (found.length === 0) return;
    const wrongType = found.some((violation) => violation.kind === 'type' && violation.path.length === path.length);
    if (!wrongType) closest ??= found;
    const type = resolve(root, option).type;
    expected.push(NOUNS[String(type)] ?? String(type));
  }
  if (closest !== undefined) out.push(...closest);
  else out.push({ path, kind: 'type', reason: `must be ${list(expected)}, not ${describe(value)}` });
}

function scalarReason(schema: Schema, value: unknown): string | undefined {
  if (schema.enum !== undefined && !schema.enum.includes(value)) return `must be one of ${schema.enum.map((item) => JSON.stringify(item)).join(', ')}`;
  if (schema.const !== undefined && value !== schema.const) return `must be ${JSON.stringify(schema.const)}`;
  if (schema.not !== undefined && value === schema.not.const) return `must not be ${JSON.stringify(value)}`;
  if (typeof value === 'number') {
    if (schema.minimum !== undefined && value < schema.minimum) return `must be at least ${schema.minimum}`;
    if (schema.maximum !== undefined && value > schema.maximum) return `must be at most ${schema.maximum}`;
  }
  if (typeof value === 'string') {
    if (schema.minLength !== undefined && value.length < schema.minLength) return 'must not be empty';
    if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value)) return `does not have the form ${schema.pattern}`;
  }
  return undefined;
}

function resolve(root: Schema, node: Schema): Schema {
  if (node.$ref === undefined) return node;
  const target = root.$defs?.[node.$ref.slice('#/$defs/'.length)];
  if (target === undefined) throw new Error(`the schema refers to ${node.$ref}, which it does not define`);
  return target;
}

function hasType(type: string, value: unknown): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isRecord(value);
  if (type === 'null') return value === null;
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'number') return typeof value === 'number' && Number.isFinite(value);
  return typeof value === type;
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return typeof value === 'boolean' ? String(value) : (NOUNS[typeof value] ?? typeof value);
}

function list(items: string[]): string {
  const unique = [...new Set(items)];
  return unique.length < 2 ? (unique[0] ?? 'something else') : `${unique.slice(0, -1).join(', ')} or ${unique.at(-1)}`;
}
