/**
 * The configuration schema as user interfaces get it: references expanded, the schemas of extensions in their places, a title on every field,
 * and the same texts as hints by path. Nothing on the way of a start or a turn uses it.
 */
import { isRecord } from './config-path.ts';
import schema from './generated/schema.json' with { type: 'json' };

export type Node = Record<string, unknown>;

export interface Hint {
  label?: string;
  help?: string;
  tags?: string[];
  advanced?: boolean;
  sensitive?: boolean;
  placeholder?: string;
}

/** What an extension says about a block of its own. */
export interface Block {
  id: string;
  schema: Node;
  label?: string | undefined;
  description?: string | undefined;
  /** By path below the block. */
  hints?: Readonly<Record<string, Hint>> | undefined;
}

export interface SchemaView {
  schema: Node;
  /** By path; `*` stands for any key or index. */
  hints: Record<string, Hint>;
}

/** References in references are followed this far; a schema that contains itself ends there. */
const MAX_DEPTH = 24;
const BRANCHES = ['anyOf', 'oneOf', 'allOf'] as const;
const STRUCTURE = new Set<string>(['$ref', '$defs', 'definitions', 'properties', 'items', 'additionalProperties', 'x-reload', ...BRANCHES]);

/** What extensions put into the schema. */
export interface Blocks {
  /** Under `plugins.entries.<id>.config`. */
  plugins: readonly Block[];
  /** Under `channels.<id>`. */
  channels: readonly Block[];
  /** Under `secrets.providers.<alias>`, by the source that the block names. */
  sources?: readonly Block[];
}

export function viewSchema(blocks: Blocks): SchemaView {
  const hints: Record<string, Hint> = {};
  const root = expand(schema as Node, { root: schema as Node, path: [], hints, depth: 0 });
  const place = (block: Block, path: string[]) => {
    const expanded = expand(block.schema, { root: block.schema, path, hints, depth: 0, title: block.label, description: block.description });
    for (const [below, hint] of Object.entries(block.hints ?? {})) {
      const key = [...path, below].join('.');
      hints[key] = { ...hints[key], ...hint };
    }
    return expanded;
  };
  const entries = child(child(root, 'plugins'), 'entries');
  for (const block of blocks.plugins) {
    const path = ['plugins', 'entries', block.id];
    const entry = expand({ $ref: '#/$defs/pluginEntry' }, { root: schema as Node, path, hints, depth: 0, title: block.label, description: block.description });
    setChild(entry, 'config', place({ ...block, label: undefined, description: undefined }, [...path, 'config']));
    if (entries !== undefined) setChild(entries, block.id, entry);
  }
  const channels = child(root, 'channels');
  for (const block of blocks.channels) if (channels !== undefined) setChild(channels, block.id, place(block, ['channels', block.id]));
  const providers = child(child(root, 'secrets'), 'providers');
  const anyBlock = providers?.additionalProperties;
  if (providers !== undefined && isRecord(anyBlock) && blocks.sources !== undefined) {
    const own = isRecord(anyBlock.properties) ? anyBlock.properties : {};
    const known = blocks.sources.map((block) => {
      const made = place(block, ['secrets', 'providers', '*']);
      const properties = { ...own, ...(isRecord(made.properties) ? made.properties : {}), source: { ...(own.source as Node), const: block.id } };
      return { ...made, properties, required: ['source', ...(Array.isArray(made.required) ? made.required : [])] };
    });
    // a source that says nothing of its blocks takes any
    const named = { ...own, source: { ...(own.source as Node), not: { enum: blocks.sources.map(({ id }) => id) } } };
    providers.additionalProperties = { ...anyBlock, anyOf: [...known, { ...anyBlock, properties: named }] };
  }
  return { schema: root, hints };
}

interface Place {
  /** What `$ref` points into. */
  root: Node;
  path: string[];
  hints: Record<string, Hint>;
  depth: number;
  title?: string | undefined;
  description?: string | undefined;
}

function expand(node: Node, place: Place): Node {
  const { hints, path } = place;
  const target = typeof node.$ref === 'string' ? resolve(place.root, node.$ref) : undefined;
  const source: Node = target === undefined ? node : { ...target, ...withoutRef(node) };
  const own = Object.fromEntries(Object.entries(source).filter(([key]) => !STRUCTURE.has(key)));
  const title = place.title ?? (typeof own.title === 'string' ? own.title : titleOf(path));
  const description = place.description ?? (typeof own.description === 'string' ? own.description : undefined);
  const copy: Node = { ...own, ...(title === undefined ? {} : { title }), ...(description === undefined ? {} : { description }) };
  if (path.length > 0) hints[path.join('.')] ??= hintOf(copy, path);
  if (place.depth >= MAX_DEPTH) return copy;
  const below = (key: string): Place => ({ root: place.root, path: [...path, key], hints, depth: place.depth + 1 });
  if (isRecord(source.properties)) {
    copy.properties = Object.fromEntries(Object.entries(source.properties).map(([key, member]) => [key, expand(member as Node, below(key))]));
  }
  if (isRecord(source.items)) copy.items = expand(source.items, below('*'));
  const rest = source.additionalProperties;
  if (rest !== undefined) copy.additionalProperties = isRecord(rest) ? expand(rest, below('*')) : rest;
  for (const keyword of BRANCHES) {
    const options = source[keyword];
    // A branch is the same field, so it has the field's texts.
    const branch = { ...place, depth: place.depth + 1, title, description };
    if (Array.isArray(options)) copy[keyword] = options.map((option) => expand(option as Node, branch));
  }
  return copy;
}

function hintOf({ title, description, sensitive, examples }: Node, path: readonly string[]): Hint {
  const isSecret = sensitive === true;
  const [example] = Array.isArray(examples) ? examples : [];
  return {
    ...(typeof title === 'string' ? { label: title } : {}),
    ...(typeof description === 'string' ? { help: description } : {}),
    tags: [...(isSecret ? ['security'] : []), path[0] ?? ''],
    ...(isSecret ? { sensitive: true } : {}),
    ...(typeof example === 'string' ? { placeholder: example } : {}),
  };
}

/** `allowRealIpFallback` -> `Allow real ip fallback`. */
function titleOf(path: readonly string[]): string | undefined {
  const key = path.findLast((segment) => segment !== '*');
  if (key === undefined) return undefined;
  const words = key.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/[_-]+/g, ' ');
  return words.charAt(0).toUpperCase() + words.slice(1).toLowerCase();
}

function resolve(root: Node, ref: string): Node | undefined {
  let found: unknown = root;
  for (const part of ref.split('/').slice(1)) found = isRecord(found) && Object.hasOwn(found, part) ? found[part] : undefined;
  return isRecord(found) ? found : undefined;
}

function withoutRef({ $ref: _ref, ...rest }: Node): Node {
  return rest;
}

function child(node: Node | undefined, key: string): Node | undefined {
  const found = isRecord(node?.properties) ? node.properties[key] : undefined;
  return isRecord(found) ? found : undefined;
}

function setChild(node: Node, key: string, value: Node): void {
  node.properties = { ...(isRecord(node.properties) ? node.properties : {}), [key]: value };
}
