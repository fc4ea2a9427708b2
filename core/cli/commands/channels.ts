import type { ChannelsStatusResult } from '../../../sdk/protocol/generated/types.ts';
import { type ChannelsView, viewChannels } from '../channels-view.ts';
import type { Action } from '../command.ts';
import type { Output } from '../output.ts';
import { oneLine } from '../printable.ts';
import { openAuthStore } from '../secrets/auth-store.ts';
import { describeUnavailable } from '../secrets/secret-lookup.ts';

type Account = ChannelsStatusResult['channelAccounts'][string][number];

const TEXT_WIDTH = 80;

/** `durar channels list`: with the profiles by which models are paid, which scripts look for here. */
export const channelsList: Action = async (context) => {
  const { output } = context;
  const view = await viewChannels(context, { command: 'channels list', probe: false });
  const { profiles } = await (await openAuthStore(context)).read();
  const { found } = view;
  output.result({ ...documentOf(view), auth: Object.keys(profiles) }, () => {
    if (found.channelOrder.length === 0) output.line('No channel is configured; `durar channels add <channel>` adds one.');
    else
      output.table(
        ['channel', 'name', 'accounts'],
        found.channelOrder.map((id) => [
          id,
          found.channelLabels[id] ?? id,
          found.channels[id]?.error ?? (found.channelAccounts[id]?.map(({ accountId }) => accountId).join(', ') || 'none'),
        ]),
      );
    noteView(output, view);
  });
};

/** `durar channels status [--probe]` */
export const channelsStatus: Action = async (context) => {
  const { output, options } = context;
  const view = await viewChannels(context, { command: 'channels status', probe: options.probe === true });
  const { found, isLive } = view;
  const rows = found.channelOrder.flatMap((channel) => (found.channelAccounts[channel] ?? []).map((account) => ({ channel, account })));
  const broken = found.channelOrder.filter((id) => found.channels[id]?.error !== undefined);
  output.result(documentOf(view), () => {
    if (rows.length > 0) {
      output.table(
        ['channel', 'account', 'state', 'last message', 'restarts', ...(options.probe === true ? ['service'] : []), 'last error'],
        rows.map(({ channel, account }) => [
          channel,
          account.accountId,
          paintState(output, account, isLive),
          timeOf(account.lastInboundAt),
          String(account.restarts ?? 0),
          ...(options.probe === true ? [probeOf(output, account)] : []),
          oneLine(account.lastError ?? '-', TEXT_WIDTH),
        ]),
      );
    }
    for (const id of broken) output.note(`${output.paint.warn('!')} ${id}: ${oneLine(found.channels[id]?.error ?? '', TEXT_WIDTH)}`);
    if (rows.length + broken.length === 0) output.line('No channel is configured; `durar channels add <channel>` adds one.');
    for (const { channel, account } of rows)
      if (isDown(account) && account.hint !== undefined) output.note(`  ${channel}/${account.accountId}: ${oneLine(account.hint, 2 * TEXT_WIDTH)}`);
    noteView(output, view);
  });
  return broken.length > 0 || rows.some(({ account }) => isDown(account)) ? 1 : 0;
};

function documentOf({ found, isLive, unavailable }: ChannelsView): object {
  return { ...found, gateway: isLive ? 'running' : 'stopped', unavailable: unavailable.map(({ path, reason }) => ({ path, reason })) };
}

function noteView(output: Output, { isLive, unavailable }: ChannelsView): void {
  if (!isLive) output.note(output.paint.muted('No gateway runs; this is what the configuration says.'));
  for (const state of unavailable) output.note(`${output.paint.warn('!')} ${describeUnavailable(state)}`);
}

/** Switched off is no fault; a channel of the gateway's own clients has nothing to connect to. */
function isDown({ enabled, configured, running, connected, startedAt, probe }: Account): boolean {
  if (enabled === false || configured === false) return false;
  return probe?.ok === false || connected === false || (startedAt !== undefined && running !== true);
}

function paintState(output: Output, account: Account, isLive: boolean): string {
  const { enabled, configured, running, connected, startedAt } = account;
  if (enabled === false) return output.paint.muted('off');
  if (configured === false) return output.paint.muted('not configured');
  if (!isLive) return output.paint.muted('configured');
  if (startedAt === undefined) return output.paint.muted('ready');
  if (account.gaveUp === true) return output.paint.error('given up');
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
