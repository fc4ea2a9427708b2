import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { durarError, errorCode } from '../../../sdk/errors.ts';
import { extractArchive } from '../../install/archive.ts';
import { installDependencies } from '../../install/dependencies.ts';
import { createNpm } from '../../install/npm.ts';
import { readPackageEntries, type VerifyReport, verifyFolder } from '../../install/verify.ts';
import type { Action, CommandContext } from '../command.ts';
import { readOutlook } from '../planning.ts';
import { printable } from '../printable.ts';
import { readHostVersion } from '../version.ts';

interface Target {
  root: string;
  /** What the operator configured for it. */
  pluginConfig?: Record<string, unknown>;
  /** Removes what was unpacked for this run. */
  dispose?(): Promise<void>;
}

/** `durar plugins verify <folder|archive|id>` */
export const pluginsVerify: Action = async (context) => {
  const { output, args, env } = context;
  const progress = output.progress(`verifying ${args[0]}`);
  let target: Target | undefined;
  let report: VerifyReport;
  try {
    target = await findTarget(context, args[0] ?? '');
    readPackageEntries(target.root);
    const { root, pluginConfig } = target;
    report = await verifyFolder({ root, hostVersion: readHostVersion(), env, suites: true, ...(pluginConfig === undefined ? {} : { pluginConfig }) });
  } finally {
    progress.stop();
    await target?.dispose?.();
  }
  output.result(report, () => printReport(report, context));
  return report.ok ? 0 : 1;
};

async function findTarget(context: CommandContext, text: string): Promise<Target> {
  const path = resolve(text);
  const found = await stat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found?.isDirectory()) return { root: path };
  if (found?.isFile()) return unpack(context, path);
  const { plan } = await readOutlook(context);
  const planned = plan.extensions.get(text);
  if (planned === undefined) throw durarError('DUR_INSTALL_NOT_INSTALLED', { id: text }, { hint: 'Name a folder, an archive or an installed id.' });
  return { root: planned.entry.root, pluginConfig: planned.config };
}

async function unpack({ env }: CommandContext, file: string): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), 'durar-verify-'));
  const dispose = () => rm(folder, { recursive: true, force: true });
  const [root, work] = [join(folder, 'package'), join(folder, 'work')];
  try {
    await Promise.all([mkdir(root), mkdir(work)]);
    await extractArchive(file, root);
    await installDependencies({ root, work, npm: createNpm(env), spec: file, onStart: () => undefined });
    return { root, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function printReport(report: VerifyReport, { output }: CommandContext): void {
  const { paint } = output;
  for (const { id, version, contributes, hooks, missing } of report.extensions) {
    output.line(`${paint.bold(id)}${version === undefined ? '' : ` ${version}`}`);
    for (const [kind, keys] of Object.entries(contributes)) output.line(`  ${paint.muted(kind)} ${keys.join(', ')}`);
    if (hooks.length > 0) output.line(`  ${paint.muted('hooks')} ${hooks.join(', ')}`);
    if (missing.length > 0) output.line(`  ${paint.warn('not offered here')} ${missing.join(', ')}`);
  }
  const marks = { pass: paint.success('✓'), fail: paint.error('✗'), skip: paint.muted('-') };
  for (const { status, id, title, code, message, hint, durationMs } of report.checks) {
    const detail = message === undefined ? '' : paint.muted(`: ${message}`);
    output.line(
      `${marks[status]} ${id} ${paint.muted(title)}${status === 'pass' ? paint.muted(` (${durationMs} ms)`) : detail}${code === undefined ? '' : ` ${paint.error(code)}`}`,
    );
    if (status === 'fail' && hint !== undefined) output.line(`    ${hint}`);
  }
  if (report.output !== undefined) output.line(`\n${paint.muted('It printed:')}\n${printable(report.output)}`);
  const count = (status: 'pass' | 'fail' | 'skip') => report.checks.filter((check) => check.status === status).length;
  output.line(`\n${report.ok ? paint.success('passed') : paint.error('failed')}: ${count('pass')} passed, ${count('fail')} failed, ${count('skip')} skipped`);
}
