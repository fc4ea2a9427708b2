import { type Channel, durarError, errorCode, type OutboundResult, type OutboundTarget } from '../../../sdk/index.ts';
import { chunkMarkdown } from '../../../sdk/text-chunks.ts';
import type { Generation } from '../../kernel/generation.ts';
import type { Conversation } from '../../state/state.ts';
import { channelConfig } from '../channel-config.ts';
import { outboundSettings } from './outbound-settings.ts';

/** What a message of the outbox says: its `payload`. */
export interface OutgoingPayload {
  text: string;
  /** Each goes out as a message of its own; the first one has the text as its caption. */
  media?: readonly string[];
  /** Audio goes out as a voice message where the service has them. */
  asVoice?: boolean;
  /** The message it answers. */
  replyToId?: string;
  /** `explicit`: the model asked for it; `all`: every part answers, not the first alone. */
  replyMark?: 'first' | 'all' | 'explicit';
  /** A draft that is shown already and becomes this message; without text or media it is taken away. */
  draftId?: string;
  poll?: OutboundPoll;
}

/** A question with answers to choose from. */
export interface OutboundPoll {
  question: string;
  options: readonly string[];
  maxSelections?: number;
  durationSeconds?: number;
  durationHours?: number;
  silent?: boolean;
  isAnonymous?: boolean;
}

/** One request to the channel. */
type Step =
  | { kind: 'text'; text: string; replyToId?: string }
  | { kind: 'media'; text: string; mediaUrl: string; replyToId?: string; asVoice?: boolean }
  | { kind: 'edit'; text: string; messageId: string; replyToId?: string }
  | { kind: 'delete'; messageId: string }
  | { kind: 'poll'; poll: OutboundPoll };

/** A message as the hooks left it, cut into requests, and how many of them are done. Kept on disk: what was decided stays, and no request is repeated. */
export interface DeliveryPlan {
  to: string;
  content: string;
  steps: Step[];
  done: number;
  /** What the channel said of the last one. */
  last: SentMessage;
}

/** What a channel tells of what it sent; a poll's answer may hold more. */
export interface SentMessage extends OutboundResult {
  pollId?: string;
  toJid?: string;
  channelId?: string;
  conversationId?: string;
}

/** Where a message goes, and who takes it there. */
export interface Address extends Conversation {
  generation: Generation;
  served: Channel;
}

/** An address whose generation is held until it is released. */
export interface Opened {
  address: Address;
  release(): void;
}

/** Asks the hooks, then cuts the message; undefined when a hook cancelled it. Throws `DUR_CHANNEL_NO_*` for what the channel cannot do. */
export async function planDelivery(address: Address, payload: OutgoingPayload): Promise<DeliveryPlan | undefined> {
  const { generation, channel, accountId, to } = address;
  const context = { channelId: channel, accountId, conversationId: to };
  const first = { to, content: payload.poll?.question ?? payload.text, channel, accountId };
  if (payload.poll !== undefined) return { to, content: first.content, steps: pollSteps(address, payload.poll), done: 0, last: {} };
  const asked = await generation.hooks.call('message_sending', first, context);
  if (asked?.cancel === true) return undefined;
  const out = (await generation.hooks.call('channel.outbound', { ...first, content: asked?.content ?? first.content }, context)) ?? first;
  if ('cancel' in out && out.cancel === true) return undefined;
  return { to: out.to, content: out.content, steps: stepsOf(address, { ...payload, text: out.content }), done: 0, last: {} };
}

/** Tells the hooks how a message ended. */
export function reportDelivery({ generation, channel, accountId }: Address, { to, content }: Pick<DeliveryPlan, 'to' | 'content'>, error?: string): void {
  const outcome = { to, content, success: error === undefined, ...(error === undefined ? {} : { error }) };
  generation.hooks.emit('message_sent', outcome, { channelId: channel, accountId, conversationId: to });
}

/** Whether a request may be made twice and nobody notices. */
export function isRepeatable({ served }: Address, { steps, done }: DeliveryPlan): boolean {
  const step = steps[done];
  return step === undefined || step.kind === 'edit' || step.kind === 'delete' || served.outbound?.idempotent === true;
}

export interface StepRequest {
  key: string;
  uncertain: boolean;
  onUncertain(): void;
}

/**
 * Makes the plan's next request and moves the plan on. `key` is the message's own: each request gets one that is the same at every try.
 * `uncertain`: it may have been carried out already; `onUncertain` is told when a try of it leaves that open. An edit that can never succeed (its message is gone, or too old) becomes a message of its own. Throws what the channel throws.
 */
export async function performStep(
  address: Address,
  plan: DeliveryPlan,
  { key, uncertain, onUncertain, signal }: StepRequest & { signal: AbortSignal },
): Promise<void> {
  const step = plan.steps[plan.done];
  if (step === undefined) return;
  const target = { ...targetOf(address, plan.to), idempotencyKey: `${key}:${plan.done}`, ...(uncertain ? { uncertain } : {}), onUncertain, signal };
  try {
    plan.last = sentMessage(await perform(address, target, step));
  } catch (error) {
    if (step.kind !== 'edit' || !isFinal(error)) throw error;
    plan.steps[plan.done] = { kind: 'text', text: step.text, ...replyTo(step.replyToId) };
    return;
  }
  plan.done += 1;
}

/** No further try can help: the channel says so, or what is asked for is not there. */
export function isFinal(error: unknown): boolean {
  if ((error as { retryable?: unknown } | null)?.retryable === false) return true;
  return FINAL_CODES.has(errorCode(error) ?? '');
}

const FINAL_CODES: ReadonlySet<string> = new Set(['DUR_CHANNEL_NO_TEXT', 'DUR_CHANNEL_NO_MEDIA', 'DUR_CHANNEL_NO_POLL', 'DUR_CHANNEL_POLL_OPTIONS']);

export function targetOf({ generation, channel, accountId, threadId }: Address, to: string): OutboundTarget {
  return { cfg: channelConfig(generation, channel), to, accountId, ...(threadId === undefined ? {} : { threadId }) };
}

/** How long a message of the channel may be: its own limit, or less where the configuration says so. */
export function chunkLimits({ generation, served, accountId }: Pick<Address, 'generation' | 'served' | 'accountId'>): { chars: number; lines?: number } {
  const { textChunkLimit = Number.POSITIVE_INFINITY, textLineLimit } = served.outbound ?? {};
  const settings = outboundSettings(generation.config, served.id, accountId);
  const lines = settings.maxLinesPerMessage ?? textLineLimit;
  return { chars: Math.min(settings.textChunkLimit ?? textChunkLimit, textChunkLimit), ...(lines === undefined ? {} : { lines }) };
}

/** Cuts a text as the channel and its configuration want it. */
export function chunksOf(address: Pick<Address, 'generation' | 'served' | 'accountId'>, text: string): string[] {
  const { chunkMode } = outboundSettings(address.generation.config, address.served.id, address.accountId);
  return chunkMarkdown(text, { ...chunkLimits(address), mode: chunkMode });
}

function stepsOf(address: Address, payload: OutgoingPayload): Step[] {
  const { served } = address;
  const { text, media = [], asVoice, draftId } = payload;
  const answers = replyTargets(address, payload);
  if (media.length > 0) {
    if (served.outbound?.sendMedia === undefined) throw durarError('DUR_CHANNEL_NO_MEDIA', { channel: served.id });
    const parts = media.map((mediaUrl, index): Step => {
      const voice = asVoice === true ? { asVoice } : {};
      return { kind: 'media', text: index === 0 ? text : '', mediaUrl, ...voice, ...replyTo(answers(index)) };
    });
    return draftId === undefined ? parts : [{ kind: 'delete', messageId: draftId }, ...parts];
  }
  const chunks = chunksOf(address, text);
  if (draftId !== undefined && chunks.length === 0) return [{ kind: 'delete', messageId: draftId }];
  if (served.outbound?.sendText === undefined) throw durarError('DUR_CHANNEL_NO_TEXT', { channel: served.id });
  return chunks.map((chunk, index): Step => {
    const answered = replyTo(answers(index));
    return index === 0 && draftId !== undefined ? { kind: 'edit', text: chunk, messageId: draftId, ...answered } : { kind: 'text', text: chunk, ...answered };
  });
}

function pollSteps({ served }: Address, poll: OutboundPoll): Step[] {
  const { outbound } = served;
  if (outbound?.sendPoll === undefined) throw durarError('DUR_CHANNEL_NO_POLL', { channel: served.id });
  const most = outbound.pollMaxOptions ?? Number.POSITIVE_INFINITY;
  if (poll.options.length > most) throw durarError('DUR_CHANNEL_POLL_OPTIONS', { channel: served.id, most });
  return [{ kind: 'poll', poll }];
}

/** Which message each part answers. A channel may keep the model from choosing while its configuration wants no answers at all. */
function replyTargets({ generation, served, accountId }: Address, { replyToId, replyMark = 'first' }: OutgoingPayload): (part: number) => string | undefined {
  const { replyToMode } = outboundSettings(generation.config, served.id, accountId);
  const threading = served.threading as { allowExplicitReplyTagsWhenOff?: boolean } | undefined;
  const isMuted = replyMark === 'explicit' && replyToMode === 'off' && threading?.allowExplicitReplyTagsWhenOff === false;
  return (part) => (isMuted || (part > 0 && replyMark !== 'all') ? undefined : replyToId);
}

async function perform({ served }: Address, target: OutboundTarget, step: Step): Promise<SentMessage | undefined> {
  const { outbound } = served;
  const answered = 'replyToId' in step ? replyTo(step.replyToId) : {};
  switch (step.kind) {
    case 'text':
      if (outbound?.sendText === undefined) throw durarError('DUR_CHANNEL_NO_TEXT', { channel: served.id });
      return outbound.sendText({ ...target, ...answered, text: step.text });
    case 'media': {
      if (outbound?.sendMedia === undefined) throw durarError('DUR_CHANNEL_NO_MEDIA', { channel: served.id });
      const { text, mediaUrl, asVoice } = step;
      return outbound.sendMedia({ ...target, ...answered, text, mediaUrl, ...(asVoice === undefined ? {} : { asVoice }) });
    }
    case 'edit':
      if (outbound?.editText === undefined) throw Object.assign(durarError('DUR_CHANNEL_NO_TEXT', { channel: served.id }), { retryable: false });
      return outbound.editText({ ...target, messageId: step.messageId, text: step.text });
    case 'delete':
      await outbound?.deleteMessage?.({ ...target, messageId: step.messageId });
      return undefined;
    case 'poll': {
      if (outbound?.sendPoll === undefined) throw durarError('DUR_CHANNEL_NO_POLL', { channel: served.id });
      const { silent, isAnonymous, maxSelections = 1, ...poll } = step.poll;
      const extras = { ...(silent === undefined ? {} : { silent }), ...(isAnonymous === undefined ? {} : { isAnonymous }) };
      return outbound.sendPoll({ ...target, poll: { ...poll, maxSelections }, ...extras });
    }
  }
}

/** What is kept of a channel's answer. */
const SENT_KEYS = ['messageId', 'pollId', 'toJid', 'channelId', 'conversationId'] as const;

function sentMessage(answer: SentMessage | undefined): SentMessage {
  return Object.fromEntries(SENT_KEYS.flatMap((key) => (answer?.[key] === undefined ? [] : [[key, String(answer[key])]])));
}

function replyTo(replyToId: string | undefined): { replyToId?: string } {
  return replyToId === undefined ? {} : { replyToId };
}
