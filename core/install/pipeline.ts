import { resolve } from 'node:path';
import { DurarError, durarError, errorText } from '../../sdk/errors.ts';
import type { Logger } from '../logging/logger.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';
import { fetchSource, type Resolution } from './acquire.ts';
import { installDependencies } from './dependencies.ts';
import { acquireInstallLock, type InstallLock } from './lock.ts';
import { createNpm, isNoSpace, type Npm } from './npm.ts';
import { type InstallRecord, type InstallRecords, readRecords, recordsFile, writeRecords } from './records.ts';
import type { InstallSpec } from './spec.ts';
import { createStore, digestFolder, type Staging } from './store.ts';
import { readPackageEntries, type VerifyReport, verifyFolder } from './verify.ts';

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
  /** Milliseconds that one step of the verify child may take. */
  verifyTimeoutMs?: number;
  /** Where relative paths start; the working directory when absent. */
  cwd?: string;
}

/** A staged or linked extension that nobody sees yet. */
export interface Prepared {
  id: string;
  resolution: Resolution;
  entries: CatalogEntry[];
  root: string;
  digest: string;
}

export interface Session {
  lock: InstallLock;
  records: InstallRecords;
  staging: Staging;
}

/** The steps that every install goes through, in their order. Nothing is visible before `commit`; whatever fails leaves the old state. */
export interface Pipeline {
  npm: Npm;
  tell(step: InstallProgress['step'], spec: string, detail?: string): void;
  /** Runs `work` as the only installer, with a staging folder that is gone afterwards. */
  alone<Result>(spec: string, work: (session: Session) => Promise<Result>): Promise<Result>;
  /** Fetches the extension's own files and reads its manifest. */
  prepare(spec: InstallSpec, resolution: Resolution, session: Session): Promise<Prepared>;
  /** Adds its dependencies and seals it with a digest. */
  complete(prepared: Prepared, spec: InstallSpec, session: Session): Promise<Prepared>;
  /** Tries it in a process of its own. Throws `DUR_INSTALL_VERIFY`. */
  verify(prepared: Prepared, spec: string): Promise<VerifyReport>;
  /** Makes it what everybody sees, in one step. */
  commit(prepared: Prepared, spec: string, session: Session): Promise<{ record: InstallRecord; existing: InstallRecord | undefined }>;
  read(): Promise<InstallRecords>;
  /** Replaces the records and removes the versions of `id` that nothing points to any more. */
  publish(records: InstallRecords, id: string, session: Pick<Session, 'lock'>, options?: { keepFiles?: boolean }): Promise<void>;
}

export function createPipeline(options: InstallerOptions): Pipeline {
  const { paths, log } = options;
  const store = createStore(paths.pluginsDir);
  const file = recordsFile(paths.stateDir);
  const npm = createNpm(options.env);
  const tell: Pipeline['tell'] = (step, spec, detail) => options.progress?.({ step, spec, ...(detail === undefined ? {} : { detail }) });

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
    const entries = readFetched(staging.root, spec.spec);
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
    const { source } = prepared.resolution;
    const ofSource = (text: string) => (source === 'link' ? text : text.replaceAll(prepared.root, spec));
    const reason = ofSource(failed.message ?? failed.title);
    // What was fetched is gone by then, so a package has to be fetched again to be looked at.
    const isGone = source === 'npm' && failed.hint?.includes(prepared.root) === true;
    const hint = isGone ? `Run \`npm pack ${spec}\` and \`durar plugins verify\` on the file it makes for the whole report.` : ofSource(failed.hint ?? '');
    throw durarError(
      'DUR_INSTALL_VERIFY',
      { id: prepared.id, reason: failed.code === undefined ? reason : `${failed.code}: ${reason}` },
      {
        owner: { extension: prepared.id, ...(source === 'link' ? { file: prepared.root } : {}) },
        details: report,
        ...(hint === '' ? {} : { hint: `${hint} Nothing was changed.` }),
      },
    );
  }

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
    await publish(next, id, session);
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

  async function publish(records: InstallRecords, id: string, { lock }: Pick<Session, 'lock'>, { keepFiles = false } = {}): Promise<void> {
    await lock.assertHeld();
    await writeRecords(file, records);
    tell('cleanup', id);
    if (keepFiles) return;
    await store.prune(id, records).catch((error: unknown) => log.warn(`old versions of '${id}' could not be removed: ${errorText(error)}`));
  }

  return { npm, tell, alone, prepare, complete, verify, commit, publish, read: () => readRecords(file) };
}

/** The staging folder is gone when somebody reads the message, so what is wrong is told of the source. */
function readFetched(root: string, spec: string): CatalogEntry[] {
  try {
    return readPackageEntries(root);
  } catch (error) {
    if (!(error instanceof DurarError)) throw error;
    const { code, message, cause } = error;
    const { extension, pointer } = error.owner;
    const owner = { ...(extension === undefined ? {} : { extension }), ...(pointer === undefined ? {} : { pointer }) };
    const hint = code === 'DUR_MANIFEST_MISSING' ? `It is no extension of Durar; check the name. ${error.hint}` : error.hint;
    throw new DurarError(code, message.replaceAll(root, spec), { hint, owner, cause });
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
