import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional } from '../define.ts';

const flag = () => optional(Type.Boolean());
/** epoch ms */
const time = () => optional(Type.Number());

const ChannelAccount = open(
  {
    accountId: Type.String(),
    name: optional(Type.String()),
    enabled: flag(),
    configured: flag(),
    running: flag(),
    connected: flag(),
    startedAt: time(),
    restarts: optional(Type.Integer()),
    lastError: optional(Type.String()),
    /** What to do about it. */
    hint: optional(Type.String()),
    /** It is not started again before the configuration changes. */
    gaveUp: flag(),
    lastEventAt: time(),
    lastInboundAt: time(),
    /** What the service said, with `probe`. */
    probe: optional(
      open({ ok: Type.Boolean(), error: optional(Type.String()), identity: optional(open({ id: optional(Type.String()), name: optional(Type.String()) })) }),
    ),
  },
  'ChannelAccount',
);

const byChannel = <Schema extends Parameters<typeof Type.Record>[1]>(schema: Schema) => Type.Record(Type.String(), schema);

export const CHANNELS_METHODS = defineMethods({
  'channels.status': {
    scope: 'operator.read',
    params: closed({ probe: flag(), timeoutMs: optional(Type.Integer({ minimum: 0 })) }),
    result: open({
      ts: Type.Number(),
      channelOrder: Type.Array(Type.String()),
      channelLabels: byChannel(Type.String()),
      channelDetailLabels: byChannel(Type.String()),
      channelSystemImages: byChannel(Type.String()),
      channelMeta: Type.Array(open({ id: Type.String(), label: Type.String(), detailLabel: Type.String() })),
      /** `error`: why nothing more is known of a channel. */
      channels: byChannel(open({ configured: Type.Boolean(), running: Type.Boolean(), error: optional(Type.String()) })),
      channelAccounts: byChannel(Type.Array(ChannelAccount)),
      channelDefaultAccountId: byChannel(Type.String()),
    }),
  },
  'channels.logout': {
    scope: 'operator.admin',
    sideEffecting: true,
    params: closed({ channel: Type.String({ minLength: 1 }), accountId: optional(Type.String({ minLength: 1 })) }),
    result: open({ channel: Type.String(), accountId: Type.String(), cleared: Type.Boolean(), loggedOut: flag() }),
  },
});
