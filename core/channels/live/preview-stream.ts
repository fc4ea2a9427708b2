import type { PreviewMode } from '../outbound/outbound-settings.ts';
import { mayBeSilent } from '../outbound/reply.ts';
import { readReplyTags } from '../outbound/reply-tags.ts';

/** Where a draft is shown. */
export interface DraftMessage {
  /** Resolves to the draft's id; undefined: there is none, and none will be. */
  open(text: string): Promise<string | undefined>;
  edit(id: string, text: string): Promise<void>;
  /** Told once when one of the two rejects; then the draft stays as it is. */
  failed(error: unknown): void;
}

/** Shows a reply as it grows, in one message that is edited. */
export interface PreviewStream {
  /** All that the run has said so far. */
  show(text: string): void;
  /** No more edits; resolves when the last request is over. */
  end(): Promise<void>;
}

/** Services count edits. */
const PAUSE_MS = 1_000;
/** A draft of a few letters helps nobody. */
const LEAST_CHARS = 20;
/** In the mode `block` the draft grows by whole blocks of this size. */
const BLOCK_CHARS = 400;

/** `limit`: characters that one message may have; a longer reply stays at its beginning. */
export function createPreviewStream(message: DraftMessage, { mode, limit }: { mode: Exclude<PreviewMode, 'off'>; limit: number }): PreviewStream {
  let wanted = '';
  let shown = '';
  let id: string | undefined;
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;
  let request: Promise<void> | undefined;

  async function update(): Promise<void> {
    const text = wanted;
    try {
      if (id === undefined) {
        id = await message.open(text);
        if (id === undefined) isOver = true;
      } else await message.edit(id, text);
      shown = text;
    } catch (error) {
      isOver = true;
      message.failed(error);
    }
  }

  function next(): void {
    if (isOver || request !== undefined || timer !== undefined || wanted === shown) return;
    request = update().finally(() => {
      request = undefined;
      if (isOver) return;
      timer = setTimeout(() => {
        timer = undefined;
        next();
      }, PAUSE_MS).unref();
    });
  }

  return {
    show(text) {
      if (isOver || mayBeSilent(text)) return;
      const visible = visiblePart(text, limit);
      const grown = visible.length - wanted.length;
      if (visible.length < LEAST_CHARS || (mode === 'block' && grown < BLOCK_CHARS)) return;
      wanted = visible;
      next();
    },
    async end() {
      isOver = true;
      clearTimeout(timer);
      await request;
    },
  };
}

function visiblePart(text: string, limit: number): string {
  // a directive that is still being written is not shown
  const visible = readReplyTags(text)
    .text.replace(/\[\[[^\]]*\]?$/, '')
    .trim();
  return visible.length <= limit
    ? visible
    : visible
        .slice(0, Math.max(1, limit - 1))
        .replace(/[\ud800-\udbff]$/, '')
        .concat('…');
}
