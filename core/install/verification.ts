import { durarError, errorCode, reportError } from '../../sdk/errors.ts';
import { type ContextEngine, type ContributionKind, SLOTS } from '../../sdk/index.ts';
import { silentLogger } from '../logging/logger.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';
import { checkHost } from '../manifest/compat.ts';
import { readExtension } from '../manifest/read.ts';
import { runCanary } from './canary.ts';
import { runFaults } from './faults.ts';
import { checkManifestSchemas } from './manifest-schemas.ts';
import { type Attempt, runSuites } from './suites.ts';
import { createTrial, errorOf, importAlone, type Trial, type TrialOptions, unregistered } from './trial.ts';

/** One thing that was tried. */
export interface VerifyCheck {
  /** `import`, `register`, `canary`, `contract/<port>`, ...; with the extension's id before it when a package holds several. */
  id: string;
  title: string;
  status: 'pass' | 'fail' | 'skip';
  code?: string;
  message?: string;
  hint?: string;
  durationMs: number;
}

export interface VerifyReport {
  ok: boolean;
  root: string;
  /** What was found; empty when the manifest cannot be used or the process died. */
  extensions: Array<{
    id: string;
    format: CatalogEntry['format'];
    version?: string;
    contributes: Partial<Record<ContributionKind, string[]>>;
    hooks: string[];
    /** Members of the ancestor's API that it reached for and that this version does not offer. */
    missing: string[];
  }>;
  checks: VerifyCheck[];
  /** The end of what it printed, when something failed. */
  output?: string;
}

/** Where the process is, for the report of one that dies. */
export interface VerifyStep {
  name: string;
  title: string;
  extension?: string;
}

export interface VerifyJob {
  root: string;
  hostVersion: string;
  suites: boolean;
  stateDir: string;
  pluginConfig?: Record<string, unknown>;
}

export interface VerifyEvents {
  onStep(step: VerifyStep): void;
  onCheck(check: VerifyCheck): void;
  /** What was thrown outside any call so far. */
  strays(): readonly unknown[];
}

/** How long a timer that `register` left behind gets to show that it throws, milliseconds. */
const SETTLE_MS = 50;

type Try = <Result>(name: string, title: string, run: () => Promise<Result> | Result) => Promise<{ value: Result } | undefined>;

/** Does the job in this process. What fails is a check; only a fault of the verifier itself rejects. */
export async function runVerification(job: VerifyJob, events: VerifyEvents): Promise<VerifyReport> {
  const report: VerifyReport = { ok: true, root: job.root, extensions: [], checks: [] };
  const found = readExtension({ path: job.root, origin: 'installed', explicit: true });
  const entries = found?.entries ?? [];
  const add = (check: VerifyCheck) => {
    report.checks.push(check);
    if (check.status === 'fail') report.ok = false;
    events.onCheck(check);
  };
  const tryFor = (extension: string | undefined): Try => {
    return async (name, title, run) => {
      const id = entries.length > 1 && extension !== undefined ? `${extension}:${name}` : name;
      events.onStep({ name, title, ...(extension === undefined ? {} : { extension }) });
      const started = performance.now();
      const finish = (rest: Pick<VerifyCheck, 'status' | 'code' | 'message' | 'hint'>) =>
        add({ id, title, durationMs: Math.round(performance.now() - started), ...rest });
      try {
        const value = await run();
        finish(value instanceof Skip ? { status: 'skip', message: value.reason } : { status: 'pass' });
        return { value };
      } catch (error) {
        finish({ status: 'fail', ...explain(error) });
        return undefined;
      }
    };
  };

  const attempt = tryFor(undefined);
  await attempt('manifest', 'the manifest is complete and its entry may be run', () => {
    if (found?.broken !== undefined) throw errorOf(found.broken.finding);
    if (entries.length === 0) throw durarError('DUR_MANIFEST_MISSING', { root: job.root });
    for (const entry of entries) refuseReserved(entry);
  });
  if (!report.ok) return report;
  for (const entry of entries) await verifyEntry(entry, job, tryFor(entry.id), report);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  await attempt('background', 'nothing is thrown outside a call', () => {
    const [stray] = events.strays();
    if (stray !== undefined)
      throw durarError(
        'DUR_EXT_CRASHED',
        { id: entries[0]?.id, reason: reportError(stray).message },
        { cause: stray, hint: 'Handle errors in timers, streams and events, and await every promise.' },
      );
  });
  return report;
}

async function verifyEntry(entry: CatalogEntry, job: VerifyJob, attempt: Try, report: VerifyReport): Promise<void> {
  const host = await attempt('host', 'it works with this version of Durar', () => {
    const fault = checkHost(entry, job.hostVersion).find((finding) => finding.level === 'error');
    if (fault !== undefined) throw errorOf(fault);
  });
  if (host === undefined) return;
  const schemas = await attempt('schemas', 'its schemas can be compiled and their rules be read', () => checkManifestSchemas(entry));
  if (schemas === undefined) return;
  let module: Promise<unknown> | undefined;
  const load = () => {
    module ??= importAlone(entry);
    return module;
  };
  if (entry.entry !== undefined) {
    const imported = await attempt('import', 'its entry can be imported', load);
    if (imported === undefined) return;
  }
  const trial = await attempt('register', 'register ends, and contributes what the manifest declares', () => openTrial(entry, job, load));
  if (trial === undefined || trial.value instanceof Skip) return;
  const { value } = trial;
  report.extensions.push(describe(entry, value));
  await attempt('declared', 'everything that is declared is registered', () => {
    const absent = unregistered(entry, value.instance);
    const slot = absent.find(({ kind }) => kind in SLOTS);
    if (slot !== undefined)
      throw durarError('DUR_EXT_SHAPE', {
        kind: slot.kind,
        key: slot.key,
        id: entry.id,
        reason: 'the manifest declares it and register does not contribute it',
      });
    return absent.length === 0 ? undefined : new Skip(`not registered without configuration: ${absent.map(({ kind, key }) => `${kind} '${key}'`).join(', ')}`);
  });
  for (const slot of ['contextEngine', 'sessionStore'] as const) await occupy(slot, value, attempt);
  if (job.suites) {
    const open = async (stateDir: string) => createTrial({ ...trialOptions(entry, job, load), stateDir });
    const check: Attempt = (name, title, run) =>
      attempt(name, title, async () => {
        const reason = await run();
        return reason === undefined ? undefined : new Skip(reason);
      });
    const kept = await runSuites(value.instance.draft.contributions, { stateDir: job.stateDir, open }, check);
    for (const { key } of value.contributions('contextEngine')) {
      const sound = kept.some((made) => made.kind === 'contextEngine' && made.key === key);
      if (sound) await runFaults({ key, trial: trialOptions(entry, job, load), attempt: check });
      else await check(`fault/${key}`, `'${key}' stands faults`, async () => 'first it has to keep the contract of its port');
    }
  }
  await attempt('dispose', 'it ends cleanly', async () => {
    const [problem] = await value.dispose();
    if (problem !== undefined) throw problem;
  });
}

/** Without the configuration that its schema requires, an extension may refuse to register with every right. */
async function openTrial(entry: CatalogEntry, job: VerifyJob, load: () => Promise<unknown>): Promise<Trial | Skip> {
  try {
    return await createTrial(trialOptions(entry, job, load));
  } catch (error) {
    if (job.pluginConfig !== undefined || errorCode(error) !== 'DUR_MANIFEST_CONFIG_INVALID') throw error;
    return new Skip(`it needs configuration first: ${reportError(error).message}`);
  }
}

function trialOptions(entry: CatalogEntry, { pluginConfig, stateDir, hostVersion }: VerifyJob, load: () => Promise<unknown>): TrialOptions {
  return { entry, load, stateDir, hostVersion, log: silentLogger, ...(pluginConfig === undefined ? {} : { pluginConfig }) };
}

async function occupy(slot: 'contextEngine' | 'sessionStore', trial: Trial, attempt: Try): Promise<void> {
  for (const { key } of trial.contributions(slot)) {
    const noun = slot === 'contextEngine' ? 'context engine' : 'session store';
    const made = await attempt(`factory/${key}`, `the factory of the ${noun} '${key}' makes one`, () => trial.occupant(slot, key));
    if (made === undefined || slot !== 'contextEngine') continue;
    await attempt(`canary/${key}`, `'${key}' serves a short session`, () => runCanary(key, made.value as ContextEngine));
  }
}

function describe(entry: CatalogEntry, { instance }: Trial): VerifyReport['extensions'][number] {
  const contributes: Partial<Record<ContributionKind, string[]>> = {};
  for (const { kind, key } of instance.draft.contributions) contributes[kind] = [...(contributes[kind] ?? []), key];
  return {
    id: entry.id,
    format: entry.format,
    ...(entry.version === undefined ? {} : { version: entry.version }),
    contributes,
    hooks: [...new Set(instance.draft.taps.map((tap) => tap.hook))],
    missing: [...instance.missing],
  };
}

function refuseReserved(entry: CatalogEntry): void {
  const claimed = [entry.id, ...(entry.declares.contextEngine ?? []), ...(entry.declares.sessionStore ?? [])];
  const reserved: readonly string[] = Object.values(SLOTS).map((slot) => slot.fallback);
  const taken = claimed.find((id) => reserved.includes(id));
  if (taken !== undefined)
    throw durarError('DUR_MANIFEST_RESERVED', { id: taken, root: entry.root }, { owner: { extension: entry.id, file: entry.manifestFile } });
}

/** A slot's failure says where it would hurt; what caused it says what to repair. */
function explain(error: unknown): Pick<VerifyCheck, 'code' | 'message' | 'hint'> {
  const inner = errorCode(error) === 'DUR_SLOT_FAILED' && error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { code, message, hint, cause } = reportError(inner);
  return {
    ...(code === 'DUR_UNKNOWN' || code === 'ERR_ASSERTION' ? {} : { code }),
    message: cause === undefined || message.includes(cause) ? message : `${message}: ${cause}`,
    ...(hint === '' ? {} : { hint }),
  };
}

/** The result of a check that could not be made. */
class Skip {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}
