/** The published JSON Schema of the protocol. Named parts stand once under `$defs`; everything else refers to them. */
import type { EventSource, MethodSource } from './define.ts';

/** The subset of JSON Schema that the protocol's sources use. */
export interface JsonSchema {
  $ref?: string;
  title?: string;
  description?: string;
  type?: string;
  const?: unknown;
  anyOf?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  patternProperties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  required?: string[];
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
}

export interface ProtocolDocument {
  $schema: string;
  title: string;
  version: number;
  $defs: Record<string, JsonSchema>;
  frames: Record<string, JsonSchema>;
  methods: Record<string, Omit<MethodSource, 'params' | 'result'> & { params: JsonSchema; result: JsonSchema }>;
  events: Record<string, Omit<EventSource, 'payload'> & { payload: JsonSchema }>;
}

export function protocolDocument(sources: {
  version: number;
  frames: Record<string, object>;
  methods: Record<string, MethodSource>;
  events: Record<string, EventSource>;
}): ProtocolDocument {
  const defs: Record<string, JsonSchema> = {};
  const each = <In, Out>(table: Record<string, In>, turn: (value: In) => Out): Record<string, Out> =>
    Object.fromEntries(Object.entries(table).map(([name, value]) => [name, turn(value)]));
  const frames = each(sources.frames, (schema) => hoist(schema, defs));
  const methods = each(sources.methods, ({ params, result, ...row }) => ({ ...row, params: hoist(params, defs), result: hoist(result, defs) }));
  const events = each(sources.events, ({ payload, ...row }) => ({ ...row, payload: hoist(payload, defs) }));
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Durar gateway protocol',
    version: sources.version,
    $defs: Object.fromEntries(Object.entries(defs).sort(([a], [b]) => (a < b ? -1 : 1))),
    frames,
    methods,
    events,
  };
}

/** A copy whose titled parts are references; each of them is added to `defs`. Throws when one title names two shapes. */
function hoist(source: object, defs: Record<string, JsonSchema>): JsonSchema {
  // a plain copy: the sources carry symbols that are no part of the schema
  const { title, ...schema } = JSON.parse(JSON.stringify(source)) as JsonSchema;
  const inside = (part: JsonSchema) => hoist(part, defs);
  const insideAll = (parts: Record<string, JsonSchema>) => Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, inside(part)]));
  const result: JsonSchema = {
    ...schema,
    ...(schema.anyOf === undefined ? {} : { anyOf: schema.anyOf.map(inside) }),
    ...(schema.items === undefined ? {} : { items: inside(schema.items) }),
    ...(schema.properties === undefined ? {} : { properties: insideAll(schema.properties) }),
    ...(schema.patternProperties === undefined ? {} : { patternProperties: insideAll(schema.patternProperties) }),
    ...(typeof schema.additionalProperties === 'object' ? { additionalProperties: inside(schema.additionalProperties) } : {}),
  };
  if (title === undefined) return result;
  const present = defs[title];
  if (present !== undefined && JSON.stringify(present) !== JSON.stringify(result)) throw new Error(`two shapes are called ${title}`);
  defs[title] = result;
  return { $ref: `#/$defs/${title}` };
}
