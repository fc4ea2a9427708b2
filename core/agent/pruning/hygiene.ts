import { type AgentMessage, type AssistantMessage, INJECTED_MODEL, type ToolCallBlock, type ToolResultMessage } from '../../../sdk/index.ts';
import { unansweredResult } from '../tools/tool-call.ts';

/**
 * What every provider needs of a history, in memory only: no empty replies, every tool call followed by its result, no result without its
 * call. Returns the same array when nothing has to change, which is the rule.
 */
export function sanitizeMessages(messages: AgentMessage[]): AgentMessage[] {
  if (isClean(messages)) return messages;
  const clean: AgentMessage[] = [];
  let index = 0;
  for (let message = messages[index]; message !== undefined; message = messages[++index]) {
    if (message.role === 'toolResult') continue;
    if (message.role === 'user') {
      clean.push(message);
      continue;
    }
    if (message.content.length === 0) continue;
    clean.push(message);
    const open = new Map(callsOf(message).map((call) => [call.id, call]));
    if (open.size === 0) continue;
    const notes: AgentMessage[] = [];
    for (let next = messages[index + 1]; next?.role === 'toolResult' || isNote(next); next = messages[index + 1]) {
      if (next.role !== 'toolResult') notes.push(next);
      else if (open.delete(next.toolCallId)) clean.push(next);
      index += 1;
    }
    for (const call of open.values()) clean.push(unansweredResult(call, 'the result of this call is not available', message.timestamp));
    clean.push(...notes);
  }
  return clean;
}

/** A note that somebody put into the session while tools ran; it goes behind their results. */
export function isNote(message: AgentMessage | undefined): message is AssistantMessage {
  return message?.role === 'assistant' && message.model === INJECTED_MODEL;
}

function isClean(messages: readonly AgentMessage[]): boolean {
  let open: Set<string> | undefined;
  for (const message of messages) {
    if (message.role === 'toolResult') {
      if (open?.delete((message satisfies ToolResultMessage).toolCallId) !== true) return false;
      continue;
    }
    if (open !== undefined && open.size > 0) return false;
    open = undefined;
    if (message.role !== 'assistant') continue;
    if (message.content.length === 0) return false;
    const calls = callsOf(message);
    if (calls.length > 0) open = new Set(calls.map((call) => call.id));
  }
  return open === undefined || open.size === 0;
}

function callsOf(message: AssistantMessage): ToolCallBlock[] {
  return message.content.filter((block) => block.type === 'toolCall');
}
