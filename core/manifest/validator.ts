import { createRequire } from 'node:module';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { errorText, type PluginManifest } from '../../sdk/index.ts';
import type { CatalogEntry, Finding } from './catalog.ts';
import { finding } from './finding.ts';

type Json = Record<string, unknown>;
export type ConfigCheck = { config: Json } | { failed: Finding };

/** Checks `plugins.entries.<id>.config` against its manifest's schema and fills in the schema's defaults. Never throws. */
export interface ConfigValidator {
  check(entry: CatalogEntry, config: unknown): ConfigCheck;
}

/** Keywords under which an empty object is always valid, so that extensions nobody configured need no compiler. */
const OPEN_KEYWORDS = new Set(['$schema', '$id', '$comment', 'title', 'description', 'type', 'properties', 'additionalProperties', 'definitions', '$defs']);
const PLACEHOLDER = 'secret';

/** Makes a validator. ajv (60 ms to load) comes with the first configuration that needs it; a schema is compiled once per validator. */
export function createConfigValidator(): ConfigValidator {
  const compiled = new Map<string, ValidateFunction>();
  const compile = (schema: Json): ValidateFunction => {
    const digest = JSON.stringify(schema);
    const present = compiled.get(digest);
    if (present !== undefined) return present;
    const validate = compileSchema(schema);
    compiled.set(digest, validate);
    return validate;
  };
  return {
    check(entry, config) {
      const { configSchema } = entry.manifest;
      const empty = config === undefined || (isObject(config) && Object.keys(config).length === 0);
      const quick = empty ? defaultsOnly(configSchema) : undefined;
      if (quick !== undefined) return { config: quick };
      const owner = { extension: entry.id, file: entry.manifestFile };
      let validate: ValidateFunction;
      try {
        validate = compile(configSchema);
      } catch (error) {
        return { failed: finding('error', 'DUR_MANIFEST_SCHEMA_INVALID', { id: entry.id, reason: errorText(error) }, owner) };
      }
      const filled = structuredClone(config ?? {}) as Json;
      const restore = hideSecrets(filled, secretPaths(entry.manifest));
      if (validate(filled)) {
        restore();
        return { config: filled };
      }
      const fault = validate.errors?.[0];
      const values = { id: entry.id, pointer: fault?.instancePath ?? '', reason: reasonOf(fault) };
      return {
        failed: finding('error', 'DUR_MANIFEST_CONFIG_INVALID', values, {
          extension: entry.id,
          pointer: `/plugins/entries/${entry.id}/config${values.pointer}`,
        }),
      };
    },
  };
}

/** Compiles any JSON Schema into a check that says what is wrong first, or nothing. Loads ajv; throws on a schema that it cannot read. */
export function compileCheck(schema: Json): (value: unknown) => string | undefined {
  const validate = compileSchema(schema);
  return (value) => {
    if (validate(value)) return undefined;
    const fault = validate.errors?.[0];
    return `${fault?.instancePath ? `'${fault.instancePath}' ` : ''}${reasonOf(fault)}`;
  };
}

/** The fields that hold secrets, as paths of property names (`*` is any): `uiHints.<path>.sensitive` and the schema keyword `sensitive`. */
export function secretPaths(manifest: PluginManifest): string[][] {
  const hinted = Object.entries(manifest.uiHints ?? {}).flatMap(([path, hint]) => (hint.sensitive === true ? [path.split('.')] : []));
  return [...hinted, ...markedPaths(manifest.configSchema, [])];
}

function markedPaths(schema: unknown, path: string[]): string[][] {
  if (!isObject(schema)) return [];
  if (schema.sensitive === true) return [path];
  const named = isObject(schema.properties) ? Object.entries(schema.properties).flatMap(([name, inner]) => markedPaths(inner, [...path, name])) : [];
  return [...named, ...markedPaths(schema.additionalProperties, [...path, '*']), ...markedPaths(schema.items, [...path, '*'])];
}

/** References stand where the schema expects the secret's text; they are taken out for the check. Returns what puts them back. */
function hideSecrets(config: Json, paths: readonly string[][]): () => void {
  const hidden: Array<() => void> = [];
  const visit = (value: unknown, path: readonly string[]): void => {
    const [name, ...rest] = path;
    if (typeof value !== 'object' || value === null || name === undefined) return;
    const holder = value as Json;
    for (const key of name === '*' ? Object.keys(holder) : [name]) {
      const inner = Object.hasOwn(holder, key) ? holder[key] : undefined;
      if (rest.length > 0) visit(inner, rest);
      else if (isReference(inner)) {
        holder[key] = PLACEHOLDER;
        hidden.push(() => {
          holder[key] = inner;
        });
      }
    }
  };
  for (const path of paths) visit(config, path);
  return () => {
    for (const restore of hidden) restore();
  };
}

function isReference(value: unknown): boolean {
  return isObject(value) && typeof value.source === 'string' && typeof value.id === 'string';
}

/** The defaults of an empty configuration; undefined: the schema says more than can be seen at a glance. */
function defaultsOnly(schema: Json): Json | undefined {
  if (schema.type !== 'object' || Object.keys(schema).some((key) => !OPEN_KEYWORDS.has(key))) return undefined;
  const filled: Json = {};
  for (const [name, property] of Object.entries(isObject(schema.properties) ? schema.properties : {})) {
    if (!isObject(property) || property.default === undefined) continue;
    if (typeof property.default !== property.type || property.type === 'object') return undefined;
    filled[name] = property.default;
  }
  return filled;
}

function compileSchema(schema: Json): ValidateFunction {
  const require = createRequire(import.meta.url);
  const dialect = typeof schema.$schema === 'string' ? /20(19-09|20-12)/.exec(schema.$schema)?.[0] : undefined;
  const file = dialect === undefined ? 'ajv' : dialect === '2019-09' ? 'ajv/dist/2019.js' : 'ajv/dist/2020.js';
  const { default: Ajv } = require(file) as { default: typeof import('ajv').Ajv };
  return new Ajv({ useDefaults: true, strict: false, allowUnionTypes: true, validateFormats: false, logger: false }).compile(schema);
}

function reasonOf(fault: ErrorObject | undefined): string {
  if (fault?.keyword === 'additionalProperties') return `has the unknown key '${String(fault.params.additionalProperty)}'`;
  const allowed = Array.isArray(fault?.params.allowedValues) ? `: ${fault.params.allowedValues.map(String).join(', ')}` : '';
  return `${fault?.message ?? 'is invalid'}${allowed}`;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
