import type { DeclaredProvider } from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';

/** Complete providers that enabled manifests describe, without any code. */
export function declaredProvider(generation: Pick<Generation, 'plan'>, id: string): { provider: DeclaredProvider; owner: string } | undefined {
  for (const { entry, enabled, blocked } of generation.plan.extensions.values()) {
    const provider = entry.manifest.providerCatalog?.[id];
    if (enabled && blocked === undefined && provider !== undefined) return { provider, owner: entry.id };
  }
  return undefined;
}

/** Their ids. */
export function declaredIds(generation: Pick<Generation, 'plan'>): string[] {
  const ids: string[] = [];
  for (const { entry, enabled, blocked } of generation.plan.extensions.values()) {
    if (enabled && blocked === undefined) ids.push(...Object.keys(entry.manifest.providerCatalog ?? {}));
  }
  return ids;
}

/** Variables that may hold the credential of a provider, as manifests say. */
export function authEnvVars(generation: Pick<Generation, 'plan'>, id: string): string[] {
  const names: string[] = [];
  for (const { entry, enabled } of generation.plan.extensions.values()) if (enabled) names.push(...(entry.manifest.providerAuthEnvVars?.[id] ?? []));
  return names;
}
