import { type AgentMessage, messageText } from 'Durar/plugin-sdk/core';
import { hash } from 'node:crypto';

const CHARS_PER_TOKEN = 4;
const IMAGE_TOKENS = 1_200;
/** Role and separators of one message; more than hosts count, so that a window that fits here fits there. */
const MESSAGE_CHARS = 40;
/** Of either end of a text; with its length that tells two messages apart. */
const STAMP_CHARS = 256;

/** What is known of a message by looking at it. Measured once per object: the host gives the same ones at every turn. */
export interface Ledger {
  tokens(message: AgentMessage): number;
  /** The same for the same message in every process; what finds it in the store, for a history comes without entry ids. */
  stamp(message: AgentMessage): string;
}

export function createLedger(): Ledger {
  const costs = new WeakMap<AgentMessage, number>();
  const stamps = new WeakMap<AgentMessage, string>();
  return {
    tokens: (message) => remembered(costs, message, measure),
    stamp: (message) => remembered(stamps, message, identify),
  };
}

export function textTokens(text: string): number {
  return Math.ceil(text.length / CHARS_PER_TOKEN);
}

/** Characters that so many tokens pay for. */
export function tokenChars(tokens: number): number {
  return tokens * CHARS_PER_TOKEN;
}

/** All that can be searched and read again. Reasoning is left out; a picture is named, its bytes stay in the transcript. */
export function storedText(message: AgentMessage): string {
  if (typeof message.content === 'string') return message.content;
  const parts: string[] = [];
  for (const block of message.content) {
    if (block.type === 'text') parts.push(block.text);
    else if (block.type === 'image') parts.push(`[image ${block.mimeType}]`);
    else if (block.type === 'toolCall') parts.push(`[calls ${block.name} ${JSON.stringify(block.arguments)}]`);
  }
  return parts.join('\n');
}

function remembered<Value>(known: WeakMap<AgentMessage, Value>, message: AgentMessage, look: (message: AgentMessage) => Value): Value {
  let value = known.get(message);
  if (value === undefined) {
    value = look(message);
    known.set(message, value);
  }
  return value;
}

function measure({ content }: AgentMessage): number {
  let chars = MESSAGE_CHARS;
  let images = 0;
  if (typeof content === 'string') chars += content.length;
  else {
    for (const block of content) {
      if (block.type === 'text') chars += block.text.length;
      else if (block.type === 'thinking') chars += block.thinking.length;
      else if (block.type === 'toolCall') chars += block.name.length + JSON.stringify(block.arguments).length;
      else images += 1;
    }
  }
  return Math.ceil(chars / CHARS_PER_TOKEN) + images * IMAGE_TOKENS;
}

function identify(message: AgentMessage): string {
  const text = messageText(message);
  const calls = message.role === 'assistant' ? message.content.flatMap((block) => (block.type === 'toolCall' ? [block.id] : [])) : [];
  const id = message.role === 'toolResult' ? message.toolCallId : calls.join(' ');
  return hash('sha1', [message.role, message.timestamp, id, text.length, text.slice(0, STAMP_CHARS), text.slice(-STAMP_CHARS)].join('\n'), 'base64url');
}
