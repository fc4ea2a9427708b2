import { mayBeSilent } from '../outbound/reply.ts';

/** How a reply is cut while it is being written. */
export interface BlockLimits {
  /** characters */
  minChars: number;
  maxChars: number;
  breakPreference: 'paragraph' | 'newline' | 'sentence';
  /** `text_end`: as soon as there is enough; `message_end`: when the model has ended its message. */
  breakAt: 'text_end' | 'message_end';
  /** Blocks are put together until nothing came for so long, or together they have `maxChars`. */
  coalesce: { minChars: number; maxChars: number; idleMs: number };
}

/** Hands the text of one run out in blocks. Each is an exact part of the text, the blocks in order; what is left at the end is the caller's. */
export interface BlockStream {
  feed(delta: string): void;
  /** The model's message has ended: what it said goes out. */
  flush(): void;
  /** Nothing more is handed out. */
  stop(): void;
}

const PARAGRAPH = /\n[ \t]*\n/g;
const LINE = /\n/g;
const SENTENCE = /[.!?…]["')\]]*\s/g;
const BLANK = /\s/g;
const BREAKS: Readonly<Record<BlockLimits['breakPreference'], readonly RegExp[]>> = {
  paragraph: [PARAGRAPH, LINE, SENTENCE],
  newline: [LINE, SENTENCE],
  sentence: [SENTENCE, LINE],
};
const FENCE = /^ {0,3}(`{3,}|~{3,})/gm;

export function createBlockStream(limits: BlockLimits, emit: (block: string) => void): BlockStream {
  /** Not cut yet. */
  let text = '';
  /** Cut, and kept back to be put together with what follows. */
  let held = '';
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  let hasSpoken = false;

  function release(): void {
    clearTimeout(timer);
    const block = held;
    held = '';
    if (block.trim() !== '') emit(block);
  }

  function keep(block: string): void {
    const { minChars, maxChars, idleMs } = limits.coalesce;
    if (held !== '' && held.length + block.length > maxChars) release();
    held += block;
    clearTimeout(timer);
    if (held.length >= maxChars) release();
    else if (held.length >= minChars) timer = setTimeout(release, idleMs).unref();
  }

  function cut(): void {
    for (;;) {
      const end = breakAt(text, limits);
      if (end === undefined) return;
      keep(text.slice(0, end));
      text = text.slice(end);
    }
  }

  return {
    feed(delta) {
      if (isOver) return;
      text += delta;
      hasSpoken ||= !mayBeSilent(text);
      if (hasSpoken && limits.breakAt === 'text_end') cut();
    },
    flush() {
      if (isOver) return;
      if (mayBeSilent(text) && !hasSpoken) {
        text = '';
        return;
      }
      cut();
      if (text !== '') keep(text);
      text = '';
      release();
    },
    stop() {
      isOver = true;
      clearTimeout(timer);
    },
  };
}

/**
 * Where the next block ends: at a break of the preferred kind when there is enough; a lesser one only when the upper limit is reached. Never
 * inside a code block, which makes a block longer instead.
 */
function breakAt(text: string, { minChars, maxChars, breakPreference }: BlockLimits): number | undefined {
  if (text.length < minChars) return undefined;
  const head = text.slice(0, maxChars);
  const isFull = text.length >= maxChars;
  for (const pattern of isFull ? BREAKS[breakPreference] : BREAKS[breakPreference].slice(0, 1)) {
    const end = lastBreak(text, head, pattern, minChars);
    if (end !== undefined) return end;
  }
  if (!isFull) return undefined;
  const end = lastBreak(text, head, BLANK, 1);
  if (end !== undefined) return end;
  return isInFence(head) ? undefined : head.length;
}

function lastBreak(text: string, head: string, pattern: RegExp, least: number): number | undefined {
  const ends = Array.from(head.matchAll(pattern), (match) => match.index + match[0].length);
  return ends.reverse().find((end) => end >= least && !isInFence(text.slice(0, end)));
}

function isInFence(text: string): boolean {
  let open: string | undefined;
  for (const [, mark = ''] of text.matchAll(FENCE)) {
    if (open === undefined) open = mark;
    else if (mark[0] === open[0] && mark.length >= open.length) open = undefined;
  }
  return open !== undefined;
}
