import { readFile } from 'node:fs/promises';
import { durarError, errorText } from '../../../sdk/errors.ts';
import { createSecretFields } from '../../secrets/activate.ts';
import { parsePlan } from '../../secrets/plan.ts';
import type { Action, CommandContext } from '../command.ts';
import { countOf } from '../count.ts';
import { readOutlook } from '../planning.ts';
import { printApplied } from '../reload.ts';
import { type AppliedPlan, applyPlan } from '../secrets/secret-apply.ts';

interface ApplyOptions {
  from?: string;
  dryRun?: true;
  allowExec?: true;
}

/** `durar secrets apply` */
export const secretsApply: Action = async (context) => {
  const { from, dryRun, allowExec } = context.options as ApplyOptions;
  if (from === undefined)
    throw durarError('DUR_CLI_USAGE', { reason: '--from is missing' }, { hint: 'Make a plan with `durar secrets configure --plan-out <file>`.' });
  const text = await readFile(from, 'utf8').catch((cause: unknown) => {
    throw durarError('DUR_SECRETS_PLAN', { reason: errorText(cause) }, { owner: { file: from }, cause });
  });
  const { catalog } = await readOutlook(context);
  const plan = parsePlan(text, createSecretFields(catalog.entries));
  reportPlan(context, await applyPlan(context, plan, { dryRun: dryRun === true, allowExec: allowExec === true }));
};

/** Tells what became of a plan. */
export function reportPlan(context: CommandContext, report: AppliedPlan): void {
  const { output } = context;
  output.result(report, () => {
    const { paint } = output;
    const { mode, changed, changedFiles, targets, checks, warnings, applied } = report;
    if (!changed) output.line(`${paint.success('✓')} Everything stands there already; nothing was written.`);
    else if (mode === 'dry-run') output.line(`${paint.success('✓')} It would work; nothing was written. These files would change:`);
    else output.line(`${paint.success('✓')} ${countOf(targets, 'reference')} written, no old text kept:`);
    for (const file of changedFiles) output.line(`  ${paint.info(file)}`);
    for (const warning of warnings) output.note(`${paint.warn('!')} ${warning}`);
    if (checks.skippedExecRefs > 0)
      output.note(paint.muted(`${countOf(checks.skippedExecRefs, 'exec reference')} not checked; --allow-exec runs their commands.`));
    if (applied !== undefined) printApplied(applied, context);
  });
}
