import { reportError } from '../../../sdk/errors.ts';
import { printFindings } from '../boot-report.ts';
import type { Action } from '../command.ts';
import { readOutlook } from '../planning.ts';

/** `durar config validate`: every error at once, with its place; then what the plan of that configuration finds. */
export const configValidate: Action = async (context) => {
  const { output } = context;
  const { loaded, plan } = await readOutlook(context);
  const errors = loaded.errors.map(reportError);
  const findings = plan.findings.filter(({ level }) => level === 'error');
  const ok = errors.length === 0;
  output.result({ ok, file: loaded.file, exists: loaded.exists, errors, warnings: loaded.warnings.map(reportError), findings }, () => {
    if (ok) output.line(`${output.paint.success('✓')} ${loaded.exists ? loaded.file : `${loaded.file} does not exist; the defaults count`}`);
    else output.failure(errors);
    printFindings(findings, output);
  });
  return ok ? 0 : 1;
};
