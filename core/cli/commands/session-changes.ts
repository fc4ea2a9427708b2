import { durarError } from '../../../sdk/errors.ts';
import type { Action, CommandContext } from '../command.ts';
import { openRpc, type Rpc } from '../rpc.ts';

/** Flag of `durar sessions patch` -> field of `sessions.patch`. */
const FIELDS: Readonly<Record<string, string>> = {
  label: 'label',
  model: 'model',
  thinking: 'thinkingLevel',
  verbose: 'verboseLevel',
  reasoning: 'reasoningLevel',
  sendPolicy: 'sendPolicy',
};
/** Clears a field. */
const NOTHING = 'none';

/** `durar sessions patch <key> [--label <text>] [--model <ref>] ...` */
export const sessionsPatch: Action = (context) =>
  withRpc(context, async (rpc, key) => {
    const { options, output } = context;
    const fields = Object.entries(FIELDS).flatMap(([flag, field]) => {
      const value = options[flag];
      return value === undefined ? [] : [[field, value === NOTHING ? null : value] as const];
    });
    if (fields.length === 0) throw durarError('DUR_CLI_USAGE', { reason: 'nothing to change was named' }, { hint: 'Add --label, --model or another option.' });
    const result = (await rpc.call('sessions.patch', { key, ...Object.fromEntries(fields) })) as {
      key: string;
      resolved: { modelProvider: string; model: string };
    };
    output.result(result, () => output.line(`Changed ${result.key}; its model is ${result.resolved.modelProvider}/${result.resolved.model}.`));
  });

/** `durar sessions reset [key]` */
export const sessionsReset: Action = (context) =>
  withRpc(context, async (rpc, key) => {
    const result = (await rpc.call('sessions.reset', { key, reason: 'reset' })) as { key: string };
    context.output.result(result, () => context.output.line(`${result.key} starts over; what was said before is kept as an archive.`));
  });

/** `durar sessions delete <key> [--keep-transcript]` */
export const sessionsDelete: Action = (context) =>
  withRpc(context, async (rpc, key) => {
    const { output, options } = context;
    const result = (await rpc.call('sessions.delete', { key, deleteTranscript: options.keepTranscript !== true })) as {
      key: string;
      deleted: boolean;
      archived: string[];
    };
    output.result(result, () => {
      output.line(result.deleted ? `Deleted ${result.key}.` : `There is no session ${result.key}.`);
      for (const file of result.archived) output.line(output.paint.muted(`  ${file}`));
    });
    return result.deleted ? 0 : 1;
  });

/** `durar sessions compact [key]` */
export const sessionsCompact: Action = (context) =>
  withRpc(context, async (rpc, key) => {
    const { output } = context;
    // it waits for the session's turns, then for a model
    const result = (await rpc.call('sessions.compact', { key }, { expectFinal: true })) as { key: string; compacted: boolean; kept?: number; reason?: string };
    output.result(result, () =>
      output.line(
        result.compacted
          ? `Compacted ${result.key}: ${result.kept} messages are left.`
          : `${result.key} is as it was: ${result.reason ?? 'nothing to compact'}.`,
      ),
    );
  });

/** `durar sessions abort [key]` */
export const sessionsAbort: Action = (context) =>
  withRpc(context, async (rpc, key) => {
    const result = (await rpc.call('sessions.abort', { key })) as { abortedRunId: string | null };
    const { abortedRunId } = result;
    context.output.result(result, () => context.output.line(abortedRunId === null ? `Nothing runs in ${key}.` : `Stopped the run ${abortedRunId}.`));
  });

async function withRpc(context: CommandContext, work: (rpc: Rpc, key: string) => Promise<number | void>): Promise<number | void> {
  const rpc = await openRpc(context);
  try {
    return await work(rpc, context.args[0] ?? 'main');
  } finally {
    rpc.close();
  }
}
