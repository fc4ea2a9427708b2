import { durarError } from '../../../sdk/errors.ts';
import { setIn } from '../../config/edit.ts';
import type { Action, CommandContext } from '../command.ts';
import { changeConfig } from '../config-change.ts';
import { readOutlook } from '../planning.ts';
import { listPluginRows } from '../plugin-row.ts';
import { printApplied } from '../reload.ts';
import { suggest } from '../suggest.ts';

/** `durar plugins enable <id>` */
export const pluginsEnable: Action = (context) => setEnabled(context, true);

/** `durar plugins disable <id>` */
export const pluginsDisable: Action = (context) => setEnabled(context, false);

async function setEnabled(context: CommandContext, enabled: boolean): Promise<void> {
  const { output, args } = context;
  const id = args[0] ?? '';
  const ids = listPluginRows(await readOutlook(context)).map((row) => row.id);
  if (!ids.includes(id)) {
    const similar = suggest(id, ids);
    throw durarError('DUR_INSTALL_NOT_INSTALLED', { id }, similar === undefined ? {} : { hint: `Did you mean '${similar}'?` });
  }
  const change = await changeConfig(context, (raw) => setIn(raw, ['plugins', 'entries', id, 'enabled'], enabled));
  const row = listPluginRows(await readOutlook(context)).find((candidate) => candidate.id === id);
  output.result({ ok: true, id, enabled, ...change, status: row?.status, reason: row?.reason }, () => {
    output.line(`${output.paint.success('✓')} ${output.paint.bold(id)} is ${row?.status ?? 'gone'} ${output.paint.muted(`(${row?.reason ?? ''})`)}`);
    if (change.applied !== undefined) printApplied(change.applied, context);
  });
}
