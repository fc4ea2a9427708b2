import { createHash } from 'node:crypto';
import type { Config } from '../config/schema.ts';
import type { Plan, PlannedExtension } from '../manifest/catalog.ts';
import { isObject } from '../manifest/json.ts';

/** What an instance depends on: its code, its own config, the keys that its manifest owns or names, and what it declares but another extension provides. */
export function carryOverKey(planned: PlannedExtension, digest: string, pluginConfig: Record<string, unknown>, config: Config, plan: Plan): string {
  const { manifest } = planned.entry;
  const prefixes = [
    ...(manifest.channels ?? []).map((id) => `channels.${id}`),
    ...(manifest.providers ?? []).map((id) => `models.providers.${id}`),
    ...(manifest.reload?.configPrefixes ?? []),
  ];
  const owned = prefixes.map((prefix) => prefix.split('.').reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], config));
  const { id, root, declares } = planned.entry;
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
