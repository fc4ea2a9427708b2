import { join } from 'node:path';
import { type DurarError, durarError, type ErrorReport, reportError } from '../../sdk/errors.ts';
import { type Resolution, resolveSource } from './acquire.ts';
import { createPipeline, type InstallerOptions } from './pipeline.ts';
import type { InstallRecord } from './records.ts';
import { parseSpec } from './spec.ts';
import { configEditsFor, type UninstallReport } from './uninstall.ts';
import type { VerifyReport } from './verify.ts';

export type { InstallerOptions, InstallProgress } from './pipeline.ts';
export type { InstallRecord } from './records.ts';
export { recordsFile } from './records.ts';
export type { ConfigEdit, UninstallReport } from './uninstall.ts';
export type { VerifyCheck, VerifyReport } from './verify.ts';

export interface InstallReport {
  id: string;
  status: 'installed' | 'updated' | 'unchanged';
  record: InstallRecord;
  /** The version that was there before. */
  replaced?: { resolvedVersion?: string; root: string };
  verification: VerifyReport;
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

export function createInstaller(options: InstallerOptions): Installer {
  const { paths, bundledIds, log } = options;
  const { npm, tell, alone, prepare, complete, verify, commit, publish, read } = createPipeline(options);

  async function updateOne(id: string, { dryRun = false, yes = false }: { dryRun?: boolean; yes?: boolean }): Promise<UpdateReport> {
    return alone(id, async (session) => {
      const record = session.records.plugins[id];
      if (record === undefined)
        throw bundledIds.includes(id) ? bundled(id, 'updated', 'It comes with Durar and is updated with it.') : durarError('DUR_INSTALL_NOT_INSTALLED', { id });
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
      if (spec.source === 'npm' && bundledIds.includes(spec.name))
        throw bundled(spec.name, 'installed', 'It is there already; `durar plugins list` shows whether it is on.');
      return alone(spec.spec, async (session) => {
        tell('resolve', spec.spec);
        const resolution = await resolveSource(spec, npm, session.staging);
        const found = await prepare(spec, resolution, session);
        const existing = session.records.plugins[found.id];
        if (bundledIds.includes(found.id)) throw bundled(found.id, 'replaced', 'Choose another package; its author has to give it an id of its own.');
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
      for (const id of Object.keys((await read()).plugins)) {
        reports.push(await updateOne(id, settings).catch((error: unknown): UpdateReport => ({ id, status: 'failed', error: reportError(error) })));
      }
      return reports;
    },
    async uninstall(id, { keepFiles = false, dryRun = false } = {}) {
      return alone(id, async (session) => {
        const { records } = session;
        const record = records.plugins[id];
        if (record === undefined) throw bundledIds.includes(id) ? bundled(id, 'uninstalled') : durarError('DUR_INSTALL_NOT_INSTALLED', { id });
        const { [id]: _removed, ...plugins } = records.plugins;
        const report: UninstallReport = { id, record, removed: [], kept: [], configEdits: configEditsFor(id, record.root) };
        const files = record.source === 'link' ? [] : [record.root];
        if (record.previous?.root.startsWith(join(paths.pluginsDir, 'store'))) files.push(record.previous.root);
        if (record.source === 'link') report.kept.push(record.root);
        report[keepFiles ? 'kept' : 'removed'].push(...files);
        if (dryRun) return report;
        await publish({ version: 1, plugins }, id, session, { keepFiles });
        log.info(`uninstalled '${id}'`, { id });
        return report;
      });
    },
    async records() {
      return (await read()).plugins;
    },
  };
}

function bundled(id: string, action: string, hint?: string): DurarError {
  return durarError('DUR_INSTALL_BUNDLED', { id, action }, hint === undefined ? {} : { hint });
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
