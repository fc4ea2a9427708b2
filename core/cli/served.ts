import type { RuleFacts } from '../config/active-rule.ts';
import type { Plan } from '../manifest/catalog.ts';

/** Whether an extension that a plan has on, and that can be used, serves a channel or has an id. Without a plan nothing is known to be off. */
export function isServed(plan: Plan | undefined): RuleFacts['isServed'] {
  if (plan === undefined) return () => true;
  const usable = [...plan.extensions.values()].filter(({ enabled, blocked }) => enabled && blocked === undefined).map(({ entry }) => entry);
  const extensions = new Set(usable.flatMap(({ id, manifest }) => [id, ...(manifest.legacyPluginIds ?? [])]));
  const channels = new Set(usable.flatMap(({ declares, manifest }) => [...(declares.channel ?? []), ...Object.keys(manifest.channelConfigs ?? {})]));
  return (kind, id) => (kind === 'extension' ? extensions : channels).has(id);
}
