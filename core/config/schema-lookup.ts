import { isRecord } from './config-path.ts';
import type { Hint, Node, SchemaView } from './schema-view.ts';

export interface SchemaChild {
  key: string;
  path: string;
  type?: string | string[];
  required: boolean;
  hasChildren: boolean;
  hint?: Hint;
  hintPath?: string;
}

/** One place of the schema with what is directly below it. */
export interface SchemaPlace {
  /** With dots; the items of a list are `*`. */
  path: string;
  schema: Node;
  hint?: Hint;
  hintPath?: string;
  children: SchemaChild[];
}

/** What a place keeps of its schema: everything that says something about the value itself. */
const SHALLOW = [
  ...['title', 'description', 'type', 'enum', 'const', 'format', 'pattern', 'default', 'deprecated', 'readOnly', 'writeOnly', 'multipleOf'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'minLength', 'maxLength'],
  ...['minItems', 'maxItems', 'uniqueItems', 'minProperties', 'maxProperties'],
];

interface Step {
  node: Node;
  /** As it is answered, and with `*` for every key that the schema does not name. */
  path: string[];
  pattern: string[];
}

/** The place at a path such as `gateway.auth`, `agents.list[]`, `agents.list[0].id` or `gateway["auth"]`; undefined: there is none. */
export function lookupSchema(view: SchemaView, path: string): SchemaPlace | undefined {
  let at: Step = { node: view.schema, path: [], pattern: [] };
  for (const segment of segmentsOf(path)) {
    const next = descend(at, segment);
    if (next === undefined) return undefined;
    at = next;
  }
  if (at.path.length === 0) return undefined;
  return {
    path: at.path.join('.'),
    schema: shallow(at.node),
    ...hintAt(view, at),
    children: childrenOf(at).map(({ step, key, required }) => ({
      key,
      path: step.path.join('.'),
      ...(step.node.type === undefined ? {} : { type: step.node.type as string | string[] }),
      required,
      hasChildren: childrenOf(step).length > 0,
      ...hintAt(view, step),
    })),
  };
}

function segmentsOf(path: string): string[] {
  return Array.from(path.matchAll(/\[\s*(?:"([^"]*)"|'([^']*)'|([^\]]*))\s*\]|[^.[\]/]+/g), ([whole, double, single, bare]) => {
    const inner = double ?? single ?? bare;
    return inner === undefined ? whole : inner === '' ? '*' : inner;
  });
}

function descend(at: Step, segment: string): Step | undefined {
  for (const node of optionsOf(at.node)) {
    const { properties, additionalProperties, items } = node;
    if (isRecord(properties) && Object.hasOwn(properties, segment)) return stepTo(at, properties[segment] as Node, segment, segment);
    if (isRecord(items) && /^(?:\*|\d+)$/.test(segment)) return stepTo(at, items, '*', '*');
    if (isRecord(additionalProperties)) return stepTo(at, additionalProperties, segment, '*');
  }
  return undefined;
}

function childrenOf(at: Step): Array<{ step: Step; key: string; required: boolean }> {
  const found = new Map<string, { step: Step; key: string; required: boolean }>();
  const add = (key: string, node: Node, required: boolean) => {
    if (!found.has(key)) found.set(key, { step: stepTo(at, node, key, key), key, required });
  };
  for (const node of optionsOf(at.node)) {
    const required = Array.isArray(node.required) ? node.required : [];
    if (isRecord(node.properties)) for (const [key, member] of Object.entries(node.properties)) add(key, member as Node, required.includes(key));
    if (isRecord(node.items)) add('*', node.items, false);
    if (isRecord(node.additionalProperties)) add('*', node.additionalProperties, false);
  }
  return [...found.values()];
}

/** A node and all its branches. */
function optionsOf(node: Node): Node[] {
  const branches = [node.anyOf, node.oneOf, node.allOf].flatMap((list) => (Array.isArray(list) ? (list as Node[]) : []));
  return [node, ...branches.flatMap(optionsOf)];
}

function stepTo({ path, pattern }: Step, node: Node, key: string, wild: string): Step {
  return { node, path: [...path, key], pattern: [...pattern, wild] };
}

function hintAt({ hints }: SchemaView, { path, pattern }: Step): { hint?: Hint; hintPath?: string } {
  for (const hintPath of [path.join('.'), pattern.join('.')]) {
    const hint = Object.hasOwn(hints, hintPath) ? hints[hintPath] : undefined;
    if (hint !== undefined) return { hint, hintPath };
  }
  return {};
}

function shallow(node: Node): Node {
  const kept = Object.fromEntries(SHALLOW.flatMap((key) => (node[key] === undefined ? [] : [[key, node[key]]])));
  return typeof node.additionalProperties === 'boolean' ? { ...kept, additionalProperties: node.additionalProperties } : kept;
}
