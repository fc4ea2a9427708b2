import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DurarError, durarError } from '../../sdk/errors.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';
import { readExtension } from '../manifest/read.ts';
import { startPrivateProcess } from './private-process.ts';
import type { VerifyCheck, VerifyJob, VerifyReport, VerifyStep } from './verification.ts';

export type { VerifyCheck, VerifyReport } from './verification.ts';

/** Of one step; how many there are depends on what the extension brings. */
const TIME_LIMIT_MS = 30_000;
const SUITES_LIMIT_MS = 90_000;
const OUTPUT_LIMIT = 8_000;

export interface VerifyOptions {
  root: string;
  hostVersion: string;
  env: NodeJS.ProcessEnv;
  /** Run the contract suites of everything it contributes, not only load it. */
  suites: boolean;
  /** `plugins.entries.<id>.config` for this run. */
  pluginConfig?: Record<string, unknown>;
  /** Milliseconds that one step may take. */
  timeoutMs?: number;
}

/** The extensions of one folder. Throws the coded failure of a manifest that cannot be used. */
export function readPackageEntries(root: string): CatalogEntry[] {
  const result = readExtension({ path: root, origin: 'installed', explicit: true });
  if (result?.broken !== undefined) {
    const { code, message, hint, owner } = result.broken.finding;
    throw new DurarError(code, message, { hint, owner });
  }
  if (result === undefined || result.entries.length === 0) throw durarError('DUR_MANIFEST_MISSING', { root }, { owner: { file: root } });
  return result.entries;
}

/**
 * Loads an extension in a process of its own, with a state folder of its own, and tries what it contributes. What it does there, ending or
 * blocking the process included, is a failed check. Rejects only when the process cannot be started.
 */
export async function verifyFolder(options: VerifyOptions): Promise<VerifyReport> {
  const stateDir = await mkdtemp(join(tmpdir(), 'durar-verify-'));
  try {
    return await runChild(options, stateDir);
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
}

type Message = { type: 'durar.verify'; step: VerifyStep } | { type: 'durar.verify'; check: VerifyCheck } | { type: 'durar.verify'; report: VerifyReport };

async function runChild(options: VerifyOptions, stateDir: string): Promise<VerifyReport> {
  const { root, hostVersion, suites, pluginConfig } = options;
  const job: VerifyJob = { root, hostVersion, suites, stateDir, ...(pluginConfig === undefined ? {} : { pluginConfig }) };
  const limit = options.timeoutMs ?? (suites ? SUITES_LIMIT_MS : TIME_LIMIT_MS);
  const { child, end } = startPrivateProcess('core/install/verify-child', { stateDir, env: options.env, job });
  const started = performance.now();
  const checks: VerifyCheck[] = [];
  let step: VerifyStep = { name: 'start', title: 'the process starts' };
  let report: VerifyReport | undefined;
  let output = '';
  let isLate = false;
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_LIMIT);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.on('message', (message) => {
    if (!isOurs(message)) return;
    timer.refresh();
    if ('report' in message) report = message.report;
    else if ('check' in message) checks.push(message.check);
    else step = message.step;
  });
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, limit);
  try {
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, exitSignal) => resolve([exitCode, exitSignal]));
    });
    end();
    if (report !== undefined) return output === '' || report.ok ? report : { ...report, output };
    const error = ended(root, step, isLate ? { limit } : { code, signal });
    const failed: VerifyCheck = {
      id: step.name,
      title: step.title,
      status: 'fail',
      code: error.code,
      message: error.message,
      hint: error.hint,
      durationMs: Math.round(performance.now() - started),
    };
    return { ok: false, root, extensions: [], checks: [...checks, failed], ...(output === '' ? {} : { output }) };
  } finally {
    clearTimeout(timer);
  }
}

/** The error of a process that gave no report. */
function ended(root: string, step: VerifyStep, how: { limit: number } | { code: number | null; signal: NodeJS.Signals | null }): DurarError {
  const id = step.extension ?? root;
  const owner = { owner: { extension: id, file: root } };
  if ('limit' in how) {
    if (step.name === 'import') return durarError('DUR_EXT_IMPORT_TIMEOUT', { id, ms: how.limit }, owner);
    if (step.name === 'register') return durarError('DUR_EXT_REGISTER_TIMEOUT', { id, ms: how.limit }, owner);
    return durarError('DUR_HOOK_TIMEOUT', { id, hook: step.name, ms: how.limit }, owner);
  }
  const reason = how.signal === null ? `it ended the process with code ${how.code}` : `the process was ended by ${how.signal}`;
  if (step.name === 'import') return durarError('DUR_EXT_IMPORT_FAILED', { id, reason, root }, owner);
  if (step.name === 'register') return durarError('DUR_EXT_REGISTER_FAILED', { id, reason }, owner);
  return durarError('DUR_HOOK_FAILED', { id, hook: step.name, reason }, owner);
}

function isOurs(message: unknown): message is Message {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'durar.verify';
}
