import { Type } from '@sinclair/typebox';
import { bytes, count, duration, flag, map, oneOf, open, opt, section, shape, strings, text } from './parts.ts';
import { CHANNEL } from './surface-rules.ts';

const ResetKeys = { mode: opt(oneOf(['daily', 'idle'])), atHour: opt(Type.Integer({ minimum: 0, maximum: 23 })), idleMinutes: opt(count()) };
const Reset = shape(ResetKeys, { $id: 'sessionReset' });

export const Session = section(
  {
    scope: oneOf(['per-sender', 'global'], { default: 'per-sender' }),
    dmScope: oneOf(['main', 'per-peer', 'per-channel-peer', 'per-account-channel-peer'], { default: 'main', title: 'Direct message scope' }),
    identityLinks: opt(map(strings())),
    reset: section({
      mode: oneOf(['daily', 'idle'], { default: 'daily' }),
      atHour: Type.Integer({ minimum: 0, maximum: 23, default: 4 }),
      idleMinutes: opt(count()),
    }),
    resetByType: opt(shape({ direct: opt(Reset), dm: opt(Reset), group: opt(Reset), thread: opt(Reset) })),
    resetTriggers: strings({ default: ['/new', '/reset'] }),
    store: opt(text()),
    mainKey: opt(Type.Literal('main')),
    parentForkMaxTokens: count(100_000),
    maintenance: section({
      mode: oneOf(['warn', 'enforce'], { default: 'warn' }),
      pruneAfter: duration({ default: '30d', description: 'bare number = days' }),
      maxEntries: count(500),
      rotateBytes: bytes({ default: '10mb' }),
      resetArchiveRetention: opt(Type.Unsafe<string | number | false>({ type: ['string', 'number', 'boolean'], not: { const: true } })),
      maxDiskBytes: opt(bytes()),
      highWaterBytes: opt(bytes()),
    }),
    threadBindings: section({ enabled: flag(true), idleHours: Type.Number({ minimum: 0, default: 24 }), maxAgeHours: Type.Number({ minimum: 0, default: 0 }) }),
    agentToAgent: section({ maxPingPongTurns: count(5, { maximum: 5 }) }),
    sendPolicy: opt(
      shape({
        rules: opt(
          Type.Array(
            shape({
              action: oneOf(['allow', 'deny']),
              match: opt(shape({ channel: opt(text()), chatType: opt(text()), keyPrefix: opt(text()), rawKeyPrefix: opt(text()) })),
            }),
          ),
        ),
        default: opt(oneOf(['allow', 'deny'])),
      }),
    ),
    typingMode: opt(oneOf(['never', 'instant', 'thinking', 'message'])),
    typingIntervalSeconds: opt(Type.Number({ minimum: 0 })),
  },
  { title: 'Sessions' },
);

const QueueMode = oneOf(['steer', 'followup', 'collect', 'steer-backlog', 'steer+backlog', 'interrupt', 'queue'], { $id: 'queueMode' });

export const Messages = section(
  {
    responsePrefix: opt(Type.String()),
    ackReaction: opt(Type.String()),
    ackReactionScope: oneOf(['group-mentions', 'group-all', 'direct', 'all', 'off', 'none'], { default: 'group-mentions' }),
    removeAckAfterReply: opt(Type.Boolean()),
    queue: section({
      mode: oneOf(['steer', 'followup', 'collect', 'steer-backlog', 'steer+backlog', 'interrupt', 'queue'], { default: 'collect' }),
      debounceMs: count(1000),
      cap: Type.Integer({ minimum: 1, default: 20 }),
      drop: oneOf(['old', 'new', 'summarize'], { default: 'summarize' }),
      byChannel: opt(map(QueueMode)),
    }),
    inbound: opt(shape({ debounceMs: opt(count()), byChannel: opt(map(count())) })),
    delivery: section({
      attempts: Type.Integer({ minimum: 1, default: 10, description: 'tries of a message that goes out before it is given up' }),
      maxAgeHours: Type.Number({ minimum: 0.01, default: 24, description: 'a message older than this is given up' }),
    }),
    groupChat: section({ historyLimit: count(50), mentionPatterns: opt(strings()) }),
    tts: opt(open()),
  },
  { title: 'Messages' },
);

const Peer = shape({ kind: oneOf(['direct', 'dm', 'group', 'channel']), id: text() });

export const Bindings = Type.Array(
  shape({
    type: opt(oneOf(['route', 'acp'])),
    agentId: text(),
    match: shape({ channel: text(), accountId: opt(text()), peer: opt(Peer), guildId: opt(text()), teamId: opt(text()), roles: opt(strings()) }),
    acp: opt(open()),
  }),
  { description: 'which agent answers which conversation' },
);

const Forwarding = shape(
  {
    enabled: opt(Type.Boolean()),
    mode: opt(oneOf(['session', 'targets', 'both'])),
    agentFilter: opt(strings()),
    sessionFilter: opt(strings()),
    targets: opt(
      Type.Array(shape({ channel: text(), to: text(), accountId: opt(text()), threadId: opt(Type.Unsafe<string | number>({ type: ['string', 'number'] })) })),
    ),
  },
  { $id: 'approvalForwarding' },
);

export const Approvals = section({ exec: opt(Forwarding), plugin: opt(Forwarding) });

export const Broadcast = Type.Unsafe<{ strategy?: 'parallel' | 'sequential' } & Record<string, string[] | string | undefined>>({
  type: 'object',
  properties: { strategy: oneOf(['parallel', 'sequential']) },
  additionalProperties: strings(),
});

/** `channels.<id>` is checked by the channel's own schema; two keys are the host's. */
export const Channels = Type.Unsafe<
  Record<string, Record<string, unknown>> & {
    defaults?: { groupPolicy?: 'allowlist' | 'open' | 'disabled'; heartbeat?: Record<string, unknown> };
    modelByChannel?: Record<string, Record<string, string>>;
  }
>({
  type: 'object',
  default: {},
  title: 'Channels',
  properties: {
    defaults: shape({ groupPolicy: opt(oneOf(['allowlist', 'open', 'disabled'])), heartbeat: opt(open()) }),
    modelByChannel: map(map(text())),
  },
  additionalProperties: open({ 'x-active': CHANNEL }),
});
