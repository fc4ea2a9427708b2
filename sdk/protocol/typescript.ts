/** Prints TypeScript types from the subset of JSON Schema that the protocol's sources use. */

interface JsonSchema {
  title?: string;
  type?: string;
  const?: unknown;
  anyOf?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  patternProperties?: Record<string, JsonSchema>;
  required?: string[];
}

/** One exported type per entry, then one per titled part. A titled schema is printed once and referred to by its title. */
export function printTypes(schemas: Record<string, object>): string {
  const titled = new Map<string, JsonSchema>();
  const lines: string[] = [];
  for (const [name, schema] of Object.entries(schemas)) lines.push(`export type ${name} = ${print(schema as JsonSchema, titled, 0)};\n`);
  const done = new Set<string>();
  for (let pending = [...titled]; pending.length > 0; pending = [...titled].filter(([title]) => !done.has(title))) {
    for (const [title, schema] of pending) {
      if (done.has(title)) continue;
      done.add(title);
      lines.push(`export type ${title} = ${print({ ...schema, title: '' }, titled, 0)};\n`);
    }
  }
  return lines.join('\n');
}

function print(schema: JsonSchema, titled: Map<string, JsonSchema>, depth: number): string {
  if (schema.title) {
    if (!titled.has(schema.title)) titled.set(schema.title, schema);
    return schema.title;
  }
  if (schema.const !== undefined) return typeof schema.const === 'string' ? `'${schema.const}'` : String(schema.const);
  if (schema.anyOf !== undefined) return schema.anyOf.map((member) => print(member, titled, depth)).join(' | ');
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'integer':
    case 'number':
      return 'number';
    case 'array':
      return `Array<${print(schema.items ?? {}, titled, depth)}>`;
    case 'object':
      return printObject(schema, titled, depth);
    default:
      return 'unknown';
  }
}

function printObject(schema: JsonSchema, titled: Map<string, JsonSchema>, depth: number): string {
  const value = Object.values(schema.patternProperties ?? {})[0];
  if (value !== undefined) return `Record<string, ${print(value, titled, depth)}>`;
  const pad = '  '.repeat(depth + 1);
  const members = Object.entries(schema.properties ?? {}).map(
    ([key, member]) => `${pad}${key}${schema.required?.includes(key) ? '' : '?'}: ${print(member, titled, depth + 1)};`,
  );
  return members.length === 0 ? 'Record<string, unknown>' : `{\n${members.join('\n')}\n${'  '.repeat(depth)}}`;
}
