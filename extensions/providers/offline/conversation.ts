import { type AgentMessage, messageText, type ProviderRequest, type ToolResultMessage } from 'Durar/plugin-sdk/core';
import { tokensOf } from './reply.ts';

/** What the offline model understands of a request. */
export interface Conversation {
  /** What the user said last, without the envelope that hosts put around it. */
  said: string;
  /** epoch ms of that message */
  saidAt: number;
  images: number;
  /** How many replies with tool calls the model has given since. */
  turn: number;
  /** Results of the last of them, oldest first. */
  results: ToolResultMessage[];
  /** The model has not replied before. */
  isFirst: boolean;
}

const TOKENS_PER_IMAGE = 1000;

export function readConversation(messages: readonly AgentMessage[]): Conversation {
  const index = messages.findLastIndex((message) => message.role === 'user');
  const user = messages[index];
  const since = messages.slice(index + 1);
  const lastCall = since.findLastIndex(callsTool);
  return {
    said: user === undefined ? '' : withoutEnvelope(messageText(user)),
    saidAt: user?.timestamp ?? 0,
    images: user?.role !== 'user' || typeof user.content === 'string' ? 0 : user.content.filter((block) => block.type === 'image').length,
    turn: since.filter(callsTool).length,
    results: since.slice(lastCall + 1).filter((message) => message.role === 'toolResult'),
    isFirst: !messages.some((message) => message.role === 'assistant'),
  };
}

/** Tokens of everything that would be sent to a model. */
export function tokensOfRequest(request: ProviderRequest): number {
  let characters = request.systemPrompt?.length ?? 0;
  let images = 0;
  for (const { content } of request.messages) {
    if (typeof content === 'string') {
      characters += content.length;
      continue;
    }
    for (const block of content) {
      if (block.type === 'text') characters += block.text.length;
      else if (block.type === 'thinking') characters += block.thinking.length;
      else if (block.type === 'image') images += 1;
      else characters += block.name.length + JSON.stringify(block.arguments).length;
    }
  }
  for (const tool of request.tools) characters += tool.name.length + tool.description.length + JSON.stringify(tool.parameters).length;
  return Math.max(1, tokensOf(characters) + images * TOKENS_PER_IMAGE);
}

function callsTool(message: AgentMessage): boolean {
  return message.role === 'assistant' && message.content.some((block) => block.type === 'toolCall');
}

/** Removes the sender block and the bracketed time that stand before the user's own words. */
function withoutEnvelope(text: string): string {
  return text
    .replace(/Sender \(untrusted metadata\):\s*```[\s\S]*?```\s*/g, '')
    .replace(/^\s*\[[A-Z][a-z]{2} \d{4}-\d{2}-\d{2} [^\]\n]*\]\s*/m, '')
    .trim();
}
