import { durarError } from '../../../sdk/errors.ts';
import type { ResolvedTarget } from '../../../sdk/index.ts';
import { accountOf, channelOf } from '../channel-options.ts';
import type { Action } from '../command.ts';
import { type LocalChannels, openLocalChannels } from '../local-channels.ts';
import { oneLine } from '../printable.ts';
import { describeUnavailable, UNAVAILABLE } from '../secrets/secret-lookup.ts';

const TEXT_WIDTH = 80;
const OUTBOUND = ['sendText', 'sendMedia', 'sendPoll', 'editText', 'deleteMessage', 'sendReaction', 'sendTyping'] as const;

/** `durar channels resolve --channel <c> <names...>` */
export const channelsResolve: Action = async (context) => {
  const { output, args, options } = context;
  const id = channelOf(context);
  if (args.length === 0) throw durarError('DUR_CLI_USAGE', { reason: 'name at least one person or room' });
  const local = await openLocalChannels(context, 'channels resolve');
  try {
    const { resolver, config } = await local.channel(id);
    const cfg = local.configOf(id);
    const accountId = accountOf(context, config, cfg, id);
    const missing = local.unavailable.filter(({ path }) => path.startsWith(`channels.${id}.`));
    if (missing.length === 0 && resolver === undefined) throw durarError('DUR_CHANNEL_NO_RESOLVER', { channel: id });
    const kind = options.kind === 'user' || options.kind === 'group' ? { kind: options.kind as 'user' | 'group' } : {};
    const results: ResolvedTarget[] =
      missing.length > 0 || resolver === undefined
        ? args.map((input) => ({ input, resolved: false, note: `a secret of the channel is ${UNAVAILABLE}` }))
        : await resolver.resolveTargets({ cfg, accountId, inputs: args, ...kind });
    const unavailable = missing.map(({ path, reason }) => ({ path, reason }));
    output.result({ channel: id, accountId, results, unavailable }, () => {
      output.table(
        ['name', 'id', 'known as', 'note'],
        results.map(({ input, id: found, name, note }) => [
          oneLine(input, TEXT_WIDTH),
          found ?? '-',
          oneLine(name ?? '-', TEXT_WIDTH),
          oneLine(note ?? '', TEXT_WIDTH),
        ]),
      );
      for (const state of missing) output.note(`${output.paint.warn('!')} ${describeUnavailable(state)}`);
    });
    return missing.length === 0 && results.some(({ resolved }) => !resolved) ? 1 : 0;
  } finally {
    await local.close();
  }
};

/** `durar channels capabilities [--channel <c>]` */
export const channelsCapabilities: Action = async (context) => {
  const { output, options } = context;
  const local = await openLocalChannels(context);
  try {
    const ids = typeof options.channel === 'string' || context.args[0] !== undefined ? [channelOf(context)] : configured(local);
    const rows = await Promise.all(ids.map((id) => capabilitiesOf(local, id)));
    output.result({ channels: rows }, () => {
      if (rows.length === 0) output.line('No channel is configured; `durar channels add <channel>` adds one.');
      for (const { channel, chatTypes, can, sends, actions } of rows) {
        output.line(output.paint.bold(channel));
        output.pairs([
          ['  chats', chatTypes.join(', ')],
          ['  knows', can.join(', ') || '-'],
          ['  sends', sends.join(', ') || '-'],
          ['  actions', actions.join(', ') || '-'],
        ]);
      }
    });
  } finally {
    await local.close();
  }
};

function configured({ outlook }: LocalChannels): string[] {
  const { channels = {} } = outlook.loaded.config;
  return Object.keys(channels).filter((id) => outlook.plan.owners.has(`channel:${id}`));
}

async function capabilitiesOf(local: LocalChannels, id: string) {
  const { capabilities, outbound, actions } = await local.channel(id);
  const { chatTypes, ...rest } = capabilities;
  const described = actions?.describeMessageTool?.({ cfg: local.configOf(id) });
  return {
    channel: id,
    chatTypes,
    can: Object.keys(rest).filter((name) => rest[name] === true),
    sends: OUTBOUND.filter((member) => typeof outbound?.[member] === 'function'),
    actions: [...(described?.actions ?? [])],
    ...(outbound?.textChunkLimit === undefined ? {} : { textChunkLimit: outbound.textChunkLimit }),
  };
}
