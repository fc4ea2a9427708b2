import type { DurarError, PluginManifest } from '../../sdk/index.ts';
import { checkSchema, type Schema, type Violation } from '../config/check-schema.ts';
import { isRecord, type Segment } from '../config/config-path.ts';
import { violationError } from '../config/validate.ts';
import type { Plan } from '../manifest/catalog.ts';
import { compileIssues } from '../manifest/validator.ts';

/** Keys of every block, which the host reads; a schema need not name them. */
const HOST_KEYS: Record<string, Schema> = { source: { type: 'string' }, timeoutMs: { type: 'integer', minimum: 0 } };
/** Keywords that the configuration's own checker knows, or that say nothing about a value. Any other needs the compiler. */
const PLAIN = new Set(
  'type properties required additionalProperties items enum const minimum maximum minLength pattern $schema title description default examples sensitive'.split(
    ' ',
  ),
);

/**
 * What is wrong with the blocks of `secrets.providers`, by the schemas that the manifests of their sources hold. A block whose source has no
 * schema, or that nothing installed serves, may hold anything; the activation of its references tells the rest.
 */
export function checkProviderBlocks(config: { secrets?: { providers?: Readonly<Record<string, unknown>> } }, plan: Plan, file?: string): DurarError[] {
  return Object.entries(config.secrets?.providers ?? {}).flatMap(([alias, block]) => {
    if (!isRecord(block) || typeof block.source !== 'string') return [];
    const schema = schemaOf(block.source, plan);
    if (schema === undefined) return [];
    const path = ['secrets', 'providers', alias];
    return violations(schema, block).map((violation) =>
      violationError({ ...violation, path: [...path, ...violation.path] }, file === undefined ? {} : { file }),
    );
  });
}

function schemaOf(source: string, plan: Plan): Schema | undefined {
  const owner = plan.owners.get(`secretsProvider:${source}`)?.[0];
  const manifest: PluginManifest | undefined = owner === undefined ? undefined : plan.extensions.get(owner)?.entry.manifest;
  const declared = manifest?.secretSourceConfigs ?? {};
  if (!Object.hasOwn(declared, source)) return undefined;
  const schema = declared[source]?.schema as Schema;
  return { ...schema, properties: { ...HOST_KEYS, ...schema.properties } };
}

/** ajv (60 ms to load) comes only with a schema that says more than the plain checker understands. */
function violations(schema: Schema, block: Record<string, unknown>): Violation[] {
  if (isPlain(schema)) return checkSchema(schema, block);
  try {
    return (compileIssues(schema as Record<string, unknown>)(block) ?? []).map(({ instancePath, keyword, params, message = 'is not valid' }): Violation => {
      const path: Segment[] = instancePath
        .split('/')
        .slice(1)
        .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
      if (keyword !== 'additionalProperties') return { path, kind: 'value', reason: message };
      return { path: [...path, String(params.additionalProperty)], kind: 'unknown-key', reason: message, known: Object.keys(schema.properties ?? {}) };
    });
  } catch (error) {
    return [
      {
        path: [],
        kind: 'value',
        reason: `cannot be checked: the schema in the manifest is no JSON Schema (${error instanceof Error ? error.message : String(error)})`,
      },
    ];
  }
}

function isPlain(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return typeof schema === 'boolean';
  const { properties = {}, items, additionalProperties } = schema as Schema;
  return (
    Object.keys(schema).every((key) => PLAIN.has(key)) &&
    [...Object.values(properties), ...(items === undefined ? [] : [items])].every((inner) => typeof inner === 'object' && isPlain(inner)) &&
    isPlain(additionalProperties ?? true)
  );
}
