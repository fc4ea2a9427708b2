import type { Outlook } from '../planning.ts';

/** Environment variables that hold a credential, as the manifests of the installed providers and the configuration say. */
export function knownVariables({ catalog, loaded }: Pick<Outlook, 'catalog' | 'loaded'>): Set<string> {
  const manifests = [...catalog.entries.values()].map(({ manifest }) => manifest);
  const declared = manifests.flatMap(({ providerAuthEnvVars = {}, providerCatalog = {} }) => [
    ...Object.values(providerAuthEnvVars).flat(),
    ...Object.values(providerCatalog).flatMap(({ envVars = [] }) => envVars),
  ]);
  const byName = Object.keys(loaded.config.models.providers).map((id) => `${id.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_API_KEY`);
  return new Set([...declared, ...byName]);
}
