import { createSecretFields } from '../../secrets/activate.ts';
import { type AuditFinding, type AuditReport, auditSecrets } from '../../secrets/audit.ts';
import { readSecretFiles } from '../../secrets/stored-files.ts';
import type { Action } from '../command.ts';
import { knownVariables } from '../config/known-variables.ts';
import { countOf } from '../count.ts';
import type { Output } from '../output.ts';
import { readOutlook } from '../planning.ts';
import { printable } from '../printable.ts';
import { resolveHere } from '../secrets/local-sources.ts';
import { isServed } from '../served.ts';

const EXIT_FINDINGS = 1;
const EXIT_UNRESOLVED = 2;

/** `durar secrets audit` */
export const secretsAudit: Action = async (context) => {
  const { output, paths, env } = context;
  const { check, allowExec } = context.options as { check?: true; allowExec?: true };
  const outlook = await readOutlook(context);
  const { loaded, catalog, plan } = outlook;
  const broken = loaded.errors.find(({ code }) => code === 'DUR_CONFIG_SYNTAX' || code === 'DUR_CONFIG_UNREADABLE' || code === 'DUR_CONFIG_INCLUDE');
  if (broken !== undefined) throw broken;
  const report = await auditSecrets({
    files: await readSecretFiles({ paths, config: loaded.config }),
    config: loaded.config,
    fields: createSecretFields(catalog.entries),
    facts: { env, isServed: isServed(plan) },
    variables: knownVariables(outlook),
    allowExec: allowExec === true,
    resolve: (refs) => resolveHere(context, outlook, refs),
  });
  output.result(report, () => printReport(report, output));
  if (check !== true || report.status === 'clean') return 0;
  return report.status === 'unresolved' ? EXIT_UNRESOLVED : EXIT_FINDINGS;
};

const TITLES: ReadonlyArray<readonly [AuditFinding['code'], string]> = [
  ['REF_UNRESOLVED', 'References that do not resolve'],
  ['PLAINTEXT_FOUND', 'Secrets in plain text'],
  ['REF_SHADOWED', 'References that a stored credential hides'],
  ['LEGACY_RESIDUE', 'Leftovers and reminders'],
];

function printReport({ status, findings, resolution, summary, filesScanned }: AuditReport, output: Output): void {
  const { paint } = output;
  for (const [code, title] of TITLES) {
    const mine = findings.filter((finding) => finding.code === code);
    if (mine.length === 0) continue;
    output.line(`${paint.accent(title)} ${paint.muted(`${code} (${mine.length})`)}`);
    for (const [file, inFile] of Map.groupBy(mine, (finding) => finding.file)) {
      output.line(`  ${printable(file)}`);
      for (const { severity, jsonPath, message, hint, owner } of inFile) {
        const mark = severity === 'error' ? paint.error('✗') : severity === 'warn' ? paint.warn('!') : paint.muted('·');
        const by = owner === 'host' ? '' : paint.muted(`  (${owner})`);
        output.line(`    ${mark} ${paint.bold(printable(jsonPath))}${by}  ${printable(message)}`);
        output.line(paint.muted(`      ${printable(hint)}`));
      }
    }
    output.line();
  }
  const { plaintextCount, unresolvedRefCount, shadowedRefCount, legacyResidueCount } = summary;
  const counts = `${plaintextCount} in plain text, ${unresolvedRefCount} unresolved, ${shadowedRefCount} hidden, ${legacyResidueCount} left over`;
  output.line(
    status === 'clean' ? `${paint.success('✓')} No secret is in plain text, and every reference that was checked resolves.` : `${paint.warn('!')} ${counts}`,
  );
  output.line(paint.muted(`${countOf(filesScanned.length, 'file')} read, ${countOf(resolution.refsChecked, 'reference')} checked.`));
  if (resolution.skippedExecRefs > 0)
    output.line(paint.muted(`${countOf(resolution.skippedExecRefs, 'exec reference')} skipped; --allow-exec runs their commands.`));
}
