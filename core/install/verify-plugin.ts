import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { durarError, errorCode } from '../../sdk/errors.ts';
import { extractArchive } from './archive.ts';
import { installDependencies } from './dependencies.ts';
import { createNpm } from './npm.ts';
import { readRecords, recordsFile } from './records.ts';
import { type VerifyReport, verifyFolder } from './verify.ts';

export interface VerifyPluginOptions {
  paths: { stateDir: string };
  env: NodeJS.ProcessEnv;
  hostVersion: string;
  cwd?: string;
  /** `plugins.entries.<id>.config` for this run. */
  pluginConfig?: Record<string, unknown>;
  timeoutMs?: number;
}

/**
 * Verifies a folder where it is, an archive, or what is installed under an id, with the contract suites of everything that it contributes.
 * Nothing is installed or changed. Throws `DUR_INSTALL_SPEC` when there is no such thing; what is wrong with it is in the report.
 */
export async function verifyPlugin(target: string, options: VerifyPluginOptions): Promise<VerifyReport> {
  const { paths, env, hostVersion, pluginConfig, timeoutMs } = options;
  const verify = (root: string) =>
    verifyFolder({
      root,
      hostVersion,
      env,
      suites: true,
      ...(pluginConfig === undefined ? {} : { pluginConfig }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  const path = resolve(options.cwd ?? process.cwd(), target);
  const kind = await kindOf(path);
  if (kind === 'folder') return verify(path);
  if (kind === 'file') return inTemporaryFolder(path, env, verify);
  const record = (await readRecords(recordsFile(paths.stateDir))).plugins[target];
  if (record === undefined)
    throw durarError(
      'DUR_INSTALL_SPEC',
      { spec: target, reason: 'there is no such folder, archive or installed extension' },
      { hint: 'Run `durar plugins list` to see what is installed.' },
    );
  return verify(record.root);
}

/** The report as text, one line a check, what went wrong indented below. */
export function formatVerifyReport(report: VerifyReport): string {
  const mark = { pass: 'ok  ', fail: 'FAIL', skip: 'skip' } as const;
  const lines = report.extensions.flatMap(({ id, version, contributes, missing }) => {
    const made = Object.entries(contributes).map(([kind, keys]) => `${kind} ${keys.join(', ')}`);
    return [
      `${id}${version === undefined ? '' : ` ${version}`}: ${made.length === 0 ? 'contributes nothing' : made.join('; ')}`,
      ...(missing.length === 0 ? [] : [`  uses what this version does not offer: ${missing.join(', ')}`]),
    ];
  });
  for (const { id, title, status, code, message, hint } of report.checks) {
    lines.push(`  ${mark[status]} ${id}: ${title}`);
    if (message !== undefined) lines.push(...indent(code === undefined ? message : `${code}: ${message}`));
    if (hint !== undefined) lines.push(...indent(hint));
  }
  if (!report.ok && report.output !== undefined) lines.push('  its output:', ...indent(report.output.trimEnd()));
  const count = (status: keyof typeof mark) => report.checks.filter((check) => check.status === status).length;
  lines.push(`${report.ok ? 'passed' : 'failed'}: ${count('pass')} passed, ${count('fail')} failed, ${count('skip')} skipped`);
  return lines.join('\n');
}

async function inTemporaryFolder(archive: string, env: NodeJS.ProcessEnv, verify: (root: string) => Promise<VerifyReport>): Promise<VerifyReport> {
  const dir = await mkdtemp(join(tmpdir(), 'durar-verify-'));
  try {
    const root = join(dir, 'root');
    await mkdir(root);
    await extractArchive(archive, root);
    await installDependencies({ root, work: join(dir, 'deps'), npm: createNpm(env), spec: archive, onStart() {} });
    return { ...(await verify(root)), root: archive };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function indent(text: string): string[] {
  return text.split('\n').map((line) => `         ${line}`);
}

async function kindOf(path: string): Promise<'folder' | 'file' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
