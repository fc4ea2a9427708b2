import type { SlotName } from '../../sdk/index.ts';
import { manifestKinds } from '../../sdk/manifest-fields.ts';
import type { CatalogEntry } from './catalog.ts';

/** The part of the configuration's `plugins` block that this room reads. */
export interface PluginsConfig {
  enabled?: boolean | undefined;
  /** Empty: everything is allowed. */
  allow?: readonly string[] | undefined;
  deny?: readonly string[] | undefined;
  load?: { paths?: readonly string[] | undefined } | undefined;
  slots?: { readonly [Slot in SlotName]?: string | undefined } | undefined;
  entries?: Readonly<Record<string, { readonly enabled?: boolean | undefined; readonly config?: unknown } | undefined>> | undefined;
}

export interface EnablementInput {
  entry: CatalogEntry;
  plugins: PluginsConfig;
  /** The slot that its contribution is selected for. */
  slot?: SlotName | undefined;
  /** What the configuration uses of it: a channel, a provider. */
  use?: string | undefined;
}

/** Tools that an agent cannot work without; switching third parties off leaves them. */
const CORE_TOOLS: readonly string[] = ['read', 'write', 'edit', 'exec'];
const ON_BY_ORIGIN = { config: 'plugins.load.paths', global: 'in the extensions folder', installed: 'installed' } as const;

/**
 * Whether an extension is on, and why in a few words. The operator's explicit `deny` and `enabled: false` beat everything; the general switches
 * do not reach a bundled extension that the host itself stands on.
 */
export function decideEnablement({ entry, plugins, slot, use }: EnablementInput): { enabled: boolean; reason: string } {
  const { id, origin } = entry;
  const { allow = [], deny = [] } = plugins;
  const names = [id, ...(entry.manifest.legacyPluginIds ?? [])];
  const explicit = entrySettings(entry, plugins)?.enabled;
  const on = (reason: string) => ({ enabled: true, reason });
  const off = (reason: string) => ({ enabled: false, reason });
  if (names.some((name) => deny.includes(name))) return off('plugins.deny');
  if (explicit === false) return off(`plugins.entries.${id}.enabled is false`);
  if (!isFoundation(entry)) {
    if (plugins.enabled === false) return off('plugins.enabled is false');
    if (allow.length > 0 && !names.some((name) => allow.includes(name))) return off('not in plugins.allow');
  }
  if (explicit === true) return on('enabled');
  if (slot !== undefined) return on(`plugins.slots.${slot}`);
  if (origin === 'workspace') return off('a workspace extension must be enabled by name');
  if (origin !== 'bundled') return on(ON_BY_ORIGIN[origin]);
  if (entry.manifest.enabledByDefault === true) return on('on by default');
  return use === undefined ? off('off by default') : on(use);
}

/** `plugins.entries.<id>`, also under an id that it had before. */
export function entrySettings(entry: CatalogEntry, plugins: PluginsConfig): { enabled?: boolean | undefined; config?: unknown } | undefined {
  const entries = plugins.entries ?? {};
  const name = [entry.id, ...(entry.manifest.legacyPluginIds ?? [])].find((each) => Object.hasOwn(entries, each));
  return name === undefined ? undefined : entries[name];
}

/** Bundled, and serves a slot, a secrets source, approvals or a core tool. */
function isFoundation({ origin, manifest, declares }: CatalogEntry): boolean {
  if (origin !== 'bundled') return false;
  if (declares.secretsProvider !== undefined || declares.approver !== undefined) return true;
  if (declares.tool?.some((name) => CORE_TOOLS.includes(name)) === true) return true;
  return manifestKinds(manifest).length > 0;
}
