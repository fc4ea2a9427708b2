import { createRequire } from 'node:module';
import { ANCESTOR } from '../../sdk/ancestor.ts';
import type { PackageBlock, PluginManifest } from '../../sdk/index.ts';
import type { CatalogEntry, Finding, HostRange } from './catalog.ts';
import { finding } from './finding.ts';

type Semver = Pick<typeof import('semver'), 'validRange' | 'satisfies' | 'gtr'>;

/** `install.minHostVersion` must be written like this. */
const MINIMUM = /^>=\s*\d+\.\d+\.\d+(?:-[\w.]+)?$/;

/** All places in which an extension may name the versions of Durar that it works with. */
export function hostRanges(manifest: PluginManifest, block: PackageBlock, engines: Record<string, unknown>): HostRange[] {
  const minimum = block.compat?.minGatewayVersion;
  const ranges: Array<[string, unknown]> = [
    ['host', manifest.host],
    ['install.minHostVersion', block.install?.minHostVersion],
    ['compat.minGatewayVersion', minimum === undefined || /^[^\d]/.test(minimum) ? minimum : `>=${minimum}`],
    ['engines.durar', engines.durar],
  ];
  return ranges.flatMap(([key, range]) => (typeof range === 'string' ? [{ key, range }] : []));
}

/**
 * The ranges that this host does not meet. In the ancestor's format they count versions of that product, so they only inform.
 * semver costs 9 ms to load and is loaded by the first range, not before.
 */
export function checkHost(entry: CatalogEntry, hostVersion: string): Finding[] {
  const owner = { extension: entry.id, file: entry.manifestFile };
  return (entry.hostRanges ?? []).flatMap(({ key, range }) => {
    const semver = loadSemver();
    const host = entry.format === 'native' ? hostVersion : ANCESTOR.version;
    const values = { id: entry.id, wanted: range, host };
    const level = entry.format === 'native' ? 'error' : 'info';
    const pointed = { ...owner, pointer: `/${key.replaceAll('.', '/')}` };
    if (semver.validRange(range) === null || (key === 'install.minHostVersion' && !MINIMUM.test(range))) {
      return [finding(level, 'DUR_MANIFEST_HOST_RANGE', values, pointed)];
    }
    if (semver.satisfies(host, range, { includePrerelease: true })) return [];
    const tooNew = semver.gtr(host, range, { includePrerelease: true });
    return [finding(level, tooNew ? 'DUR_MANIFEST_HOST_TOO_NEW' : 'DUR_MANIFEST_HOST_TOO_OLD', values, pointed)];
  });
}

function loadSemver(): Semver {
  return createRequire(import.meta.url)('semver') as Semver;
}
