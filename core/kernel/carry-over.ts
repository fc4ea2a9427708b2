import { createHash } from 'node:crypto';
import { registeredPart } from '../../sdk/channel-fields.ts';
import type { Config } from '../config/schema.ts';
import type { Plan, PlannedExtension } from '../manifest/catalog.ts';
import { isObject } from '../manifest/json.ts';

/** What an instance depends on: its code, its own config, the keys that its manifest owns or names, and what it declares but another extension provides. */
export function carryOverKey(planned: PlannedExtension, digest: string, pluginConfig: Record<string, unknown>, config: Config, plan: Plan): string {
  const { id, root, declares, manifest, format } = planned.entry;
  const at = (prefix: string) => prefix.split('.').reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], config);
  const channels = (manifest.channels ?? []).map((name) => at(`channels.${name}`));
  const prefixes = [...(manifest.providers ?? []).map((name) => `models.providers.${name}`), ...(manifest.reload?.configPrefixes ?? [])];
  const owned = [...(format === 'ancestor' ? channels : channels.map(registeredPart)), ...prefixes.map(at)];
  const lost = Object.entries(declares).flatMap(([kind, keys]) => keys.filter((key) => (plan.owners.get(`${kind}:${key}`)?.[0] ?? id) !== id));
  return createHash('sha256')
    .update(JSON.stringify([root, digest, pluginConfig, pluginEntry(config, id) ?? null, owned, lost]))
    .digest('hex');
}

/** The extension's validated config with the resolved secrets laid over it. */
export function resolvedPluginConfig(planned: PlannedExtension, config: Config, resolved: Config): Record<string, unknown> {
  if (resolved === config) return planned.config;
  return overlay(planned.config, pluginEntry(resolved, planned.entry.id)?.config ?? {});
}

function overlay(base: Record<string, unknown>, top: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(top)) {
    const below = result[key];
    result[key] = isObject(below) && isObject(value) ? overlay(below, value) : value;
  }
  return result;
}

/** The part of `plugins.entries.<id>` that the kernel reads. */
interface PluginEntryConfig {
  config?: Record<string, unknown>;
  hooks?: { allowPromptInjection?: boolean };
}

export function pluginEntry(config: Config, id: string): PluginEntryConfig | undefined {
  return (config.plugins?.entries as Record<string, PluginEntryConfig> | undefined)?.[id];
}
