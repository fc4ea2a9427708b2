import { CONTRIBUTION_ROWS, type ContributionKind, HOOKS_MANIFEST_KEY, type PluginKind, SLOTS } from './contributions.ts';
import type { PluginManifest } from './manifest.ts';

/** The slots that an extension offers itself for. */
export function manifestKinds(manifest: PluginManifest): PluginKind[] {
  return manifest.kind === undefined ? [] : [manifest.kind].flat();
}

/** What a manifest lists, by kind of contribution. An engine or store that it does not name has the id of its extension. */
export function declaredContributions(manifest: PluginManifest): Partial<Record<ContributionKind, string[]>> {
  const declares: Partial<Record<ContributionKind, string[]>> = {};
  for (const [kind, row] of Object.entries(CONTRIBUTION_ROWS) as Array<[ContributionKind, (typeof CONTRIBUTION_ROWS)[ContributionKind]]>) {
    let keys = textsAt(manifest, row.manifestKey);
    if (row.form === 'single') keys = keys.filter((key) => key === row.method);
    if (kind === 'provider') keys = [...new Set([...keys, ...Object.keys(manifest.providerCatalog ?? {})])];
    if (row.form === 'factory' && row.slot !== undefined && keys.length === 0 && manifestKinds(manifest).includes(SLOTS[row.slot].kind)) keys = [manifest.id];
    if (keys.length > 0) declares[kind] = keys;
  }
  return declares;
}

/** The hooks that it says it taps. */
export function declaredHooks(manifest: PluginManifest): string[] {
  return textsAt(manifest, HOOKS_MANIFEST_KEY);
}

/** A secret field of an extension's configuration. */
export interface ManifestSecret {
  /** Names of properties; `*` is any. */
  path: string[];
  /** Whether there is one, or many by key (`map`) or by place (`list`). */
  shape: 'value' | 'map' | 'list';
  /** What the schema says under `x-active`, the object's own before the field's. Not checked. */
  rules: unknown[];
}

/**
 * The fields of an extension's configuration that hold secrets: those with `uiHints.<path>.sensitive`, those whose schema has the keyword
 * `sensitive`, and those whose schema offers a reference.
 */
export function secretFields(manifest: Pick<PluginManifest, 'configSchema' | 'uiHints'>): ManifestSecret[] {
  const marked = markedFields(manifest.configSchema, [], 'value', []);
  const known = new Set(marked.map(({ path }) => path.join('.')));
  const hinted = Object.entries(manifest.uiHints ?? {}).flatMap(([path, hint]) =>
    hint.sensitive === true && !known.has(path)
      ? [{ path: path.split('.'), shape: path.split('.').includes('*') ? ('map' as const) : ('value' as const), rules: [] }]
      : [],
  );
  return [...hinted, ...marked];
}

/** Their paths alone. */
export function secretPaths(manifest: Pick<PluginManifest, 'configSchema' | 'uiHints'>): string[][] {
  return secretFields(manifest).map(({ path }) => path);
}

function markedFields(schema: unknown, path: string[], shape: ManifestSecret['shape'], above: readonly unknown[]): ManifestSecret[] {
  if (!isObject(schema)) return [];
  const rules = Array.isArray(schema['x-active']) ? [...above, ...schema['x-active']] : [...above];
  if (path.length > 0 && (schema.sensitive === true || offersReference(schema))) return [{ path, shape, rules }];
  const named = isObject(schema.properties)
    ? Object.entries(schema.properties).flatMap(([name, inner]) => markedFields(inner, [...path, name], shape, rules))
    : [];
  return [
    ...named,
    ...markedFields(schema.additionalProperties, [...path, '*'], shape === 'list' ? shape : 'map', rules),
    ...markedFields(schema.items, [...path, '*'], 'list', rules),
  ];
}

/** A text, or an object with the three keys of a reference. */
function offersReference({ anyOf, oneOf }: Record<string, unknown>): boolean {
  const options = [anyOf, oneOf].flat().filter(isObject);
  return options.some(({ properties }) => isObject(properties) && ['source', 'provider', 'id'].every((key) => Object.hasOwn(properties, key)));
}

/** The texts under a dotted path of the manifest, each once. */
function textsAt(manifest: PluginManifest, path: string): string[] {
  const value = path.split('.').reduce<unknown>((holder, key) => (isObject(holder) && Object.hasOwn(holder, key) ? holder[key] : undefined), manifest);
  return Array.isArray(value) ? [...new Set(value.filter((each) => typeof each === 'string'))] : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
