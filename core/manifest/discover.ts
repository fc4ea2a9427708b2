import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CONTRIBUTION_ROWS, type ContributionKind, errorCode, errorText, SLOTS } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import type { Catalog, CatalogEntry, Finding } from './catalog.ts';
import type { PluginsConfig } from './enablement.ts';
import { finding } from './finding.ts';
import { openManifestIndex } from './index-cache.ts';
import type { BrokenCandidate, Candidate } from './read.ts';

export interface DiscoverOptions {
  config: { plugins?: PluginsConfig | undefined };
  /** Relative paths are taken from `home`, which `~` stands for. */
  paths: { pluginsDir: string; stateDbDir: string; home: string };
  /** Holds `<group>/<id>/`. */
  bundledDir: string;
  /** The records of the content-addressed store. */
  installed: ReadonlyArray<{ id: string; root: string }>;
  workspaceDir?: string | undefined;
  log: Logger;
  /** Part of the key of the manifest index. */
  hostVersion?: string;
  env?: Readonly<Record<string, string | undefined>>;
}

export interface DiscoveredCatalog extends Catalog {
  /** Folders whose manifest had to be read; the others came from the index. */
  readonly misses: number;
  /** Writes the manifest index when something changed. Call it when the boot is over. */
  saveIndex(): Promise<void>;
}

/** A sound extension or a broken candidate. */
type Found = { id: string; root: string } & ({ entry: CatalogEntry; broken?: never } | { entry?: never; broken: BrokenCandidate });
/** undefined: no extension. Empty: one that was read before, under another path. */
type Reader = (candidate: Candidate) => Found[] | undefined;

/** Ids that only bundled extensions may have, or claim as an engine or store. */
const RESERVED: ReadonlySet<string> = new Set([
  ...Object.values(SLOTS).map((slot) => slot.fallback),
  ...Object.values(CONTRIBUTION_ROWS).flatMap((row) => row.reserved ?? []),
]);

/**
 * Finds every extension by its manifest; runs none of its code. The first of an id wins: paths of the configuration, workspace, the global
 * folder, installed ones, bundled ones. A workspace extension that is not explicitly enabled comes last, so that a checked-out
 * repository cannot displace anything. A broken candidate keeps its id when the id was read, not guessed, from it: what it stood for fails rather
 * than silently becoming something else. Never rejects because of a candidate.
 */
export async function discover(options: DiscoverOptions): Promise<DiscoveredCatalog> {
  const { config, paths, log, env = process.env } = options;
  const isCached = env.Durar_DISABLE_PLUGIN_MANIFEST_CACHE !== '1';
  const index = openManifestIndex(isCached ? join(paths.stateDbDir, 'manifest-index.json') : undefined, options.hostVersion ?? '');
  const findings: Finding[] = [];
  const seen = new Set<string>();
  const read: Reader = (candidate) => {
    const result = index.read(candidate);
    if (result === undefined) return undefined;
    const all = [...result.entries.map(acceptEntry), ...(result.broken === undefined ? [] : [asFound(result.broken)])];
    const key = `${all[0]?.root} ${candidate.entry ?? ''}`;
    if (seen.has(key)) return [];
    seen.add(key);
    return all;
  };
  const folder = (path: string, origin: Candidate['origin']) => listFolder(path, findings).flatMap((name) => read(childOf(path, name, origin)) ?? []);
  const full = (path: string) => resolve(paths.home, path.replace(/^~(?=\/|$)/, '.'));

  const configured = (config.plugins?.load?.paths ?? []).flatMap((path) => readConfigPath(full(path), read, findings));
  const workspace = options.workspaceDir === undefined ? [] : folder(join(full(options.workspaceDir), '.Durar', 'extensions'), 'workspace');
  const isChosen = ({ id }: Found) => config.plugins?.entries?.[id]?.enabled === true;
  const global = folder(paths.pluginsDir, 'global');
  const installed = options.installed.flatMap(({ id, root }) => read({ path: root, origin: 'installed', id, explicit: true }) ?? []);
  const bundled = listFolder(options.bundledDir, findings).flatMap((group) => folder(join(options.bundledDir, group), 'bundled'));
  const found = [...configured, ...workspace.filter(isChosen), ...global, ...installed, ...bundled, ...workspace.filter((each) => !isChosen(each))];

  const catalog = { ...choose(found, findings), findings };
  log.debug('manifests discovered', { entries: catalog.entries.size, broken: catalog.broken.size, read: index.misses });
  return { ...catalog, misses: index.misses, saveIndex: () => index.save() };
}

function choose(found: readonly Found[], findings: Finding[]): Omit<Catalog, 'findings'> {
  const entries = new Map<string, CatalogEntry>();
  const broken = new Map<string, BrokenCandidate>();
  const shadowed: CatalogEntry[] = [];
  for (const { id, root, entry, broken: fault } of found) {
    findings.push(...(entry?.findings ?? []), ...(fault === undefined ? [] : [fault.finding]));
    const winner = entries.get(id) ?? broken.get(id);
    if (winner !== undefined) {
      const level = winner.origin === 'config' ? 'info' : 'warn';
      findings.push(finding(level, 'DUR_MANIFEST_DUPLICATE', { id, root: winner.root, other: root }, { extension: id, file: root }));
      if (entry !== undefined) shadowed.push(entry);
    } else if (entry !== undefined) entries.set(id, entry);
    else if (fault?.named === true) broken.set(id, fault);
  }
  // The rest of the broken ones must not take an id from a sound extension.
  for (const { id, broken: fault } of found) if (fault !== undefined && !entries.has(id) && !broken.has(id)) broken.set(id, fault);
  return { entries, shadowed, broken };
}

/** A file, a folder that is an extension, or a folder of extensions. */
function readConfigPath(path: string, read: Reader, findings: Finding[]): Found[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() === true) return read({ path: dirname(path), origin: 'config', entry: basename(path), explicit: true }) ?? [];
  const direct = read({ path, origin: 'config' });
  if (direct !== undefined) return direct;
  const children = listFolder(path, findings).flatMap((name) => read(childOf(path, name, 'config')) ?? []);
  return children.length > 0 ? children : (read({ path, origin: 'config', explicit: true }) ?? []);
}

/** A lone `name.ts` has no manifest beside it that could be its own; it is reported under its name. */
function childOf(folder: string, name: string, origin: Candidate['origin']): Candidate {
  return { path: join(folder, name), origin, explicit: name.endsWith('.ts') };
}

/** Folders, links and lone `.ts` files, by name. */
function listFolder(path: string, findings: Finding[]): string[] {
  try {
    const items = readdirSync(path, { withFileTypes: true }).filter(({ name }) => !name.startsWith('.') && name !== 'node_modules');
    const kept = items.filter((item) => item.isDirectory() || item.isSymbolicLink() || (item.isFile() && /(?<!\.d|\.test)\.ts$/.test(item.name)));
    return kept.map((item) => item.name).sort();
  } catch (error) {
    const isAbsent = errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR';
    if (!isAbsent) findings.push(finding('error', 'DUR_MANIFEST_PATH_STAT_FAILED', { path, reason: errorText(error) }, { file: path }));
    return [];
  }
}

function asFound(broken: BrokenCandidate): Found {
  return { id: broken.id, root: broken.root, broken };
}

/** Refuses what is reserved. The refused candidate does not count as the owner of that id. */
function acceptEntry(entry: CatalogEntry): Found {
  const { id, root, origin, declares, manifestFile } = entry;
  const claims = Object.entries(declares).flatMap(([kind, keys]) => keys.filter((key) => CONTRIBUTION_ROWS[kind as ContributionKind].reserved?.includes(key)));
  const taken = origin === 'bundled' ? undefined : [id, ...claims].find((each) => RESERVED.has(each));
  if (taken === undefined) return { id, root, entry };
  const refusal = finding('error', 'DUR_MANIFEST_RESERVED', { id: taken, root }, { extension: id, file: manifestFile });
  return asFound({ id, named: false, root, origin, finding: refusal });
}
