import { getAt, type Segment } from '../../config/config-path.ts';
import { unsetIn } from '../../config/edit.ts';
import { parseText } from '../../config/parse.ts';
import type { ConfigEdit } from '../../install/installer.ts';
import type { Action } from '../command.ts';
import { changeConfig } from '../config/config-change.ts';
import { withInstaller } from '../installing.ts';
import { printApplied, reloadGateway } from '../reload.ts';

/** `durar plugins uninstall <id>`: the configuration first, so that nothing points at what is gone. */
export const pluginsUninstall: Action = async (context) => {
  const { output, args, paths } = context;
  const { dryRun, ...keep } = context.options as { dryRun?: true; keepFiles?: true; keepConfig?: true };
  const keepFiles = keep.keepFiles === true || keep.keepConfig === true;
  const id = args[0] ?? '';
  const { report, change } = await withInstaller(context, async (installer) => {
    const plan = await installer.uninstall(id, { keepFiles, dryRun: true });
    const edit = (raw: string) => applyEdits(raw, plan.configEdits, paths.configFile);
    const edited = await changeConfig(context, edit, { dryRun: dryRun === true });
    return { change: edited, report: dryRun ? plan : await installer.uninstall(id, { keepFiles }) };
  });
  const applied = dryRun ? undefined : await reloadGateway(context);
  const ok = applied?.gateway !== 'refused';
  output.result({ ok, dryRun: dryRun === true, id, removed: report.removed, kept: report.kept, configChanged: change.changed, ...applied }, () => {
    const { paint } = output;
    output.line(`${paint.success('✓')} ${paint.bold(id)} ${dryRun ? 'would be removed' : 'is removed'}`);
    for (const path of report.removed) output.line(`  ${paint.muted('removed')} ${path}`);
    for (const path of report.kept) output.line(`  ${paint.muted('kept')} ${path}`);
    if (change.changed) output.line(`  ${paint.muted('cleaned')} ${paths.configFile}`);
    if (applied !== undefined) printApplied(applied, context);
  });
  return ok ? 0 : 1;
};

/** Applies what matches; the text stays as it is where nothing does. */
async function applyEdits(raw: string, edits: readonly ConfigEdit[], file: string): Promise<string> {
  let text = raw;
  for (const edit of edits) {
    const value = getAt(await parseText(text, file), edit.path);
    if (value === undefined) continue;
    if (edit.action === 'unset') text = unsetIn(text, edit.path);
    else if (edit.action === 'unset-if') text = typeof value === 'string' && edit.values.includes(value) ? unsetIn(text, edit.path) : text;
    else if (Array.isArray(value)) text = removeItem(text, edit.path, value, edit.item);
  }
  return text;
}

/** From the end, so that earlier places stay true. An emptied list is an explicit nothing and stays. */
function removeItem(text: string, path: readonly Segment[], list: readonly unknown[], item: string): string {
  const places = list.flatMap((value, place) => (value === item ? [place] : [])).reverse();
  return places.reduce((rest, place) => unsetIn(rest, [...path, place]), text);
}
