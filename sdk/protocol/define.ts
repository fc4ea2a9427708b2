import { type TProperties, type TSchema, Type } from '@sinclair/typebox';

/** One method as its family's table describes it. Only the generator imports these tables; what runs is `generated/methods.ts`. */
export interface MethodSource {
  /** The operator scope it needs; `null`: every connected client may call it. */
  scope: string | null;
  /** Needs an `idempotencyKey`. */
  sideEffecting?: true;
  /** Callable, but left out of `hello-ok.features.methods`. */
  unlisted?: true;
  params: TSchema;
  result: TSchema;
}

/** One event: who gets it (`null`: every socket) and whether a slow socket may miss it. */
export interface EventSource {
  scope: string | null;
  droppable: boolean;
  payload: TSchema;
}

/** Types a family's table. Returns what it gets. */
export function defineMethods<Table extends Record<string, MethodSource>>(table: Table): Table {
  return table;
}

/** An object that refuses unknown keys. */
export function closed<Properties extends TProperties>(properties: Properties, title?: string) {
  return Type.Object(properties, { additionalProperties: false, ...(title === undefined ? {} : { title }) });
}

/** An object that may carry more than its listed keys. */
export function open<Properties extends TProperties>(properties: Properties, title?: string) {
  return Type.Object(properties, title === undefined ? {} : { title });
}

/** A string of at least one character. */
export function text() {
  return Type.String({ minLength: 1 });
}

export function optional<Schema extends TSchema>(schema: Schema) {
  return Type.Optional(schema);
}

export function nullable<Schema extends TSchema>(schema: Schema) {
  return Type.Union([schema, Type.Null()]);
}
