import { durarError } from '../../../sdk/errors.ts';
import { suggest } from '../../../sdk/suggest.ts';
import { setIn } from '../../config/edit.ts';
import type { Action, CommandContext } from '../command.ts';
import { changeConfig } from '../config/config-change.ts';
import { printFindings } from '../gateway/boot-report.ts';
import { readOutlook } from '../planning.ts';
import { listPluginRows } from '../plugin-row.ts';
import { awaitGateway, printApplied } from '../reload.ts';

/** `durar plugins enable <id>` */
export const pluginsEnable: Action = (context) => setEnabled(context, true);

/** `durar plugins disable <id>`: also what a slot names; its runs then fail and say so. */
export const pluginsDisable: Action = (context) => setEnabled(context, false);

async function setEnabled(context: CommandContext, enabled: boolean): Promise<void> {
  const { output, args } = context;
  const id = args[0] ?? '';
  const ids = listPluginRows(await readOutlook(context)).map((row) => row.id);
  if (!ids.includes(id)) {
    const similar = suggest(id, ids);
    throw durarError('DUR_INSTALL_NOT_INSTALLED', { id }, similar === undefined ? {} : { hint: `Did you mean '${similar}'?` });
  }
  const change = await changeConfig(context, (raw) => setIn(raw, ['plugins', 'entries', id, 'enabled'], enabled), { lenient: !enabled });
  if (change.applied?.gateway === 'following')
    await awaitGateway(context, (plugins) => plugins.some((plugin) => plugin.id === id && plugin.enabled === enabled));
  const outlook = await readOutlook(context);
  const row = listPluginRows(outlook).find((candidate) => candidate.id === id);
  const broken = outlook.plan.findings.filter((finding) => finding.level === 'error' && finding.owner.extension === id);
  output.result({ ok: true, id, enabled, ...change, status: row?.status, reason: row?.reason, findings: broken }, () => {
    output.line(`${output.paint.success('✓')} ${output.paint.bold(id)} is ${row?.status ?? 'gone'} ${output.paint.muted(`(${row?.reason ?? ''})`)}`);
    if (change.applied !== undefined) printApplied(change.applied, context);
    printFindings(broken, output);
  });
}
