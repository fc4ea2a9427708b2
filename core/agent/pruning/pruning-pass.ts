import { type AgentMessage, messageText, type ToolResultMessage } from '../../../sdk/index.ts';
import { isReply } from '../turn/reply.ts';

/** Tokens of one message. */
export type Measure = (message: AgentMessage) => number;

export interface TrimRules {
  /** Results after the nth-last reply are safe. */
  keepLastAssistants: number;
  /** shares of the window */
  softTrimRatio: number;
  hardClearRatio: number;
  /** characters of prunable text below which nothing is cleared */
  minPrunableToolChars: number;
  softTrim: { maxChars: number; headChars: number; tailChars: number };
  hardClear: { enabled: boolean; placeholder: string };
  covers(toolName: string): boolean;
}

/** How a result is shown from now on. It carries its sizes, so that a later change of the configuration does not change old requests. */
export type Trimmed = { how: 'soft'; headChars: number; tailChars: number } | { how: 'clear'; placeholder: string };

export interface Decision {
  index: number;
  trimmed: Trimmed;
}

const CHARS_PER_TOKEN = 4;
const TRIM_MARK = '\n...\n[trimmed: the first ';
/** The whole mark is never longer. */
const MARK_CHARS = 120;

/**
 * One pass over a context: oversized old results keep head and tail, then, while it is still too full, whole ones are cleared, oldest first.
 * Never touches what the model has not answered, what stands before the first user message, or a result with pictures.
 */
export function decide(messages: readonly AgentMessage[], rules: TrimRules, size: { window: number; overhead: number; measure: Measure }): Decision[] {
  const end = safeFrom(messages, rules.keepLastAssistants);
  const start = messages.findIndex((message) => message.role === 'user');
  if (end === undefined || start === -1) return [];
  const windowChars = size.window * CHARS_PER_TOKEN;
  let chars = size.overhead * CHARS_PER_TOKEN;
  for (const message of messages) chars += size.measure(message) * CHARS_PER_TOKEN;
  if (chars < windowChars * rules.softTrimRatio) return [];

  const decisions = new Map<number, Trimmed>();
  const prunable: Array<{ index: number; length: number }> = [];
  const { maxChars, headChars, tailChars } = rules.softTrim;
  for (let index = start; index < end; index++) {
    const message = messages[index];
    if (message?.role !== 'toolResult' || !rules.covers(message.toolName) || message.content.some(({ type }) => type === 'image')) continue;
    const text = messageText(message);
    let { length } = text;
    if (length > maxChars) {
      const trimmed: Trimmed = { how: 'soft', headChars, tailChars };
      const after = shortLength(text, headChars, tailChars);
      if (after < length) {
        decisions.set(index, trimmed);
        chars -= length - after;
        length = after;
      }
    }
    prunable.push({ index, length });
  }

  const { enabled, placeholder } = rules.hardClear;
  const prunableChars = prunable.reduce((sum, { length }) => sum + length, 0);
  if (enabled && chars >= windowChars * rules.hardClearRatio && prunableChars >= rules.minPrunableToolChars) {
    for (const { index, length } of prunable) {
      if (chars < windowChars * rules.hardClearRatio) break;
      if (length <= placeholder.length) continue;
      decisions.set(index, { how: 'clear', placeholder });
      chars -= length - placeholder.length;
    }
  }
  return [...decisions].map(([index, trimmed]) => ({ index, trimmed }));
}

/** The result as a request shows it. The same decision on the same result gives the same text, always. */
export function trim(message: ToolResultMessage, trimmed: Trimmed): ToolResultMessage {
  return { ...message, content: [{ type: 'text', text: shorten(messageText(message), trimmed) }] };
}

/** Whether a text has lost its middle. */
export function isTrimmed(text: string): boolean {
  return text.includes(TRIM_MARK);
}

function shorten(text: string, trimmed: Trimmed): string {
  if (trimmed.how === 'clear') return trimmed.placeholder;
  const { headChars, tailChars } = trimmed;
  if (isShort(text, headChars, tailChars)) return text;
  const { head, tail } = cuts(text, headChars, tailChars);
  return `${text.slice(0, head)}${mark(text, head, tail)}${text.slice(text.length - tail)}`;
}

/** Nothing to take out, or it was taken out before. */
function isShort(text: string, headChars: number, tailChars: number): boolean {
  const left = text.length - headChars - tailChars;
  return left <= 0 || (left <= MARK_CHARS && isTrimmed(text));
}

/** What `shorten` leaves, without making it. */
function shortLength(text: string, headChars: number, tailChars: number): number {
  if (isShort(text, headChars, tailChars)) return text.length;
  const { head, tail } = cuts(text, headChars, tailChars);
  return head + mark(text, head, tail).length + tail;
}

/** How much stays of either end; no character is parted. */
function cuts(text: string, headChars: number, tailChars: number): { head: number; tail: number } {
  return {
    head: isSplit(text, headChars) ? headChars - 1 : headChars,
    tail: isSplit(text, text.length - tailChars) ? tailChars - 1 : tailChars,
  };
}

function mark({ length }: string, head: number, tail: number): string {
  return `${TRIM_MARK}${head} and the last ${tail} of ${length} characters are shown]\n...\n`;
}

/** A cut here would part the two halves of one character. */
function isSplit(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  const after = text.charCodeAt(at);
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff;
}

/** Index of the reply from which on everything is safe; undefined: the model has not replied that often. */
function safeFrom(messages: readonly AgentMessage[], keepLast: number): number | undefined {
  let left = Math.max(1, keepLast);
  for (let index = messages.length - 1; index >= 0; index--) {
    if (!isReply(messages[index])) continue;
    left -= 1;
    if (left === 0) return index;
  }
  return undefined;
}
