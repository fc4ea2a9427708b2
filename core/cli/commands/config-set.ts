import { type DurarError, durarError, errorCode, reportError } from '../../../sdk/errors.ts';
import { parsePath } from '../../config/config-path.ts';
import { setIn, unsetIn } from '../../config/edit.ts';
import type { Action, CommandContext } from '../command.ts';
import { type ConfigChange, changeConfig } from '../config/config-change.ts';
import { printEffect } from '../config/config-effect.ts';
import { type ConfigOperation, readOperations, type SetOptions } from '../config/config-input.ts';
import type { RefCheck } from '../config/config-refs.ts';
import { printApplied } from '../reload.ts';

/** `durar config set <path> <value>`, and its forms for references, secret providers and batches. */
export const configSet: Action = async (context) => {
  const operations = await readOperations(context.args, context.options as SetOptions);
  const name = operations.length === 1 ? context.args[0] : `${operations.length} values`;
  const edit = (raw: string) => operations.reduce((text, { path, value }) => setIn(text, path, value), raw);
  return change(context, operations, edit, { changed: `${name} is set`, same: `${name} has that value already` });
};

/** `durar config unset <path>` */
export const configUnset: Action = async (context) => {
  const { args } = context;
  const path = parsePath(args[0] ?? '');
  return change(context, [], (raw) => unsetIn(raw, path), { changed: `${args[0]} is removed; its default counts`, same: `${args[0]} was not set` });
};

interface Sentences {
  changed: string;
  same: string;
}

async function change(context: CommandContext, operations: ConfigOperation[], edit: (raw: string) => string, says: Sentences): Promise<number> {
  const { options } = context;
  if (options.dryRun !== true) {
    if (options.allowExec === true) throw durarError('DUR_CLI_USAGE', { reason: '--allow-exec goes with --dry-run only' });
    const done = await changeConfig(context, edit);
    report(context, done, done.changed ? says.changed : says.same);
    return 0;
  }
  try {
    const done = await changeConfig(context, edit, { dryRun: true });
    const refs = done.candidate === undefined ? undefined : await (await import('../config/config-refs.ts')).checkRefs(context, done.candidate, operations);
    return reportTrial(context, operations, done, refs, says.same);
  } catch (error) {
    if (options.json !== true || !errorCode(error)?.startsWith('DUR_CONFIG_')) throw error;
    return reportTrial(context, operations, error as DurarError, undefined, '');
  }
}

function report(context: CommandContext, { candidate: _candidate, ...done }: ConfigChange, sentence: string): void {
  const { output } = context;
  output.result({ ok: true, dryRun: false, ...done }, () => {
    output.line(`${output.paint.success('✓')} ${sentence}.`);
    if (done.applied !== undefined) printApplied(done.applied, context);
  });
}

function reportTrial(
  context: CommandContext,
  operations: ConfigOperation[],
  done: ConfigChange | DurarError,
  refs: RefCheck | undefined,
  same: string,
): number {
  const { output, paths } = context;
  const failure = done instanceof Error ? done : undefined;
  const problems = refs?.problems ?? [];
  const ok = failure === undefined && problems.length === 0;
  const all = failure === undefined ? [] : failure.code === 'DUR_CONFIG_REFUSED' ? (failure.details as DurarError[]) : [failure];
  const trial: ConfigChange = done instanceof Error ? { changed: false, file: paths.configFile } : done;
  const { candidate: _candidate, ...rest } = trial;
  const document = {
    ok,
    dryRun: true,
    ...rest,
    operations: Math.max(operations.length, 1),
    configPath: paths.configFile,
    inputModes: [...new Set(operations.map(({ mode }) => mode))],
    checks: { schema: failure === undefined, resolvability: problems.length === 0, resolvabilityComplete: (refs?.skippedExec ?? 0) === 0 },
    refsChecked: refs?.checked ?? 0,
    skippedExecRefs: refs?.skippedExec ?? 0,
    errors: [
      ...all.map((error) => ({ kind: 'schema', message: error.message, error: reportError(error) })),
      ...problems.map((each) => ({ kind: 'resolvability', ...each })),
    ],
  };
  output.result(document, () => {
    const { paint } = output;
    if (!ok) for (const { message, ref } of problems) output.note(`${paint.error('✗')} ${ref}: ${message}`);
    else output.line(`${paint.success('✓')} ${rest.changed ? 'It would be accepted; nothing was written' : same}.`);
    const skipped = refs?.skippedExec ?? 0;
    if (skipped > 0) output.note(paint.muted(`${skipped} exec references were not checked; --allow-exec runs their commands.`));
    if (ok && rest.effect !== undefined) printEffect(rest.effect, output);
  });
  return ok ? 0 : 1;
}
