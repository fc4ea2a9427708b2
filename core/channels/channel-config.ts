import type { Generation } from '../kernel/generation.ts';

/** The configuration as a channel may see it: its own block with its secrets, everything else without. */
export function channelConfig({ config, resolvedConfig }: Pick<Generation, 'config' | 'resolvedConfig'>, id: string): Record<string, unknown> {
  const resolved: Record<string, unknown> = resolvedConfig.channels ?? {};
  return { ...config, channels: { ...config.channels, ...(Object.hasOwn(resolved, id) ? { [id]: resolved[id] } : {}) } };
}
