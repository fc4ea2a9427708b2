import { INTERNAL_CHANNEL } from '../../../sdk/protocol/clients.ts';
import type { RunRequest, RunResult } from '../../agent/service.ts';
import type { Config } from '../../config/schema.ts';
import type { Outgoing } from '../../state/state.ts';
import type { OutgoingPayload } from './delivery.ts';
import { type OutboundSettings, outboundSettings } from './outbound-settings.ts';
import { readReplyTags } from './reply-tags.ts';

/** A reply that is exactly this, in either case, says nothing to anybody. */
const SILENT = 'NO_REPLY';
/** characters of a failure's text that a chat is told */
const MOST_OF_ERROR = 300;

/** What has gone out in a run before its reply. */
export interface RunTrace {
  /** Texts that the `message` tool sent to the conversation of the run. */
  sent: readonly string[];
  /** The parts of its text that are out already, in order. */
  blocks?: readonly string[];
  /** A message that shows the reply as it grows. */
  draftId?: string;
  /** A tool failed and the model said nothing after it. */
  failedTool?: string;
}

/** The part of a request that says where its reply goes. */
export type ReplyPlace = Pick<RunRequest, 'runId' | 'channel' | 'to' | 'accountId' | 'threadId' | 'thinking' | 'sessionKey' | 'replyToId'>;

/**
 * The messages that a run's result comes to, for its conversation; their ids are the same whenever it is asked. None for a run that came from
 * no channel, was aborted, or said nothing.
 */
export function repliesOf(request: RunRequest, result: RunResult, config: Config, trace: RunTrace = { sent: [] }): Outgoing[] {
  const { runId, channel, to, accountId, threadId, autoReply, deliver } = request;
  if (autoReply !== true || deliver === false || channel === undefined || channel === INTERNAL_CHANNEL || to === undefined) return [];
  const payloads = payloadsOf(request, result, config, trace);
  const first = trace.blocks?.length ?? 0;
  return payloads.map((payload, index) => ({
    id: `${runId}:${first + index}`,
    ...{ channel, accountId: accountId ?? '', to, threadId, runId, sessionKey: result.sessionKey },
    payload,
  }));
}

/** What a run says, ready to be sent. */
export function payloadsOf(request: ReplyPlace, result: RunResult, config: Config, trace: RunTrace = { sent: [] }): OutgoingPayload[] {
  const shape = replyShape(request, config, result);
  const sent = new Set(trace.sent.map(comparable));
  const withoutBlocks = blockRemover(trace.blocks ?? []);
  const payloads: OutgoingPayload[] = [];

  for (const { mediaUrl, isReasoning, isError, ...one } of spoken(result, trace)) {
    const text = isReasoning ? `Reasoning:\n${one.text}` : isError ? one.text : withoutBlocks(one.text);
    const payload = shape(text, { place: payloads.length + (trace.blocks?.length ?? 0), media: mediaUrl, isPlain: isReasoning || isError });
    if (payload === undefined) continue;
    if (mediaUrl === undefined && sent.has(comparable(readReplyTags(text).text))) continue;
    payloads.push(payload);
  }
  const { draftId } = trace;
  if (draftId === undefined) return payloads;
  const [head, ...rest] = payloads;
  return head === undefined ? [{ text: '', draftId }] : [{ ...head, draftId }, ...rest];
}

/** Makes one text of a run a message: its directives carried out, the prefix before it. undefined: there is nothing to send. */
export type ReplyShape = (text: string, more: { place: number; media?: string | undefined; isPlain?: boolean }) => OutgoingPayload | undefined;

/** `result`: absent while the run goes on; then a prefix knows no model. */
export function replyShape(request: ReplyPlace, config: Config, result?: RunResult): ReplyShape {
  const settings = outboundSettings(config, request.channel ?? '', request.accountId);
  const prefix = responsePrefix(config, settings, request, result);
  return (given, { place, media: mediaUrl, isPlain = false }) => {
    const { text, replyTo, asVoice } = readReplyTags(given);
    const media = mediaUrl === undefined ? [] : [mediaUrl];
    if (media.length === 0 && (isSilentText(text) || text.trim() === '')) return undefined;
    return {
      text: isPlain || prefix === '' || text === '' || text.startsWith(prefix) ? text : `${prefix} ${text}`,
      ...(media.length === 0 ? {} : { media }),
      ...(asVoice ? { asVoice } : {}),
      ...answered(request, replyTo, settings, place),
    };
  };
}

/** The silent token alone, with or without directives around it. */
export function isSilentText(text: string): boolean {
  return text.trim().toUpperCase() === SILENT;
}

/** The beginning of what may become the silent token: nothing is shown of it. */
export function mayBeSilent(text: string): boolean {
  const begun = text.trim().toUpperCase();
  return SILENT.startsWith(begun) || begun === SILENT;
}

/** Blank space and case do not make a text another one. */
export function comparable(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().toLowerCase();
}

/** Takes from the texts of a run, one after the other, what went out as blocks. */
function blockRemover(blocks: readonly string[]): (text: string) => string {
  const left = blocks.map((block) => block.trim());
  return (text) => {
    let rest = text.trim();
    for (let block = left[0]; block !== undefined && rest.startsWith(block); block = left[0]) {
      left.shift();
      rest = rest.slice(block.length).trimStart();
    }
    return rest;
  };
}

interface Spoken {
  text: string;
  mediaUrl?: string;
  isError: boolean;
  isReasoning: boolean;
}

function spoken({ status, payloads, error, meta }: RunResult, trace: RunTrace): Spoken[] {
  // a deadline is told; what a person stopped, or a shutdown (the run goes on after it), is not
  if (meta.aborted && meta.stopReason !== 'timeout') return [];
  // why a command was refused is its answer
  const isCommand = meta.stopReason === 'command';
  const said = payloads
    .filter(({ isError }) => isError !== true || isCommand)
    .map(({ text = '', mediaUrl, isReasoning }) => ({ text, ...(mediaUrl ? { mediaUrl } : {}), isError: false, isReasoning: isReasoning === true }));
  if (status === 'error') return [...said, { text: `⚠️ ${short(error?.message ?? 'the run failed')}`, isError: true, isReasoning: false }];
  if (said.length === 0 && trace.failedTool !== undefined && trace.sent.length === 0) {
    return [{ text: `⚠️ ${trace.failedTool} failed, and there is no answer.`, isError: true, isReasoning: false }];
  }
  return said;
}

/** The first line, as long as a chat can bear. */
function short(message: string): string {
  const line = message.split('\n', 1)[0] ?? '';
  return line.length > MOST_OF_ERROR ? `${line.slice(0, MOST_OF_ERROR - 1)}…` : line;
}

/** What the model names stands before what the configuration says of replies in general. */
function answered(
  { replyToId }: ReplyPlace,
  tag: 'current' | { id: string } | undefined,
  { replyToMode }: OutboundSettings,
  place: number,
): Pick<OutgoingPayload, 'replyToId' | 'replyMark'> {
  const named = tag === 'current' ? replyToId : tag?.id;
  if (named !== undefined) return { replyToId: named, replyMark: 'explicit' };
  if (replyToId === undefined || replyToMode === 'off' || (replyToMode === 'first' && place > 0)) return {};
  return { replyToId, replyMark: replyToMode };
}

function responsePrefix(config: Config, settings: OutboundSettings, { thinking, sessionKey = '' }: ReplyPlace, result: RunResult | undefined): string {
  const wanted = settings.responsePrefix ?? config.messages?.responsePrefix ?? '';
  if (wanted === '') return '';
  const agentId = /^agent:([^:]+):/.exec(result?.sessionKey ?? sessionKey)?.[1];
  const agents = config.agents?.list ?? [];
  const agent = agents.find(({ id }) => id.toLowerCase() === agentId) ?? agents.find(({ default: isDefault }) => isDefault === true);
  const name = agent?.identity?.name ?? '';
  if (wanted === 'auto') return name === '' ? '' : `[${name}]`;
  const { provider = '', model = '' } = result?.meta.agentMeta ?? {};
  const values: Record<string, string> = {
    model: model.split('/').at(-1) ?? model,
    modelFull: provider === '' ? model : `${provider}/${model}`,
    provider,
    thinkingLevel: thinking ?? 'off',
    'identity.name': name,
  };
  return wanted.replaceAll(/\{([\w.]+)\}/g, (whole, key: string) => (Object.hasOwn(values, key) ? (values[key] ?? '') : whole)).trim();
}
