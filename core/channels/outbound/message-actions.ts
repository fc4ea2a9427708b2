import { type Channel, type ChannelActionRequest, type ChannelActions, durarError } from '../../../sdk/index.ts';
import { INTERNAL_CHANNEL } from '../../../sdk/protocol/clients.ts';
import type { Generation, GenerationSource } from '../../kernel/generation.ts';
import { channelConfig } from '../channel-config.ts';
import { configuredChannels } from '../channel-settings.ts';
import type { RunFollower } from '../live/run-follower.ts';
import { type Address, type OutboundPoll, targetOf } from './delivery.ts';
import type { Outbound } from './outbound.ts';
import { outboundSettings } from './outbound-settings.ts';
import { readReplyTags } from './reply-tags.ts';

/** What the shared `message` tool does. */
export interface MessageActions {
  /** By channel, of those that are configured; of one account or, without it, of the channel. */
  describe(): ChannelActions[];
  /** Carries one action out. Throws `DUR_CHANNEL_*`, and what the channel throws. */
  act(request: ChannelActionRequest): Promise<Record<string, unknown>>;
}

/** Names under which `channels.<id>.actions` may switch an action. */
const SWITCHES: Readonly<Record<string, readonly string[]>> = {
  send: ['sendMessage', 'messages'],
  reply: ['sendMessage', 'messages'],
  react: ['reactions'],
  edit: ['editMessage', 'messages'],
  delete: ['deleteMessage', 'messages'],
  poll: ['polls'],
  read: ['messages'],
};

export function createMessageActions({
  source,
  outbound,
  follower,
}: {
  source: GenerationSource;
  outbound: Pick<Outbound, 'send' | 'poll' | 'reach'>;
  follower: Pick<RunFollower, 'noteSent'>;
}): MessageActions {
  function describeOne(generation: Generation, channel: Channel): ChannelActions {
    const own = channel.actions?.describeMessageTool?.({ cfg: channelConfig(generation, channel.id) });
    const { actions: switches } = outboundSettings(generation.config, channel.id, undefined);
    const actions = [...new Set([...builtIn(channel), ...(own?.actions ?? [])])].filter((action) => isOn(switches, action));
    return { channel: channel.id, label: channel.meta.label, actions, ...(own?.schema === undefined ? {} : { schema: own.schema }) };
  }

  async function send({ action, params, callId, current, ...request }: ChannelActionRequest, address: Address): Promise<Record<string, unknown>> {
    const { text } = readReplyTags(String(params.message ?? ''));
    const media = (params.media as readonly string[] | undefined) ?? [];
    if (text.trim() === '' && media.length === 0) throw durarError('DUR_CHANNEL_ACTION_INPUT', { action, missing: 'message' });
    const replyToId = textOf(params.messageId) ?? (action === 'reply' ? current?.messageId : undefined);
    if (action === 'reply' && replyToId === undefined) throw durarError('DUR_CHANNEL_ACTION_INPUT', { action, missing: 'messageId' });
    const { channel, accountId, to, threadId } = address;
    const place = { channel, accountId, to, ...(threadId === undefined ? {} : { threadId }) };
    const { runId, sessionKey } = request;
    const sent = await outbound.send({
      ...place,
      text,
      ...(media.length === 0 ? {} : { media }),
      ...(params.asVoice === true ? { asVoice: true } : {}),
      ...(replyToId === undefined ? {} : { replyToId, replyMark: 'explicit' as const }),
      ...(runId === undefined ? {} : { runId, id: `${runId}:tool:${callId}` }),
      ...(sessionKey === undefined ? {} : { sessionKey }),
    });
    if (runId !== undefined) follower.noteSent(runId, place, text);
    return { ...sent };
  }

  async function poll(
    { action, params, callId, runId }: ChannelActionRequest,
    { channel, accountId, to, threadId }: Address,
  ): Promise<Record<string, unknown>> {
    const { question, options } = params as { question?: string; options?: string[] };
    if (!question) throw durarError('DUR_CHANNEL_ACTION_INPUT', { action, missing: 'question' });
    if (options === undefined || options.length < 2) throw durarError('DUR_CHANNEL_ACTION_INPUT', { action, missing: 'options' });
    const asked: OutboundPoll = {
      question,
      options,
      ...(typeof params.maxSelections === 'number' ? { maxSelections: params.maxSelections } : {}),
      ...(typeof params.durationHours === 'number' ? { durationHours: params.durationHours } : {}),
    };
    const id = runId === undefined ? {} : { id: `${runId}:tool:${callId}` };
    return { ...(await outbound.poll({ ...asked, ...id, channel, accountId, to, ...(threadId === undefined ? {} : { threadId }) })) };
  }

  async function change({ action, params, current, signal }: ChannelActionRequest, address: Address): Promise<Record<string, unknown>> {
    const adapter = address.served.outbound;
    const messageId = textOf(params.messageId) ?? (action === 'react' ? current?.messageId : undefined);
    if (messageId === undefined) throw durarError('DUR_CHANNEL_ACTION_INPUT', { action, missing: 'messageId' });
    const target = { ...targetOf(address, address.to), messageId, ...(signal === undefined ? {} : { signal }) };
    if (action === 'react') await adapter?.sendReaction?.({ ...target, emoji: params.remove === true ? '' : String(params.emoji ?? '') });
    else if (action === 'delete') await adapter?.deleteMessage?.(target);
    else {
      if (textOf(params.message) === undefined) throw durarError('DUR_CHANNEL_ACTION_INPUT', { action, missing: 'message' });
      return { ...(await adapter?.editText?.({ ...target, text: String(params.message) })), messageId };
    }
    return { messageId };
  }

  return {
    describe() {
      const generation = source.current();
      const configured = new Set(configuredChannels(generation.config));
      const channels = generation.loaded('channel').map(({ value }) => value);
      return channels.filter(({ id }) => configured.has(id)).map((channel) => describeOne(generation, channel));
    },

    async act(request) {
      const { action, current } = request;
      const channel = request.channel ?? current?.channel;
      if (channel === undefined || channel === INTERNAL_CHANNEL) throw durarError('DUR_CHANNEL_ACTION_INPUT', { action, missing: 'channel' });
      const isHere = channel === current?.channel;
      const to = request.to ?? (isHere ? current?.to : undefined);
      if (to === undefined) throw durarError('DUR_CHANNEL_ACTION_INPUT', { action, missing: 'to' });
      const accountId = request.accountId ?? (isHere ? current?.accountId : undefined);
      const threadId = request.threadId ?? (isHere && to === current?.to ? current?.threadId : undefined);
      assertReachable(source.current(), request, { channel, to });
      const { address, release } = await outbound.reach({ channel, to, accountId, threadId });
      try {
        const { actions } = describeOne(address.generation, address.served);
        const { actions: switches } = outboundSettings(address.generation.config, channel, address.accountId);
        if (!actions.includes(action) || !isOn(switches, action)) {
          throw durarError('DUR_CHANNEL_ACTION_UNKNOWN', { channel, action, known: actions.join(', ') });
        }
        const answer = await carryOut(request, address);
        return { ok: true, action, channel, to, ...answer };
      } finally {
        release();
      }
    },
  };

  async function carryOut(request: ChannelActionRequest, address: Address): Promise<Record<string, unknown>> {
    const { action, params, signal } = request;
    const { served, accountId, to, threadId } = address;
    const own = served.actions;
    if (!builtIn(served).includes(action) && own?.handleAction !== undefined) {
      const place = { to, accountId, ...(threadId === undefined ? {} : { threadId }), ...(signal === undefined ? {} : { signal }) };
      const result = await own.handleAction({ action, channel: served.id, cfg: channelConfig(address.generation, served.id), params, ...place });
      return { result };
    }
    if (action === 'send' || action === 'reply') return send(request, address);
    return action === 'poll' ? poll(request, address) : change(request, address);
  }
}

/** What the members of the outbound adapter are good for. */
function builtIn({ outbound }: Channel): string[] {
  return [
    ...(outbound?.sendText === undefined ? [] : ['send', 'reply']),
    ...(outbound?.sendReaction === undefined ? [] : ['react']),
    ...(outbound?.editText === undefined ? [] : ['edit']),
    ...(outbound?.deleteMessage === undefined ? [] : ['delete']),
    ...(outbound?.sendPoll === undefined ? [] : ['poll']),
  ];
}

function isOn(switches: Readonly<Record<string, boolean>>, action: string): boolean {
  return ![action, ...(SWITCHES[action] ?? [])].some((name) => switches[name] === false);
}

/** A run that belongs to a conversation speaks to others only as `tools.message.crossContext` permits. Without one, as in the host's own chat, to all. */
function assertReachable({ config }: Generation, { action, current }: ChannelActionRequest, { channel, to }: { channel: string; to: string }): void {
  if (current?.channel === undefined || current.channel === INTERNAL_CHANNEL || (current.channel === channel && current.to === to)) return;
  const { allowWithinProvider, allowAcrossProviders } = config.tools.message.crossContext;
  if (current.channel === channel ? allowWithinProvider : allowAcrossProviders) return;
  throw durarError('DUR_CHANNEL_CROSS_CONTEXT', { action, channel, to });
}

function textOf(given: unknown): string | undefined {
  return typeof given === 'string' && given.trim() !== '' ? given : undefined;
}
