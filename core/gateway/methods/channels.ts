import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

const PROBE_MS = { standard: 10_000, least: 1_000 };

export function channelsMethods({ reportChannels }: GatewayContext): MethodFamily<'channels.status'> {
  return {
    async 'channels.status'({ probe = false, timeoutMs = PROBE_MS.standard }) {
      const found = await reportChannels(probe ? { probeMs: Math.max(timeoutMs, PROBE_MS.least) } : {});
      const each = <Value>(pick: (row: (typeof found)[number]) => Value): Record<string, Value> =>
        Object.fromEntries(found.map((row) => [row.channel, pick(row)]));
      return {
        ts: Date.now(),
        channelOrder: found.map(({ channel }) => channel),
        channelLabels: each(({ label }) => label),
        channelDetailLabels: each(({ label }) => label),
        channelSystemImages: {},
        channelMeta: found.map(({ channel, label }) => ({ id: channel, label, detailLabel: label })),
        channels: each(({ accounts, error }) => ({
          configured: accounts.some(({ configured }) => configured),
          running: accounts.some(({ running }) => running),
          ...(error === undefined ? {} : { error }),
        })),
        channelAccounts: each(({ accounts }) => accounts),
        channelDefaultAccountId: each(({ defaultAccountId }) => defaultAccountId),
      };
    },
  };
}
