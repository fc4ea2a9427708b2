import { type Channel, errorText } from '../../../sdk/index.ts';
import type { RunRequest } from '../../agent/service.ts';
import type { Config } from '../../config/schema.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Outbox } from '../../state/state.ts';
import { chunkLimits, type Opened, targetOf } from '../outbound/delivery.ts';
import { type OutboundSettings, outboundSettings, type PreviewMode } from '../outbound/outbound-settings.ts';
import { type RunTrace, replyShape } from '../outbound/reply.ts';
import { type BlockLimits, createBlockStream } from './block-stream.ts';
import { createPreviewStream } from './preview-stream.ts';
import type { TypingPlace } from './typing.ts';

/** Shows a reply while it is written: in blocks, in a draft, or not at all, as configured. */
export interface ReplyStream {
  /** All that the run has said so far. */
  show(text: string): void;
  /** The model has ended its message and calls tools. */
  pause(): void;
  /** The reply itself goes out now. A second call does nothing. */
  close(): void;
}

export interface ReplyStreamOptions {
  request: RunRequest;
  place: TypingPlace;
  config: Config;
  outbox: Pick<Outbox, 'add' | 'next'>;
  reach(place: TypingPlace): Promise<Opened>;
  log: Logger;
  trace(): RunTrace;
  note(more: Partial<RunTrace>): void;
}

type Kind = { kind: 'blocks' } | { kind: 'draft'; mode: Exclude<PreviewMode, 'off'> };

/** A draft stays below this where the channel tells no limit. */
const DRAFT_CHARS = 4_000;
/** Blocks of one run that go out on their own; a longer reply ends in one piece. */
const MOST_BLOCKS = 200;

/** undefined: the configuration asks for neither. */
export function createReplyStream(options: ReplyStreamOptions): ReplyStream | undefined {
  const { request, place, config, log } = options;
  const settings = outboundSettings(config, place.channel, place.accountId);
  const byDefault = config.agents.defaults.blockStreamingDefault === 'on';
  if (settings.blockStreaming !== true && settings.streaming === 'off' && !byDefault) return undefined;
  const shape = replyShape(request, config);
  let isClosed = false;
  let latest = '';
  let inner: ReplyStream | undefined;

  async function open(): Promise<void> {
    const { address, release } = await options.reach(place);
    try {
      const wanted = kindOf(address.served);
      if (isClosed || wanted === undefined) return;
      // what extensions have a say in is not shown before they had it
      const { hooks } = address.generation;
      if (wanted.kind === 'draft' && (hooks.has('message_sending') || hooks.has('channel.outbound'))) return;
      const conversation = { ...place, accountId: address.accountId };
      const { chars } = chunkLimits(address);
      inner = wanted.kind === 'blocks' ? blocks(conversation, chars, address.served) : draft(conversation, wanted.mode, Math.min(chars, DRAFT_CHARS));
      if (latest !== '') inner.show(latest);
    } finally {
      release();
    }
  }

  function kindOf({ outbound, capabilities }: Channel): Kind | undefined {
    if (settings.blockStreaming === true || (byDefault && settings.blockStreaming !== false && capabilities.blockStreaming === true)) return { kind: 'blocks' };
    const { streaming } = settings;
    if (streaming === 'off' || outbound?.editText === undefined || outbound.sendText === undefined) return undefined;
    return { kind: 'draft', mode: streaming };
  }

  function blocks(conversation: TypingPlace & { accountId: string }, limit: number, served: Channel): ReplyStream {
    let fed = 0;
    const stream = createBlockStream(blockLimits(config, settings, limit, served), (block) => {
      const sent = options.trace().blocks ?? [];
      if (isClosed || sent.length >= MOST_BLOCKS) return;
      const payload = shape(block, { place: sent.length });
      if (payload === undefined) return;
      const { runId, sessionKey } = request;
      options.outbox.add([{ id: `${runId}:${sent.length}`, ...conversation, runId, sessionKey, payload }], Date.now());
      options.note({ blocks: [...sent, block] });
    });
    return {
      show(text) {
        if (text.length < fed) return;
        stream.feed(text.slice(fed));
        fed = text.length;
      },
      pause: () => stream.flush(),
      close: () => stream.stop(),
    };
  }

  function draft(conversation: TypingPlace & { accountId: string }, mode: Exclude<PreviewMode, 'off'>, limit: number): ReplyStream {
    const key = `${request.runId}:draft`;
    const failed = (error: unknown): void => log.debug(`a draft was not shown: ${errorText(error)}`, { channel: place.channel, runId: request.runId });
    const through = async <Result>(work: (opened: Opened) => Promise<Result>): Promise<Result> => {
      const opened = await options.reach(conversation);
      try {
        return await work(opened);
      } finally {
        opened.release();
      }
    };
    const preview = createPreviewStream(
      {
        failed,
        open: (text) =>
          through(async ({ address }) => {
            // what is to go out before it goes out before it
            if (options.outbox.next(conversation) !== undefined) return undefined;
            const { replyToId } = shape(text, { place: 0 }) ?? {};
            const answered = replyToId === undefined ? {} : { replyToId };
            const sent = await address.served.outbound?.sendText?.({ ...targetOf(address, place.to), ...answered, text, idempotencyKey: key });
            const id = sent?.messageId;
            if (id === undefined) return undefined;
            if (isClosed) options.outbox.add([{ id: key, ...conversation, runId: request.runId, payload: { text: '', draftId: id } }], Date.now());
            else options.note({ draftId: id });
            return id;
          }),
        edit: (messageId, text) =>
          through(async ({ address }) => void (await address.served.outbound?.editText?.({ ...targetOf(address, place.to), messageId, text }))),
      },
      { mode, limit },
    );
    return { show: preview.show, pause() {}, close: () => void preview.end().catch(failed) };
  }

  open().catch((error: unknown) => log.debug(`a reply is not shown while it is written: ${errorText(error)}`, { channel: place.channel }));

  return {
    show(text) {
      latest = text;
      inner?.show(text);
    },
    pause: () => inner?.pause(),
    close() {
      if (isClosed) return;
      isClosed = true;
      inner?.close();
    },
  };
}

function blockLimits({ agents }: Config, settings: OutboundSettings, limit: number, served: Channel): BlockLimits {
  const { blockStreamingChunk: chunk, blockStreamingBreak } = agents.defaults;
  const coalesce = { ...agents.defaults.blockStreamingCoalesce, ...settings.blockStreamingCoalesce };
  const own = (served.streaming as { blockStreamingCoalesceDefaults?: { minChars?: number; idleMs?: number } } | undefined)?.blockStreamingCoalesceDefaults;
  const maxChars = Math.max(1, Math.min(chunk.maxChars, limit));
  const minChars = Math.min(chunk.minChars, maxChars);
  return {
    ...{ minChars, maxChars, breakPreference: chunk.breakPreference, breakAt: blockStreamingBreak },
    coalesce: {
      minChars: Math.min(coalesce.minChars ?? own?.minChars ?? minChars, limit),
      maxChars: Math.min(coalesce.maxChars ?? Math.max(maxChars, own?.minChars ?? 0), limit),
      idleMs: coalesce.idleMs,
    },
  };
}
