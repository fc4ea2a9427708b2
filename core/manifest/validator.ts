import { createRequire } from 'node:module';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { withChannelFields } from '../../sdk/channel-fields.ts';
import { errorText } from '../../sdk/index.ts';
import { secretPaths } from '../../sdk/manifest-fields.ts';
import type { CatalogEntry, Finding } from './catalog.ts';
import { finding } from './finding.ts';
import { isObject, type Json } from './json.ts';

export { secretPaths };

export type ConfigCheck = { config: Json } | { failed: Finding };

/** Checks a block of the configuration against its schema in a manifest and fills in the schema's defaults. Never throws. */
export interface ConfigValidator {
  /** `plugins.entries.<id>.config`; with `channel`, `channels.<channel>` by the schema in `channelConfigs`. */
  check(entry: CatalogEntry, value: unknown, channel?: string): ConfigCheck;
}

/** Keywords under which an empty object is always valid, so that extensions nobody configured need no compiler. */
const OPEN_KEYWORDS = new Set(['$schema', '$id', '$comment', 'title', 'description', 'type', 'properties', 'additionalProperties', 'definitions', '$defs']);

/** Makes a validator. ajv (60 ms to load) comes with the first configuration that needs it; a schema is compiled once per validator. */
export function createConfigValidator(): ConfigValidator {
  const compiled = new Map<string, ValidateFunction>();
  return {
    check(entry, value, channel) {
      const { schema, key, path } = blockOf(entry, channel);
      const isEmpty = value === undefined || (isObject(value) && Object.keys(value).length === 0);
      const defaults = isEmpty ? defaultsOnly(schema) : undefined;
      if (defaults !== undefined) return { config: defaults };
      const text = JSON.stringify(schema);
      let validate = compiled.get(text);
      try {
        validate ??= compile(schema, true);
      } catch (error) {
        const owner = { extension: entry.id, file: entry.manifestFile };
        return { failed: finding('error', 'DUR_MANIFEST_SCHEMA_INVALID', { id: entry.id, key, reason: errorText(error) }, owner) };
      }
      compiled.set(text, validate);
      const filled = structuredClone(value ?? {});
      // A reference stands where the schema expects the secret's text. Names like `token` make a secret of a channel, marked or not.
      const secrets = secretPaths(entry.manifest);
      const isSecret = (fault: ErrorObject) => isReference(fault.data) && (channel !== undefined || isBelow(fault.instancePath, secrets));
      const fault = validate(filled) ? undefined : validate.errors?.find((each) => !isSecret(each));
      if (fault === undefined && isObject(filled)) return { config: filled };
      const pointer = fault?.instancePath ?? '';
      const values = { id: entry.id, block: path.join('.'), pointer, reason: reasonOf(fault) };
      return { failed: finding('error', 'DUR_MANIFEST_CONFIG_INVALID', values, { extension: entry.id, pointer: `/${path.join('/')}${pointer}` }) };
    },
  };
}

/** The schema of a block, its key in the manifest, and the keys that lead to the block in the configuration. */
function blockOf({ id, manifest }: CatalogEntry, channel: string | undefined): { schema: Json; key: string; path: string[] } {
  if (channel === undefined) return { schema: manifest.configSchema, key: 'configSchema', path: ['plugins', 'entries', id, 'config'] };
  const schema = manifest.channelConfigs?.[channel]?.schema ?? {};
  return { schema: withChannelFields(schema), key: `channelConfigs.${channel}.schema`, path: ['channels', channel] };
}

/** Compiles a schema into a check that lists what is wrong; undefined: nothing is. Throws when it is no JSON Schema. */
export function compileIssues(schema: Json): (value: unknown) => ErrorObject[] | undefined {
  const validate = compile(schema, false);
  return (value) => (validate(value) ? undefined : (validate.errors ?? []));
}

/** Compiles a schema into a check that says what is wrong, or nothing. Throws when it is no JSON Schema. */
export function compileCheck(schema: Json): (value: unknown) => string | undefined {
  const validate = compile(schema, false);
  return (value) => (validate(value) ? undefined : `${validate.errors?.[0]?.instancePath ?? ''} ${reasonOf(validate.errors?.[0])}`.trim());
}

/** The defaults of an empty configuration; undefined: the schema says more than can be seen at a glance. */
function defaultsOnly(schema: Json): Json | undefined {
  if (schema.type !== 'object' || Object.keys(schema).some((key) => !OPEN_KEYWORDS.has(key))) return undefined;
  const filled: Json = {};
  for (const [name, property] of Object.entries(isObject(schema.properties) ? schema.properties : {})) {
    if (!isObject(property) || property.default === undefined) continue;
    if (typeof property.default !== (property.type === 'integer' ? 'number' : property.type) || property.type === 'object') return undefined;
    filled[name] = property.default;
  }
  return filled;
}

function compile(schema: Json, useDefaults: boolean): ValidateFunction {
  const dialect = typeof schema.$schema === 'string' ? /20(19-09|20-12)/.exec(schema.$schema)?.[1] : undefined;
  const file = dialect === undefined ? 'ajv' : dialect === '19-09' ? 'ajv/dist/2019.js' : 'ajv/dist/2020.js';
  const { default: Ajv } = createRequire(import.meta.url)(file) as { default: typeof import('ajv').Ajv };
  return new Ajv({ useDefaults, allErrors: true, verbose: true, strict: false, validateFormats: false, logger: false }).compile(schema);
}

function isReference(value: unknown): boolean {
  return isObject(value) && typeof value.source === 'string' && typeof value.id === 'string';
}

function isBelow(pointer: string, paths: readonly string[][]): boolean {
  const names = pointer.split('/').slice(1);
  return paths.some((path) => path.length === names.length && path.every((name, place) => name === '*' || name === names[place]));
}

function reasonOf(fault: ErrorObject | undefined): string {
  if (fault?.keyword === 'additionalProperties') return `has the unknown key '${String(fault.params.additionalProperty)}'`;
  const allowed = Array.isArray(fault?.params.allowedValues) ? `: ${fault.params.allowedValues.map(String).join(', ')}` : '';
  return `${fault?.message ?? 'must be object'}${allowed}`;
}
