import type { AgentMessage, ProviderRequest } from '../../sdk/index.ts';

/** The second count: words, numbers and signs, as tokenizers cut them, in place of the host's characters. */
const PIECE = /[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu;
const LONGEST = 7;
const IMAGE_TOKENS = 1_100;
const MESSAGE_TOKENS = 4;

const known = new WeakMap<AgentMessage, number>();

export function requestTokens({ systemPrompt = '', tools, messages }: ProviderRequest): number {
  return messages.reduce((sum, message) => sum + messageTokens(message), textTokens(systemPrompt) + textTokens(JSON.stringify(tools)));
}

function messageTokens(message: AgentMessage): number {
  const counted = known.get(message) ?? count(message);
  known.set(message, counted);
  return counted;
}

function count({ content }: AgentMessage): number {
  if (typeof content === 'string') return MESSAGE_TOKENS + textTokens(content);
  return content.reduce((sum, block) => {
    if (block.type === 'image') return sum + IMAGE_TOKENS;
    if (block.type === 'toolCall') return sum + textTokens(block.name) + textTokens(JSON.stringify(block.arguments));
    return sum + textTokens(block.type === 'thinking' ? block.thinking : block.text);
  }, MESSAGE_TOKENS);
}

function textTokens(text: string): number {
  let tokens = 0;
  for (const [piece] of text.matchAll(PIECE)) tokens += Math.ceil(piece.length / LONGEST);
  return tokens;
}
