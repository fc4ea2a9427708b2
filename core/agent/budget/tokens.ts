import type { AgentMessage, ToolSchema } from '../../../sdk/index.ts';

/** The host's own ledger: four characters count as one token, rounded up per part. */
export interface TokenEstimator {
  text(text: string): number;
  message(message: AgentMessage): number;
  /** The same with the characters of all that is text; pictures count in tokens only, which are told apart too. */
  size(message: AgentMessage): MessageSize;
  messages(messages: readonly AgentMessage[]): number;
  tools(tools: readonly ToolSchema[]): number;
}

export interface MessageSize {
  /** without pictures */
  chars: number;
  tokens: number;
  /** tokens of pictures */
  pictures: number;
}

/** How the window of one model call is divided. Tokens as the provider counts them, where nothing else is said. */
export interface TokenBudget {
  window: number;
  /** kept free for the reply */
  reserve: number;
  /** system prompt and tool schemas */
  overhead: number;
  /** what is left for the messages; always positive */
  room: number;
  /** What the messages may cost by the host's own count, which is what engines are told; always positive. */
  messages: number;
  /** The overhead by the host's own count. */
  estimatedOverhead: number;
  /** The provider's tokens in one token of the host's count. */
  factor: number;
}

const CHARS_PER_TOKEN = 4;
/** A picture costs about this much with the usual vision models. */
const IMAGE_TOKENS = 1_200;
/** Role and separators of one message. */
const MESSAGE_CHARS = 16;
/** Where prompt and tools take nearly all, messages still get this share of the window. */
const LEAST_SHARE = 8;

/** Remembers the cost of each message and schema by identity: a long history is measured once, not at every turn. */
export function createTokenEstimator(): TokenEstimator {
  const sizes = new WeakMap<AgentMessage, MessageSize>();
  const schemaChars = new WeakMap<object, number>();

  function size(one: AgentMessage): MessageSize {
    let known = sizes.get(one);
    if (known === undefined) {
      known = measure(one);
      sizes.set(one, known);
    }
    return known;
  }

  const message = (one: AgentMessage): number => size(one).tokens;

  function schema(parameters: object): number {
    let chars = schemaChars.get(parameters);
    if (chars === undefined) {
      chars = JSON.stringify(parameters).length;
      schemaChars.set(parameters, chars);
    }
    return chars;
  }

  return {
    text: (text) => Math.ceil(text.length / CHARS_PER_TOKEN),
    message,
    size,
    messages(messages) {
      let sum = 0;
      for (const one of messages) sum += message(one);
      return sum;
    },
    tools(tools) {
      let chars = 0;
      for (const tool of tools) chars += tool.name.length + tool.description.length + schema(tool.parameters);
      return Math.ceil(chars / CHARS_PER_TOKEN);
    },
  };
}

/**
 * `floor` raises a small reserve; both are bounded to half of the window, so that a small model keeps room for its messages. `overhead` is the
 * host's own count. An engine is never told more than the provider's tokens, as it may count with the model's own tokenizer.
 */
export function divideWindow(params: { window: number; reserveTokens: number; floor: number; overhead: number; factor?: number }): TokenBudget {
  const { window, overhead: estimatedOverhead, factor = 1 } = params;
  const overhead = Math.ceil(estimatedOverhead * factor);
  const reserve = Math.min(Math.max(params.reserveTokens, params.floor), Math.floor(window / 2));
  const room = Math.max(window - reserve - overhead, Math.floor(window / LEAST_SHARE), 1);
  const messages = Math.max(Math.floor(room / Math.max(factor, 1)), 1);
  return { window, reserve, overhead, room, messages, estimatedOverhead, factor };
}

function measure(message: AgentMessage): MessageSize {
  let chars = 0;
  let images = 0;
  if (typeof message.content === 'string') chars += message.content.length;
  else {
    for (const block of message.content) {
      if (block.type === 'text') chars += block.text.length;
      else if (block.type === 'thinking') chars += block.thinking.length;
      else if (block.type === 'toolCall') chars += block.name.length + JSON.stringify(block.arguments).length;
      else images += 1;
    }
  }
  const pictures = images * IMAGE_TOKENS;
  return { chars, tokens: Math.ceil((chars + MESSAGE_CHARS) / CHARS_PER_TOKEN) + pictures, pictures };
}
