import { CONTRIBUTION_ROWS, type ContributionKind } from '../../sdk/contributions.ts';
import type { InstallRecord } from '../install/records.ts';
import type { CatalogEntry, Finding } from '../manifest/catalog.ts';
import type { Outlook } from './planning.ts';
import { readHostVersion } from './version.ts';

/** One extension as `plugins list` shows it. */
export interface PluginRow {
  id: string;
  name?: string;
  version?: string;
  origin: string;
  format?: string;
  /** `on`: a gateway would use it. `failed`: enabled, but something keeps it from working. `broken`: its manifest cannot be used. */
  status: 'on' | 'off' | 'failed' | 'broken';
  reason: string;
  /** `context engine legacy`, `tool read`. */
  provides: string[];
  root: string;
  manifestFile?: string;
  findings: Finding[];
  install?: InstallRecord;
}

/** Every extension that was found, in the order in which they win; broken ones last. */
export function listPluginRows({ catalog, plan, records }: Outlook): PluginRow[] {
  const concerning = (id: string) => plan.findings.filter((finding) => finding.owner.extension === id);
  const hostVersion = readHostVersion();
  const rows = [...plan.extensions.values()].map(({ entry, enabled, reason, blocked }): PluginRow => {
    const { id, origin, format, root, manifestFile, manifest } = entry;
    const install = records[id];
    // What is part of the host has its version.
    const version = entry.version ?? (origin === 'bundled' ? hostVersion : undefined);
    return {
      id,
      ...(manifest.name === undefined ? {} : { name: manifest.name }),
      ...(version === undefined ? {} : { version }),
      origin,
      format,
      status: blocked !== undefined ? 'failed' : enabled ? 'on' : 'off',
      reason: blocked?.message ?? reason,
      provides: listProvided(entry),
      root,
      manifestFile,
      findings: concerning(id),
      ...(install === undefined ? {} : { install }),
    };
  });
  const broken = [...catalog.broken.values()].map(({ id, root, origin, finding }): PluginRow => {
    const install = records[id];
    return {
      id,
      origin,
      status: 'broken',
      reason: finding.message,
      provides: [],
      root,
      findings: concerning(id),
      ...(install === undefined ? {} : { install }),
    };
  });
  return [...rows, ...broken];
}

/** What a manifest declares, in words. */
export function listProvided({ declares, taps }: Pick<CatalogEntry, 'declares' | 'taps'>): string[] {
  const kinds = Object.entries(declares) as Array<[ContributionKind, string[]]>;
  return [...kinds.flatMap(([kind, keys]) => keys.map((key) => `${CONTRIBUTION_ROWS[kind].noun} ${key}`)), ...taps.map((hook) => `hook ${hook}`)];
}
