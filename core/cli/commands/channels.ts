import type { ChannelsStatusResult } from '../../../sdk/protocol/generated/types.ts';
import type { Action, CommandContext } from '../command.ts';
import type { Output } from '../output.ts';
import { oneLine } from '../printable.ts';
import { openRpc } from '../rpc.ts';

type Account = ChannelsStatusResult['channelAccounts'][string][number];

const TEXT_WIDTH = 80;
/** That of every request. */
const TIMEOUT_MS = 10_000;

/** `durar channels list` */
export const channelsList: Action = async (context) => {
  const found = await ask(context, false);
  context.output.result(found, () => {
    if (found.channelOrder.length === 0) context.output.line('No channel is configured.');
    else
      context.output.table(
        ['channel', 'name', 'accounts'],
        found.channelOrder.map((id) => [
          id,
          found.channelLabels[id] ?? id,
          found.channels[id]?.error ?? (found.channelAccounts[id]?.map(({ accountId }) => accountId).join(', ') || 'none'),
        ]),
      );
  });
};

/** `durar channels status [--probe]` */
export const channelsStatus: Action = async (context) => {
  const { output, options } = context;
  const found = await ask(context, options.probe === true);
  const rows = found.channelOrder.flatMap((channel) => (found.channelAccounts[channel] ?? []).map((account) => ({ channel, account })));
  const broken = found.channelOrder.filter((id) => found.channels[id]?.error !== undefined);
  output.result(found, () => {
    if (rows.length > 0) {
      output.table(
        ['channel', 'account', 'state', 'last message', 'restarts', ...(options.probe === true ? ['service'] : []), 'last error'],
        rows.map(({ channel, account }) => [
          channel,
          account.accountId,
          paintState(output, account),
          timeOf(account.lastInboundAt),
          String(account.restarts ?? 0),
          ...(options.probe === true ? [probeOf(output, account)] : []),
          oneLine(account.lastError ?? '-', TEXT_WIDTH),
        ]),
      );
    }
    for (const id of broken) output.note(`${output.paint.warn('!')} ${id}: ${oneLine(found.channels[id]?.error ?? '', TEXT_WIDTH)}`);
    if (rows.length + broken.length === 0) output.line('No channel is configured.');
  });
  return broken.length > 0 || rows.some(({ account }) => isDown(account)) ? 1 : 0;
};

async function ask(context: CommandContext, probe: boolean): Promise<ChannelsStatusResult> {
  const rpc = await openRpc(context, { readOnly: true });
  try {
    // the answer about services that do not answer must arrive in time
    const limitMs = (context.options.timeout as number | undefined) ?? TIMEOUT_MS;
    return (await rpc.call('channels.status', probe ? { probe, timeoutMs: Math.floor(limitMs * 0.8) } : {})) as ChannelsStatusResult;
  } finally {
    rpc.close();
  }
}

/** Switched off is no fault; a channel of the gateway's own clients has nothing to connect to. */
function isDown({ enabled, configured, running, connected, startedAt, probe }: Account): boolean {
  if (enabled === false || configured === false) return false;
  return probe?.ok === false || connected === false || (startedAt !== undefined && running !== true);
}

function paintState(output: Output, account: Account): string {
  const { enabled, configured, running, connected, startedAt } = account;
  if (enabled === false) return output.paint.muted('off');
  if (configured === false) return output.paint.muted('not configured');
  if (startedAt === undefined) return output.paint.muted('ready');
  if (running !== true) return output.paint.warn('stopped');
  return connected === false ? output.paint.warn('not connected') : 'connected';
}

function probeOf(output: Output, { probe }: Account): string {
  if (probe === undefined) return '-';
  if (!probe.ok) return output.paint.warn(oneLine(probe.error ?? 'refused', TEXT_WIDTH));
  return oneLine(probe.identity?.name ?? probe.identity?.id ?? 'ok', TEXT_WIDTH);
}

function timeOf(at: number | undefined): string {
  return at === undefined ? '-' : new Date(at).toISOString().slice(0, 16).replace('T', ' ');
}
