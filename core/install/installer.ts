import { join, resolve } from 'node:path';
import { type DurarError, durarError, type ErrorReport, errorText, reportError } from '../../sdk/errors.ts';
import type { Logger } from '../logging/logger.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';
import { fetchSource, type Resolution, resolveSource } from './acquire.ts';
import { installDependencies } from './dependencies.ts';
import { acquireInstallLock, type InstallLock } from './lock.ts';
import { createNpm, isNoSpace } from './npm.ts';
import { type InstallRecord, type InstallRecords, readRecords, recordsFile, writeRecords } from './records.ts';
import { type InstallSpec, parseSpec } from './spec.ts';
import { createStore, digestFolder, type Staging } from './store.ts';
import { configEditsFor, type UninstallReport } from './uninstall.ts';
import { readPackageEntries, type VerifyReport, verifyFolder } from './verify.ts';

export type { InstallRecord } from './records.ts';
export { recordsFile } from './records.ts';
export type { ConfigEdit, UninstallReport } from './uninstall.ts';
export type { VerifyCheck, VerifyReport } from './verify.ts';

/** What is being done, for a progress line. `detail` is a name, a version or a folder. */
export interface InstallProgress {
  step: 'resolve' | 'download' | 'dependencies' | 'verify' | 'commit' | 'cleanup';
  spec: string;
  detail?: string;
}

export interface InstallerOptions {
  paths: { stateDir: string; pluginsDir: string };
  env: NodeJS.ProcessEnv;
  hostVersion: string;
  bundledIds: readonly string[];
  log: Logger;
  progress?(event: InstallProgress): void;
  /** Asked with the new version in its place, before the record names it; a throw refuses it (`DUR_INSTALL_REFUSED`). */
  preflight?(candidate: { id: string; record: InstallRecord }): Promise<void>;
  /** Milliseconds the verify child may take. */
  verifyTimeoutMs?: number;
  /** Where relative paths start; the working directory when absent. */
  cwd?: string;
}

export interface InstallReport {
  id: string;
  status: 'installed' | 'updated' | 'unchanged';
  record: InstallRecord;
  /** The version that was there before. */
  replaced?: { resolvedVersion?: string; root: string };
  /** Absent when nothing was fetched. */
  verification?: VerifyReport;
}

export interface UpdateReport {
  id: string;
  /** `available`: a dry run found something new. `skipped`: a link is always what its folder holds. */
  status: 'updated' | 'unchanged' | 'available' | 'skipped' | 'failed';
  from?: string;
  to?: string;
  record?: InstallRecord;
  error?: ErrorReport;
}

/**
 * Installs, updates and removes extensions. It writes below `pluginsDir` and in `state/plugins.json`, never in the operator's configuration:
 * a link is a record whose `root` is the linked folder, and discovery takes the roots of all records as its `installed` origin.
 */
export interface Installer {
  install(spec: string, options?: { link?: boolean; pin?: boolean; force?: boolean; yes?: boolean }): Promise<InstallReport>;
  update(id: string, options?: { dryRun?: boolean; yes?: boolean }): Promise<UpdateReport>;
  /** Goes on when one fails, and reports each. */
  updateAll(options?: { dryRun?: boolean; yes?: boolean }): Promise<UpdateReport[]>;
  uninstall(id: string, options?: { keepFiles?: boolean; dryRun?: boolean }): Promise<UninstallReport>;
  records(): Promise<Record<string, InstallRecord>>;
}

/** A staged or linked extension that nobody sees yet. */
interface Prepared {
  id: string;
  resolution: Resolution;
  entries: CatalogEntry[];
  root: string;
  digest: string;
}

interface Session {
  lock: InstallLock;
  records: InstallRecords;
  staging: Staging;
}

export function createInstaller(options: InstallerOptions): Installer {
  const { paths, bundledIds, log } = options;
  const store = createStore(paths.pluginsDir);
  const file = recordsFile(paths.stateDir);
  const npm = createNpm(options.env);
  const tell = (step: InstallProgress['step'], spec: string, detail?: string) =>
    options.progress?.({ step, spec, ...(detail === undefined ? {} : { detail }) });

  /** Runs `work` as the only installer, with a staging folder that is gone afterwards. */
  async function alone<Result>(spec: string, work: (session: Session) => Promise<Result>): Promise<Result> {
    try {
      const lock = await acquireInstallLock(store.lockFile);
      try {
        const records = await readRecords(file);
        await store.sweep(records);
        const staging = await store.stage();
        try {
          return await work({ lock, records, staging });
        } finally {
          await store.discard(staging);
        }
      } finally {
        await lock.release();
      }
    } catch (error) {
      throw isNoSpace(error) ? durarError('DUR_INSTALL_SPACE', { spec }, { cause: error }) : error;
    }
  }

  async function prepare(spec: InstallSpec, resolution: Resolution, session: Session): Promise<Prepared> {
    const { staging } = session;
    if (spec.source === 'link') {
      const entries = readPackageEntries(resolution.spec);
      return { id: packageId(entries), resolution, entries, root: resolution.spec, digest: '' };
    }
    tell('download', spec.spec, resolution.resolvedVersion);
    const fetched = await fetchSource(spec, resolution, npm, staging);
    const entries = readPackageEntries(staging.root);
    const version = fetched.resolvedVersion ?? entries[0]?.version;
    const known = version === undefined ? fetched : { ...fetched, resolvedVersion: version };
    return { id: packageId(entries), resolution: known, entries, root: staging.root, digest: '' };
  }

  async function complete(prepared: Prepared, spec: InstallSpec, session: Session): Promise<Prepared> {
    if (spec.source === 'link') return prepared;
    const base = spec.source === 'path' ? { base: resolve(spec.path) } : {};
    await installDependencies({
      root: prepared.root,
      work: session.staging.deps,
      npm,
      spec: spec.spec,
      ...base,
      onStart: () => tell('dependencies', spec.spec, prepared.id),
    });
    return { ...prepared, digest: await digestFolder(prepared.root) };
  }

  async function verify(prepared: Prepared, spec: string): Promise<VerifyReport> {
    tell('verify', spec, prepared.id);
    const report = await verifyFolder({
      root: prepared.root,
      hostVersion: options.hostVersion,
      env: options.env,
      suites: false,
      ...(options.verifyTimeoutMs === undefined ? {} : { timeoutMs: options.verifyTimeoutMs }),
    });
    const failed = report.checks.find((check) => check.status === 'fail');
    if (failed === undefined) return report;
    const reason = failed.message ?? failed.title;
    throw durarError(
      'DUR_INSTALL_VERIFY',
      { id: prepared.id, reason: failed.code === undefined ? reason : `${failed.code}: ${reason}` },
      {
        owner: { extension: prepared.id, file: prepared.root },
        details: report,
        ...(failed.hint === undefined ? {} : { hint: `${failed.hint} Nothing was changed.` }),
      },
    );
  }

  /** From here the new version is what everybody sees, in one step. */
  async function commit(prepared: Prepared, spec: string, session: Session): Promise<{ record: InstallRecord; existing: InstallRecord | undefined }> {
    const { records, lock, staging } = session;
    const { id, digest, resolution } = prepared;
    const existing = records.plugins[id];
    tell('commit', spec, id);
    await lock.assertHeld();
    const root = resolution.source === 'link' ? prepared.root : await store.place(staging, id, digest);
    const now = new Date().toISOString();
    const record: InstallRecord = { ...resolution, root, digest, installedAt: existing?.installedAt ?? now, updatedAt: now, ...previousOf(existing, root) };
    if (existing?.root !== root) await ask(id, record, records);
    const next: InstallRecords = { version: 1, plugins: { ...records.plugins, [id]: record } };
    await lock.assertHeld();
    await writeRecords(file, next);
    tell('cleanup', spec, id);
    await store.prune(id, next).catch((error: unknown) => log.warn(`old versions of '${id}' could not be removed: ${errorText(error)}`));
    return { record, existing };
  }

  async function ask(id: string, record: InstallRecord, records: InstallRecords): Promise<void> {
    try {
      await options.preflight?.({ id, record });
    } catch (error) {
      await store.prune(id, records);
      throw durarError('DUR_INSTALL_REFUSED', { id, reason: errorText(error) }, { owner: { extension: id }, cause: error });
    }
  }

  async function updateOne(id: string, { dryRun = false, yes = false }: { dryRun?: boolean; yes?: boolean }): Promise<UpdateReport> {
    return alone(id, async (session) => {
      const record = session.records.plugins[id];
      if (record === undefined)
        throw bundledIds.includes(id) ? durarError('DUR_INSTALL_BUNDLED', { id, action: 'updated' }) : durarError('DUR_INSTALL_NOT_INSTALLED', { id });
      const from = record.resolvedVersion === undefined ? {} : { from: record.resolvedVersion };
      if (record.source === 'link') return { id, status: 'skipped', ...from, record };
      const spec = await parseSpec(record.source === 'npm' ? `npm:${record.spec}` : record.spec, { cwd: paths.stateDir });
      tell('resolve', record.spec, id);
      const resolution = await resolveSource(spec, npm, session.staging);
      if (record.source === 'npm') assertSameContent(record, resolution, yes);
      const hasOwnIdentity = resolution.integrity !== undefined;
      const to = resolution.resolvedVersion === undefined ? {} : { to: resolution.resolvedVersion };
      if (hasOwnIdentity && resolution.integrity === record.integrity) return { id, status: 'unchanged', ...from, ...to, record };
      if (dryRun && record.source === 'npm') return { id, status: 'available', ...from, ...to };
      const found = await prepare(spec, resolution, session);
      if (found.id !== id) throw durarError('DUR_INSTALL_VERIFY', { id, reason: `the new version calls itself '${found.id}'` });
      if (record.source === 'archive') assertSameContent(record, found.resolution, yes);
      const prepared = await complete(found, spec, session);
      const version = prepared.resolution.resolvedVersion === undefined ? {} : { to: prepared.resolution.resolvedVersion };
      if (prepared.digest === record.digest) return { id, status: 'unchanged', ...from, ...version, record };
      if (dryRun) return { id, status: 'available', ...from, ...version };
      await verify(prepared, record.spec);
      const made = await commit(prepared, record.spec, session);
      log.info(`updated '${id}'`, { id, ...from, ...version });
      return { id, status: 'updated', ...from, ...version, record: made.record };
    });
  }

  return {
    async install(text, { link = false, pin = false, force = false, yes = false } = {}) {
      const spec = await parseSpec(text, { link, ...(options.cwd === undefined ? {} : { cwd: options.cwd }) });
      if (spec.source === 'npm' && bundledIds.includes(spec.name)) throw bundled(spec.name);
      return alone(spec.spec, async (session) => {
        tell('resolve', spec.spec);
        const resolution = await resolveSource(spec, npm, session.staging);
        const found = await prepare(spec, resolution, session);
        const existing = session.records.plugins[found.id];
        if (bundledIds.includes(found.id)) throw bundled(found.id);
        if (existing !== undefined) {
          if (!force && !isSameSource(existing, found.resolution)) throw durarError('DUR_INSTALL_EXISTS', { id: found.id, source: describe(existing) });
          if (spec.source === 'npm') assertSameContent(existing, found.resolution, yes);
        }
        const prepared = await complete(found, spec, session);
        const { resolvedName, resolvedVersion } = prepared.resolution;
        if (pin && spec.source === 'npm') prepared.resolution = { ...prepared.resolution, spec: `${resolvedName}@${resolvedVersion}` };
        const verification = await verify(prepared, spec.spec);
        const made = await commit(prepared, spec.spec, session);
        const isSame = made.existing !== undefined && made.existing.root === made.record.root;
        const status = made.existing === undefined ? 'installed' : isSame ? 'unchanged' : 'updated';
        log.info(`${status === 'unchanged' ? 'kept' : status} '${prepared.id}'`, { id: prepared.id, source: made.record.source, version: resolvedVersion });
        const { existing: old } = made;
        const replaced =
          old === undefined || isSame
            ? {}
            : { replaced: { root: old.root, ...(old.resolvedVersion === undefined ? {} : { resolvedVersion: old.resolvedVersion }) } };
        return { id: prepared.id, status, record: made.record, ...replaced, verification };
      });
    },
    update: (id, settings = {}) => updateOne(id, settings),
    async updateAll(settings = {}) {
      const reports: UpdateReport[] = [];
      for (const id of Object.keys((await readRecords(file)).plugins)) {
        reports.push(await updateOne(id, settings).catch((error: unknown): UpdateReport => ({ id, status: 'failed', error: reportError(error) })));
      }
      return reports;
    },
    async uninstall(id, { keepFiles = false, dryRun = false } = {}) {
      return alone(id, async ({ lock, records }) => {
        const record = records.plugins[id];
        if (record === undefined)
          throw bundledIds.includes(id) ? durarError('DUR_INSTALL_BUNDLED', { id, action: 'uninstalled' }) : durarError('DUR_INSTALL_NOT_INSTALLED', { id });
        const { [id]: _removed, ...plugins } = records.plugins;
        const report: UninstallReport = { id, record, removed: [], kept: [], configEdits: configEditsFor(id, record.root) };
        const files = record.source === 'link' ? [] : [record.root];
        if (record.previous?.root.startsWith(join(paths.pluginsDir, 'store'))) files.push(record.previous.root);
        if (record.source === 'link') report.kept.push(record.root);
        report[keepFiles ? 'kept' : 'removed'].push(...files);
        if (dryRun) return report;
        await lock.assertHeld();
        await writeRecords(file, { version: 1, plugins });
        if (!keepFiles) await store.prune(id, { version: 1, plugins });
        log.info(`uninstalled '${id}'`, { id });
        return report;
      });
    },
    async records() {
      return (await readRecords(file)).plugins;
    },
  };

  function bundled(id: string): DurarError {
    return durarError('DUR_INSTALL_BUNDLED', { id, action: 'installed: it is already part of Durar' });
  }
}

/** A package with several entries goes by the name that its entries share. */
function packageId(entries: readonly CatalogEntry[]): string {
  const id = entries[0]?.id ?? '';
  return entries.length > 1 ? (id.split('/')[0] ?? id) : id;
}

function previousOf(existing: InstallRecord | undefined, root: string): Pick<InstallRecord, 'previous'> {
  if (existing === undefined) return {};
  if (existing.root === root) return existing.previous === undefined ? {} : { previous: existing.previous };
  const { digest, resolvedVersion } = existing;
  return { previous: { root: existing.root, digest, ...(resolvedVersion === undefined ? {} : { resolvedVersion }) } };
}

function isSameSource(existing: InstallRecord, next: Resolution): boolean {
  if (existing.source !== next.source) return false;
  return existing.source === 'npm' ? existing.resolvedName === next.resolvedName : existing.source === 'archive' || existing.spec === next.spec;
}

/** A version is a promise that its content never changes. */
function assertSameContent(existing: InstallRecord, next: Resolution, yes: boolean): void {
  const isSameVersion = existing.resolvedName === next.resolvedName && existing.resolvedVersion === next.resolvedVersion;
  if (yes || !isSameVersion || existing.integrity === undefined || existing.integrity === next.integrity) return;
  const spec = existing.resolvedName === undefined ? existing.spec : `${existing.resolvedName}@${existing.resolvedVersion}`;
  throw durarError('DUR_INSTALL_INTEGRITY', { spec, expected: existing.integrity, actual: next.integrity ?? 'none' });
}

function describe(record: InstallRecord): string {
  return record.source === 'npm'
    ? `npm (${record.spec})`
    : `${record.source === 'link' ? 'the linked folder' : record.source === 'archive' ? 'the archive' : 'the folder'} ${record.spec}`;
}
