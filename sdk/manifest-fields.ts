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

/**
 * The fields of an extension's configuration that hold secrets, as paths of property names (`*` is any): those with
 * `uiHints.<path>.sensitive` and those whose schema has the keyword `sensitive`.
 */
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

/** The texts under a dotted path of the manifest, each once. */
function textsAt(manifest: PluginManifest, path: string): string[] {
  const value = path.split('.').reduce<unknown>((holder, key) => (isObject(holder) && Object.hasOwn(holder, key) ? holder[key] : undefined), manifest);
  return Array.isArray(value) ? [...new Set(value.filter((each) => typeof each === 'string'))] : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
