import { errorText, reportError } from '../../../sdk/errors.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { ChannelsStatusResult } from '../../../sdk/protocol/generated/types.ts';
import type { ChannelReport } from '../../channels/accounts.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

const PROBE_MS = { standard: 10_000, least: 1_000 };

/** What only the caller can put right. */
const CALLER_CODES = new Set(['DUR_CHANNEL_UNKNOWN', 'DUR_CHANNEL_ACCOUNT', 'DUR_CHANNEL_NO_LOGIN']);

export function channelsMethods({ reportChannels, channels }: GatewayContext): MethodFamily<'channels.status' | 'channels.logout'> {
  return {
    async 'channels.status'({ probe = false, timeoutMs = PROBE_MS.standard }) {
      return describeChannels(await reportChannels(probe ? { probeMs: Math.max(timeoutMs, PROBE_MS.least) } : {}));
    },
    async 'channels.logout'(params) {
      try {
        return { ...(await channels.logout(params)), cleared: true, loggedOut: true };
      } catch (error) {
        const { code } = reportError(error);
        throw CALLER_CODES.has(code) ? new ProtocolError('INVALID_REQUEST', errorText(error), { cause: error }) : error;
      }
    },
  };
}

/** The result of `channels.status`. */
export function describeChannels(found: readonly ChannelReport[]): ChannelsStatusResult {
  const each = <Value>(pick: (row: ChannelReport) => Value): Record<string, Value> => Object.fromEntries(found.map((row) => [row.channel, pick(row)]));
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
}
