import { type ContextInspection, formatContextDetail, formatContextJson, formatContextList } from '../../agent/context-report.ts';
import type { Action } from '../command.ts';
import { printable } from '../printable.ts';
import { openRpc } from '../rpc.ts';

/** `durar context list|detail|json [session]` */
const inspect =
  (format: (inspection: ContextInspection) => string): Action =>
  async (context) => {
    const { output, args } = context;
    const rpc = await openRpc(context);
    try {
      const inspection = (await rpc.call('sessions.context', { key: args[0] ?? 'main' })) as ContextInspection;
      output.result(inspection, () => output.line(printable(format(inspection))));
    } finally {
      rpc.close();
    }
  };

export const contextList = inspect(formatContextList);
export const contextDetail = inspect(formatContextDetail);
export const contextJson = inspect(formatContextJson);
