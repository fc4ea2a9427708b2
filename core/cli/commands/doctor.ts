import type { Check } from '../check.ts';
import type { Action, CommandContext } from '../command.ts';
import { countOf } from '../count.ts';
import { type DiagnosisOptions, diagnose } from '../diagnosis.ts';

/** `durar doctor`: 1 when anything keeps Durar from working. */
export const doctor: Action = (context) => run(context, { fix: context.options.fix === true || context.options.repair === true, scope: 'all' });

/** `durar plugins doctor` */
export const pluginsDoctor: Action = (context) => run(context, { fix: false, scope: 'plugins' });

async function run(context: CommandContext, options: DiagnosisOptions): Promise<number> {
  const { output } = context;
  const progress = output.progress('looking');
  const checks = await diagnose(context, options).finally(() => progress.stop());
  const ok = !checks.some(({ status }) => status === 'error');
  output.result({ ok, checks }, () => {
    const { paint } = output;
    const marks: Record<Check['status'], string> = { ok: paint.success('✓'), info: paint.muted('·'), warn: paint.warn('!'), error: paint.error('✗') };
    for (const { status, message, hint, code } of checks) {
      output.line(`${marks[status]} ${message}${code === undefined ? '' : paint.muted(` (${code})`)}`);
      if (hint !== undefined && status !== 'ok') output.line(`  ${paint.muted('→')} ${hint}`);
    }
    output.line(
      ok
        ? paint.success('\nNothing keeps Durar from working.')
        : paint.error(`\n${countOf(checks.filter(({ status }) => status === 'error').length, 'problem')}.`),
    );
  });
  return ok ? 0 : 1;
}
