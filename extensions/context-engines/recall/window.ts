import type { AgentMessage, ToolResultMessage } from 'Durar/plugin-sdk/core';
import { type Ledger, tokenChars } from './ledger.ts';

/** A user message and all that followed until the next: what is kept or left out together, for no tool call in it is still open at its end. */
export interface Turn {
  messages: readonly AgentMessage[];
  /** Of its user message; of its first message where there is none. */
  stamp: string;
  tokens: number;
}

export interface RecentTurns {
  /** Oldest first; the last one is there whatever it costs. */
  turns: Turn[];
  /** It reaches back to where it was asked to; else a limit was met before. */
  isComplete: boolean;
}

/** The end of a history, back to the turn of `startStamp` (or the beginning) or until a limit is passed. Looks at no more than it returns. */
export function recentTurns(
  messages: readonly AgentMessage[],
  ledger: Ledger,
  limits: { startStamp: string | undefined; maxTurns: number; maxTokens: number },
): RecentTurns {
  const turns: Turn[] = [];
  const open = new Set<string>();
  let tokens = 0;
  let total = 0;
  let end = messages.length;
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const message = messages[index];
    if (message === undefined) continue;
    tokens += ledger.tokens(message);
    if (message.role === 'toolResult') open.add(message.toolCallId);
    else if (message.role === 'assistant') for (const block of message.content) if (block.type === 'toolCall') open.delete(block.id);
    const isStart = message.role === 'user' && open.size === 0;
    if (!isStart && index > 0) continue;
    if (turns.length > 0 && (turns.length >= limits.maxTurns || total + tokens > limits.maxTokens)) return { turns: turns.reverse(), isComplete: false };
    const stamp = ledger.stamp(message);
    turns.push({ messages: messages.slice(index, end), stamp, tokens });
    total += tokens;
    tokens = 0;
    end = index;
    if (stamp === limits.startStamp) break;
  }
  return { turns: turns.reverse(), isComplete: true };
}

const RESULT_CHARS = [8_000, 2_000, 400, 80];
/** The user's own words are the last to be cut. */
const LEAST_USER_TOKENS = 40;

/** The newest turn alone is larger than the window: its results are shortened, then its older steps left out, at last the user's words cut. */
export function shrinkTurn(messages: readonly AgentMessage[], ledger: Ledger, limit: number): AgentMessage[] {
  const sum = (list: readonly AgentMessage[]) => list.reduce((total, message) => total + ledger.tokens(message), 0);
  let shrunk = [...messages];
  for (const chars of RESULT_CHARS) {
    if (sum(shrunk) <= limit) return shrunk;
    shrunk = messages.map((message) => (message.role === 'toolResult' ? shortResult(message, chars) : message));
  }
  const hasUser = shrunk[0]?.role === 'user';
  const head = hasUser ? shrunk.slice(0, 1) : [];
  const steps = stepsOf(shrunk.slice(head.length));
  while (steps.length > 0 && sum([...head, ...steps.flat()]) > limit) {
    const first = head[0];
    const rest = sum(steps.flat());
    // a long question gives way to the last step, down to the half of the window
    if (steps.length === 1 && first !== undefined && rest <= limit / 2) break;
    steps.shift();
  }
  const rest = steps.flat();
  const [first] = head;
  if (first === undefined || sum([...head, ...rest]) <= limit) return [...head, ...rest];
  return [shortUser(first, Math.max(LEAST_USER_TOKENS, limit - sum(rest))), ...rest];
}

/** A reply with the results of its calls; a note in between stays with them. */
function stepsOf(messages: readonly AgentMessage[]): AgentMessage[][] {
  const steps: AgentMessage[][] = [];
  const open = new Set<string>();
  for (const message of messages) {
    const step = steps.at(-1);
    if (step !== undefined && (open.size > 0 || message.role === 'toolResult')) step.push(message);
    else steps.push([message]);
    if (message.role === 'toolResult') open.delete(message.toolCallId);
    else if (message.role === 'assistant') for (const block of message.content) if (block.type === 'toolCall') open.add(block.id);
  }
  return steps;
}

function shortResult(message: ToolResultMessage, chars: number): ToolResultMessage {
  const content = message.content.map((block) => {
    if (block.type === 'image') return { type: 'text' as const, text: `[image ${block.mimeType} left out]` };
    return block.text.length <= chars ? block : { ...block, text: shortText(block.text, chars) };
  });
  return { ...message, content };
}

function shortUser(message: AgentMessage, tokens: number): AgentMessage {
  if (message.role !== 'user') return message;
  // 20 tokens for what every message costs, the mark of the cut among it
  const chars = Math.max(0, tokenChars(tokens - 20));
  const text =
    typeof message.content === 'string'
      ? message.content
      : message.content.map((block) => (block.type === 'text' ? block.text : `[image ${block.mimeType} left out]`)).join('\n');
  return { ...message, content: text.length <= chars ? text : shortText(text, chars) };
}

/** Beginning and end of a text; both say more than its middle. */
function shortText(text: string, chars: number): string {
  const half = Math.floor(chars / 2);
  return `${text.slice(0, half)}\n[${text.length - 2 * half} characters left out]\n${half === 0 ? '' : text.slice(-half)}`;
}
