import { type ContextInspection, formatContextDetail, formatContextJson, formatContextList } from '../../agent/ledger/context-report.ts';
import type { TurnRecord, TurnSummary } from '../../agent/ledger/ledger.ts';
import { formatTurn, formatTurns } from '../../agent/ledger/ledger-text.ts';
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

/** `durar context why [turn] [--session <key>]` */
export const contextWhy: Action = async (context) => {
  const { output, args, options } = context;
  const { session } = options as { session?: string };
  const rpc = await openRpc(context);
  try {
    const [turn] = args;
    const params = { ...(session === undefined ? {} : { key: session }), ...(turn === undefined ? {} : { turn }) };
    const record = (await rpc.call('sessions.turn', params)) as TurnRecord;
    output.result(record, () => output.line(printable(formatTurn(record))));
  } finally {
    rpc.close();
  }
};

/** `durar context turns [session] [--limit <count>]` */
export const contextTurns: Action = async (context) => {
  const { output, args, options } = context;
  const { limit } = options as { limit?: number };
  const rpc = await openRpc(context);
  try {
    const listed = (await rpc.call('sessions.turns', { key: args[0] ?? 'main', ...(limit === undefined ? {} : { limit }) })) as {
      key: string;
      turns: TurnSummary[];
    };
    output.result(listed, () => output.line(printable(formatTurns(listed))));
  } finally {
    rpc.close();
  }
};
