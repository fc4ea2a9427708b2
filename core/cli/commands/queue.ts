import { durarError } from '../../../sdk/errors.ts';
import type { Action, CommandContext } from '../command.ts';
import { countOf } from '../count.ts';
import type { QueueView } from '../gateway-view.ts';
import { describeQueue } from '../queue-view.ts';
import { openRpc, type Rpc } from '../rpc.ts';

interface Entry {
  id: string;
  box: 'inbox' | 'outbox';
  state: string;
  sessionKey?: string;
  channel?: string;
  to?: string;
  text: string;
  attempts: number;
  since: number;
  lastError?: string;
}

/** `durar queue list [--limit <count>]` */
export const queueList: Action = (context) =>
  withRpc(context, async (rpc) => {
    const { output, options } = context;
    const limit = options.limit === undefined ? {} : { limit: options.limit };
    const result = (await rpc.call('queue.list', limit)) as { state: QueueView; entries: Entry[] };
    output.result(result, () => {
      const { paint } = output;
      const { state, entries } = result;
      output.line(describeQueue(state));
      for (const { lane, running, waiting } of state.lanes) output.line(paint.muted(`  lane ${lane}: ${running} running, ${waiting} waiting`));
      for (const entry of entries) {
        const shown = entry.state === 'dead' ? paint.error('given up') : entry.state;
        const where = [entry.box === 'inbox' ? 'message' : 'reply', entry.channel, entry.to, entry.sessionKey].filter((part) => part !== undefined);
        output.line(
          `${entry.id}  ${shown}, ${countOf(entry.attempts, 'attempt')}, since ${new Date(entry.since).toISOString()}  ${paint.muted(where.join(' '))}`,
        );
        if (entry.text !== '') output.line(`  ${entry.text}`);
        if (entry.lastError !== undefined) output.line(`  ${paint.warn(entry.lastError)}`);
      }
    });
  });

/** `durar queue retry <id> | --all` */
export const queueRetry: Action = (context) => {
  const [id] = context.args;
  const all = context.options.all === true;
  if ((id === undefined) !== all) {
    throw durarError('DUR_CLI_USAGE', { reason: 'it is not said what to retry' }, { hint: 'Name an id of `durar queue list`, or give --all.' });
  }
  return withRpc(context, async (rpc) => {
    const result = (await rpc.call('queue.retry', id === undefined ? { all } : { id })) as { ids: string[] };
    context.output.result(result, () => context.output.line(`Trying ${countOf(result.ids.length, 'message')} again.`));
  });
};

/** `durar queue drop <id>` */
export const queueDrop: Action = (context) =>
  withRpc(context, async (rpc) => {
    const result = (await rpc.call('queue.drop', { id: context.args[0] })) as { id: string };
    context.output.result(result, () => context.output.line(`Dropped ${result.id}.`));
  });

async function withRpc(context: CommandContext, work: (rpc: Rpc) => Promise<void>): Promise<void> {
  const rpc = await openRpc(context);
  try {
    await work(rpc);
  } finally {
    rpc.close();
  }
}
