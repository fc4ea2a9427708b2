import { durarError } from '../../../sdk/errors.ts';
import type { Action, CommandContext } from '../command.ts';
import { countOf } from '../count.ts';
import type { QueueView } from '../gateway-view.ts';
import { openQueue, type QueueAccess } from '../queue-access.ts';
import { describeQueue } from '../queue-view.ts';

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
  withQueue(context, async (queue) => {
    const { output, options } = context;
    const limit = typeof options.limit === 'number' ? { limit: options.limit } : {};
    const result = (await queue.call('queue.list', limit)) as { state: QueueView; entries: Entry[] };
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
  return withQueue(context, async (queue) => {
    const result = (await queue.call('queue.retry', id === undefined ? { all } : { id })) as { ids: string[] };
    context.output.result(result, () =>
      context.output.line(`Trying ${countOf(result.ids.length, 'message')} again${queue.isLive ? '' : ' when the gateway starts'}.`),
    );
  });
};

/** `durar queue drop <id>` */
export const queueDrop: Action = (context) =>
  withQueue(context, async (queue) => {
    const result = (await queue.call('queue.drop', { id: context.args[0] ?? '' })) as { id: string };
    context.output.result(result, () => context.output.line(`Dropped ${result.id}.`));
  });

async function withQueue(context: CommandContext, work: (queue: QueueAccess) => Promise<void>): Promise<void> {
  const queue = await openQueue(context);
  try {
    await work(queue);
  } finally {
    queue.close();
  }
}
