import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, isAbsolute, join, resolve } from 'node:path';
import { CONTRIBUTION_ROWS, type ContributionKind, errorCode, errorText, SLOTS } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import type { Catalog, CatalogEntry, Finding } from './catalog.ts';
import type { PluginsConfig } from './enablement.ts';
import { finding } from './finding.ts';
import { openManifestIndex } from './index-cache.ts';
import type { BrokenCandidate, Candidate, ReadResult } from './read.ts';

export interface DiscoverOptions {
  config: { plugins?: PluginsConfig | undefined };
  /** Relative paths of `plugins.load.paths` are taken from `home`. */
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

type Found = { entry: CatalogEntry } | { broken: BrokenCandidate };
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
  const cached = env.Durar_DISABLE_PLUGIN_MANIFEST_CACHE !== '1';
  const index = openManifestIndex(cached ? join(paths.stateDbDir, 'manifest-index.json') : undefined, options.hostVersion ?? '');
  const findings: Finding[] = [];
  const roots = new Set<string>();
  const read: Reader = (candidate) => {
    const result = index.read(candidate);
    const key = `${rootOf(result) ?? candidate.path} ${candidate.entry ?? ''}`;
    if (result === undefined) return undefined;
    if (roots.has(key)) return [];
    roots.add(key);
    return [...result.entries.map((entry) => ({ entry })), ...(result.broken === undefined ? [] : [{ broken: result.broken }])].map(refuseReserved);
  };
  const folder = (path: string, origin: Candidate['origin']) => listFolder(path, findings).flatMap((name) => read(childOf(path, name, origin)) ?? []);

  const found: Found[] = (config.plugins?.load?.paths ?? []).flatMap((path) => {
    const full = isAbsolute(path) ? path : resolve(paths.home, path.replace(/^~(?=\/|$)/, '.'));
    return readConfigPath(full, read, findings);
  });
  const workspace = options.workspaceDir === undefined ? [] : folder(join(options.workspaceDir, '.Durar', 'extensions'), 'workspace');
  const isChosen = (each: Found) => config.plugins?.entries?.[idOf(each)]?.enabled === true;
  found.push(...workspace.filter(isChosen));
  found.push(...folder(paths.pluginsDir, 'global'));
  found.push(...options.installed.flatMap(({ id, root }) => read({ path: root, origin: 'installed', id, explicit: true }) ?? []));
  for (const group of listFolder(options.bundledDir, findings)) found.push(...folder(join(options.bundledDir, group), 'bundled'));
  found.push(...workspace.filter((each) => !isChosen(each)));

  const catalog = { ...choose(found, findings), findings };
  log.debug('manifests discovered', { entries: catalog.entries.size, broken: catalog.broken.size, read: index.misses });
  return { ...catalog, misses: index.misses, saveIndex: () => index.save() };
}

function choose(found: readonly Found[], findings: Finding[]): Omit<Catalog, 'findings'> {
  const entries = new Map<string, CatalogEntry>();
  const broken = new Map<string, BrokenCandidate>();
  const shadowed: CatalogEntry[] = [];
  for (const each of found) {
    const id = idOf(each);
    const winner = entries.get(id) ?? broken.get(id);
    if (winner !== undefined) {
      const values = { id, root: winner.root, other: rootOfFound(each) };
      findings.push(finding(winner.origin === 'config' ? 'info' : 'warn', 'DUR_MANIFEST_DUPLICATE', values, { extension: id, file: values.other }));
      if ('entry' in each) shadowed.push(each.entry);
    } else if ('entry' in each) entries.set(id, each.entry);
    else if (each.broken.named && each.broken.finding.code !== 'DUR_MANIFEST_RESERVED') broken.set(id, each.broken);
  }
  // The rest of the broken ones must not take an id from a sound extension.
  for (const each of found) if ('broken' in each && !entries.has(each.broken.id) && !broken.has(each.broken.id)) broken.set(each.broken.id, each.broken);
  for (const entry of entries.values()) findings.push(...entry.findings);
  for (const each of found) if ('broken' in each) findings.push(each.broken.finding);
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
  return { path: join(folder, name), origin, explicit: extname(name) === '.ts' };
}

/** Folders, links and lone `.ts` files, by name. */
function listFolder(path: string, findings: Finding[]): string[] {
  try {
    const kept = readdirSync(path, { withFileTypes: true }).filter(
      (item) =>
        !item.name.startsWith('.') &&
        item.name !== 'node_modules' &&
        (item.isDirectory() || isLinkedFolder(item, path) || (item.isFile() && /(?<!\.d|\.test)\.ts$/.test(item.name))),
    );
    return kept.map((item) => item.name).sort();
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR')
      findings.push(finding('error', 'DUR_MANIFEST_PATH_STAT_FAILED', { path, reason: errorText(error) }, { file: path }));
    return [];
  }
}

function isLinkedFolder(item: { isSymbolicLink(): boolean; name: string }, folder: string): boolean {
  return item.isSymbolicLink() && statSync(join(folder, item.name), { throwIfNoEntry: false })?.isDirectory() !== false;
}

function refuseReserved(found: Found): Found {
  if (!('entry' in found) || found.entry.origin === 'bundled') return found;
  const { id, root, origin, declares, manifestFile } = found.entry;
  const claimed = [
    id,
    ...(Object.keys(declares) as ContributionKind[]).flatMap((kind) => (declares[kind] ?? []).filter((key) => CONTRIBUTION_ROWS[kind].reserved?.includes(key))),
  ];
  const taken = claimed.find((each) => RESERVED.has(each));
  if (taken === undefined) return found;
  return {
    broken: { id, named: true, root, origin, finding: finding('error', 'DUR_MANIFEST_RESERVED', { id: taken, root }, { extension: id, file: manifestFile }) },
  };
}

function rootOf(result: ReadResult | undefined): string | undefined {
  return result?.entries[0]?.root ?? result?.broken?.root;
}

function idOf(found: Found): string {
  return 'entry' in found ? found.entry.id : found.broken.id;
}

function rootOfFound(found: Found): string {
  return 'entry' in found ? found.entry.root : found.broken.root;
}
