import type { Config } from '../../config/schema.ts';
import { accountBlock, channelBlock, isObject } from '../channel-settings.ts';

export type ReplyToMode = 'off' | 'first' | 'all';
export type PreviewMode = 'off' | 'partial' | 'block' | 'progress';

/** What a channel's block of the configuration says about messages that go out. An account's own keys stand before its channel's. */
export interface OutboundSettings {
  textChunkLimit?: number;
  maxLinesPerMessage?: number;
  chunkMode: 'length' | 'newline';
  replyToMode: ReplyToMode;
  responsePrefix?: string;
  /** Absent: as the channel does by itself, which is not at all. */
  streaming: PreviewMode;
  blockStreaming?: boolean;
  blockStreamingCoalesce: { minChars?: number; maxChars?: number; idleMs?: number };
  ackReaction?: string;
  /** Actions of the `message` tool that are switched on or off by name. */
  actions: Readonly<Record<string, boolean>>;
}

const REPLY_MODES: ReadonlySet<unknown> = new Set(['off', 'first', 'all']);
const PREVIEW_MODES: ReadonlySet<unknown> = new Set(['off', 'partial', 'block', 'progress']);

export function outboundSettings(config: Pick<Config, 'channels'>, channel: string, accountId: string | undefined): OutboundSettings {
  const block = accountId === undefined ? (channelBlock(config, channel) ?? {}) : accountBlock(config, channel, accountId);
  const textChunkLimit = positive(block.textChunkLimit);
  const maxLinesPerMessage = positive(block.maxLinesPerMessage);
  const responsePrefix = block.responsePrefix;
  const blockStreaming = block.blockStreaming;
  const ackReaction = block.ackReaction;
  return {
    chunkMode: block.chunkMode === 'newline' ? 'newline' : 'length',
    replyToMode: pick<ReplyToMode>(block.replyToMode, REPLY_MODES, 'off'),
    streaming: previewMode(block.streaming),
    blockStreamingCoalesce: numbersOf(block.blockStreamingCoalesce),
    actions: isObject(block.actions) ? Object.fromEntries(Object.entries(block.actions).filter(isSwitch)) : {},
    ...(textChunkLimit === undefined ? {} : { textChunkLimit }),
    ...(maxLinesPerMessage === undefined ? {} : { maxLinesPerMessage }),
    ...(typeof responsePrefix === 'string' ? { responsePrefix } : {}),
    ...(typeof blockStreaming === 'boolean' ? { blockStreaming } : {}),
    ...(typeof ackReaction === 'string' ? { ackReaction } : {}),
  };
}

/** `true` and `false` are older names of two of the modes; a block names it as `mode`. */
function previewMode(given: unknown): PreviewMode {
  if (isObject(given)) return previewMode(given.mode);
  if (typeof given === 'boolean') return given ? 'partial' : 'off';
  return pick<PreviewMode>(given, PREVIEW_MODES, 'off');
}

function pick<Value extends string>(given: unknown, known: ReadonlySet<unknown>, otherwise: Value): Value {
  return known.has(given) ? (given as Value) : otherwise;
}

function numbersOf(given: unknown): OutboundSettings['blockStreamingCoalesce'] {
  return isObject(given) ? Object.fromEntries(Object.entries(given).filter(([, value]) => typeof value === 'number')) : {};
}

function isSwitch(entry: [string, unknown]): entry is [string, boolean] {
  return typeof entry[1] === 'boolean';
}

function positive(given: unknown): number | undefined {
  return typeof given === 'number' && given >= 1 ? given : undefined;
}
