import { existsSync } from 'node:fs';
import type { Action } from '../command.ts';
import { readOutlook } from '../planning.ts';
import { listPluginRows, type PluginRow } from '../plugin-row.ts';
import { oneLine } from '../printable.ts';

const CELL = 60;

/** `durar plugins list` */
export const pluginsList: Action = async (context) => {
  const { output, options } = context;
  const outlook = await readOutlook(context);
  const plugins = listPluginRows(outlook);
  output.result({ plugins, findings: outlook.plan.findings }, () => {
    const { paint } = output;
    const colour: Record<PluginRow['status'], (text: string) => string> = { on: paint.success, off: paint.muted, failed: paint.error, broken: paint.error };
    output.table(
      ['id', 'version', 'origin', 'status', 'provides', 'reason', ...(options.verbose ? ['folder'] : [])],
      plugins.map((row) => [
        oneLine(row.id, CELL),
        oneLine(row.version ?? '-', CELL),
        row.origin,
        colour[row.status](row.status),
        oneLine(row.provides.join(', ') || '-', CELL),
        oneLine(row.reason, row.status === 'broken' || row.status === 'failed' ? 200 : CELL),
        ...(options.verbose ? [row.root] : []),
      ]),
    );
    if (plugins.some(({ status }) => status === 'failed' || status === 'broken'))
      output.note(`\n${paint.warn('!')} Some do not work; \`durar doctor\` says how to repair them.`);
  });
  // To read must not make a profile.
  if (existsSync(context.paths.stateDir)) await outlook.catalog.saveIndex();
};
