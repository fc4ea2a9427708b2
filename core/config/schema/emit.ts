import type { ActiveRule } from '../active-rule.ts';

/** From the TypeBox source to what is committed under `generated/`. Runs at generation time only. */

type Json = Record<string, unknown>;

/** Whether there is one of a field, or many by key or by place. */
type Shape = 'value' | 'map' | 'list';

/** What the run time needs to know of the schema without reading it. Paths use dots; `*` stands for any key or index. */
export interface Facts {
  /** The effective configuration of an empty file. */
  defaults: Json;
  /** Fields that hold secrets. */
  secrets: Array<{ path: string; shape: Shape; takesRef: boolean; rules?: ActiveRule[]; announce?: string }>;
  /** Rules that count for every secret below an object. */
  scopes: Array<{ path: string; rules: ActiveRule[] }>;
  /** Objects whose keys this schema does not know. */
  open: string[];
  /** Paths that a change of does not apply live. */
  reload: Record<string, 'restart' | 'none'>;
}

/** Keywords that only `facts.json` carries. */
const PRIVATE = ['x-active', 'x-announce'];

/** Plain JSON Schema: a property with a default is not required, and each named shape stands once under `$defs`. */
export function jsonSchema(source: object): Json {
  const defs: Json = {};
  const root = plain(source, defs) as Json;
  return { $schema: 'http://json-schema.org/draft-07/schema#', ...root, $defs: defs };
}

export function facts(schema: Json): Facts {
  const found: Facts = { defaults: {}, secrets: [], scopes: [], open: [], reload: {} };
  found.defaults = defaultOf(schema) as Json;
  visit(schema, schema, '', 'value', found);
  found.secrets.sort((a, b) => (a.path < b.path ? -1 : 1));
  found.open.sort();
  return found;
}

function plain(node: unknown, defs: Json): unknown {
  if (Array.isArray(node)) return node.map((item) => plain(item, defs));
  if (typeof node !== 'object' || node === null) return node;
  const { $id: id, ...rest } = node as Json & { $id?: string };
  if (id !== undefined) {
    defs[id] ??= plain(rest, defs);
    return { $ref: `#/$defs/${id}` };
  }
  const copy: Json = {};
  for (const [key, value] of Object.entries(rest)) copy[key] = key === 'default' || key === 'enum' || key === 'examples' ? value : plain(value, defs);
  if (Array.isArray(copy.required)) {
    const properties = rest.properties as Record<string, Json>;
    const required = (copy.required as string[]).filter((key) => properties[key]?.default === undefined);
    if (required.length === 0) delete copy.required;
    else copy.required = required;
  }
  return copy;
}

/** The default of a schema, with the defaults of its properties filled in. */
function defaultOf(schema: Json): unknown {
  const own = schema.default ?? (schema.properties === undefined ? undefined : {});
  if (typeof own !== 'object' || own === null || Array.isArray(own)) return own;
  const value: Json = { ...(own as Json) };
  for (const [key, property] of Object.entries((schema.properties ?? {}) as Record<string, Json>)) {
    if (value[key] === undefined && property.default !== undefined) value[key] = defaultOf(property);
  }
  return value;
}

function visit(root: Json, node: Json, path: string, shape: Shape, found: Facts): void {
  const schema = typeof node.$ref === 'string' ? (root.$defs as Record<string, Json>)[node.$ref.slice('#/$defs/'.length)] : node;
  if (schema === undefined) throw new Error(`no definition for ${String(node.$ref)}`);
  const below = (key: string) => (path === '' ? key : `${path}.${key}`);
  if (schema['x-reload'] === 'restart' || schema['x-reload'] === 'none') found.reload[path] = schema['x-reload'];
  const rules = schema['x-active'] as ActiveRule[] | undefined;
  if (schema.sensitive === true) {
    const announce = schema['x-announce'] as string | undefined;
    found.secrets.push({ path, shape, takesRef: takesRef(schema), ...(rules === undefined ? {} : { rules }), ...(announce === undefined ? {} : { announce }) });
    return;
  }
  if (rules !== undefined) found.scopes.push({ path, rules });
  for (const [key, property] of Object.entries((schema.properties ?? {}) as Record<string, Json>)) visit(root, property, below(key), shape, found);
  if (typeof schema.additionalProperties === 'object') visit(root, schema.additionalProperties as Json, below('*'), shape === 'list' ? 'list' : 'map', found);
  else if ([schema.type].flat().includes('object') && schema.additionalProperties === undefined) found.open.push(path);
  if (schema.type === 'array') visit(root, schema.items as Json, below('*'), 'list', found);
  for (const option of (schema.anyOf ?? []) as Json[]) visit(root, option, path, shape, found);
}

/** A reference is an object. */
function takesRef({ type, anyOf = [] }: Json): boolean {
  return [type].flat().includes('object') || (anyOf as Json[]).some((option) => option.$ref === '#/$defs/secretRef');
}

/** The schema as the run time and editors get it. */
export function withoutPrivate(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withoutPrivate);
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(Object.entries(node).flatMap(([key, value]) => (PRIVATE.includes(key) ? [] : [[key, withoutPrivate(value)]])));
}
