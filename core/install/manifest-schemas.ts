import { durarError, errorText } from '../../sdk/errors.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';
import { compileCheck } from '../manifest/validator.ts';
import { isActiveRule } from '../secrets/activate.ts';

type Schema = Record<string, unknown>;

/**
 * Compiles every schema that a manifest holds and looks at its rules of when a secret is in use, which the host reads as late as a configuration
 * needs them. Throws `DUR_MANIFEST_SCHEMA_INVALID` with the key.
 */
export function checkManifestSchemas({ id, manifest, manifestFile }: CatalogEntry): void {
  for (const [key, schema] of schemasOf(manifest)) {
    const refuse = (reason: string, cause?: unknown) =>
      durarError('DUR_MANIFEST_SCHEMA_INVALID', { id, key, reason }, { owner: { extension: id, file: manifestFile }, cause });
    try {
      compileCheck(schema);
    } catch (error) {
      throw refuse(errorText(error), error);
    }
    const place = brokenRules(schema, []);
    if (place !== undefined) throw refuse(`x-active of ${place || 'the whole'} has to be a list of rules with when, active and because`);
  }
}

function schemasOf({ configSchema, channelConfigs = {}, secretSourceConfigs = {} }: CatalogEntry['manifest']): Array<[key: string, schema: Schema]> {
  return [
    ['configSchema', configSchema as Schema],
    ...Object.entries(channelConfigs).map(([channel, { schema }]): [string, Schema] => [`channelConfigs.${channel}.schema`, schema]),
    ...Object.entries(secretSourceConfigs).map(([source, { schema }]): [string, Schema] => [`secretSourceConfigs.${source}.schema`, schema]),
  ];
}

/** The first place whose rules cannot be read. */
function brokenRules(schema: unknown, path: readonly string[]): string | undefined {
  if (!isObject(schema)) return undefined;
  const rules = schema['x-active'];
  if (rules !== undefined && !(Array.isArray(rules) && rules.every(isActiveRule))) return path.join('.');
  const inner: Array<[string, unknown]> = [
    ...(isObject(schema.properties) ? Object.entries(schema.properties) : []),
    ['*', schema.additionalProperties],
    ['*', schema.items],
  ];
  return inner.map(([name, each]) => brokenRules(each, [...path, name])).find((place) => place !== undefined);
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
