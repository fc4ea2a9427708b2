import { durarError } from '../../../sdk/errors.ts';
import { readDuration } from '../../agent/duration.ts';
import { type Comparison, comparisonTable } from '../../agent/shadow/comparison.ts';
import type { Action } from '../command.ts';
import { countOf } from '../count.ts';
import type { Output } from '../output.ts';
import { printable } from '../printable.ts';
import { openRpc } from '../rpc.ts';

const DURATION = /^(\d+(\.\d+)?(ms|s|m|h|d|w))+$/;

/** `durar context compare` */
export const contextCompare: Action = async (context) => {
  const { output } = context;
  const { session, since } = context.options as { session?: string; since?: string };
  if (since !== undefined && !DURATION.test(since)) throw durarError('DUR_CLI_USAGE', { reason: `--since takes a duration such as 90m or 7d, not '${since}'` });
  const rpc = await openRpc(context);
  try {
    const comparison = (await rpc.call('sessions.compare', {
      ...(session === undefined ? {} : { key: session }),
      ...(since === undefined ? {} : { since: Math.max(0, Date.now() - readDuration(since, 1)) }),
    })) as Comparison;
    output.result(comparison, () => printComparison(comparison, output));
    if (comparison.turns === 0)
      output.note(
        '\nNothing was compared yet. Run another engine beside the active one with `durar config set plugins.slots.contextEngineShadow <id>`, then talk.',
      );
  } finally {
    rpc.close();
  }
};

/** One table and one line for each pair of engines. */
export function printComparison({ turns, groups }: Comparison, output: Output): void {
  if (turns === 0) output.line('0 turns compared');
  for (const [place, group] of groups.entries()) {
    if (place > 0) output.line();
    const { header, rows } = comparisonTable(group);
    const notes = [
      group.skipped > 0 ? `${group.skipped} not compared` : undefined,
      group.disabled > 0 ? output.paint.warn(`given up in ${countOf(group.disabled, 'session')} until the next reload`) : undefined,
    ].filter((note) => note !== undefined);
    output.line([`${countOf(group.turns, 'turn')} of ${countOf(group.sessions, 'session')} compared`, ...notes].join(', '));
    output.table(
      header,
      rows.map((row) => row.map(printable)),
    );
    output.line(printable(group.verdict));
  }
}
