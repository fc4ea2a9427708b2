/**
 * The messages that sessions store, engines assemble and providers receive.
 * Source: transcript shapes shared with the wider ecosystem (version 3 transcripts).
 */

/** Plain text. `textSignature` is opaque provider data and must be sent back unchanged. */
export interface TextBlock {
  type: 'text';
  text: string;
  textSignature?: string;
}

/** The model's reasoning. Sent back to the provider that produced it, never shown unless the user asks. */
export interface ThinkingBlock {
  type: 'thinking';
  thinking: string;
  thinkingSignature?: string;
  redacted?: boolean;
}

/** A picture; `data` is base64 without a data-URL prefix. */
export interface ImageBlock {
  type: 'image';
  data: string;
  mimeType: string;
}

/** The model asks for a tool. `arguments` is the parsed object, `{}` when the model sent none. */
export interface ToolCallBlock {
  type: 'toolCall';
  id: string;
  name: string;
  arguments: Record<string, unknown>;
  thoughtSignature?: string;
}

/** Price in US dollars of one model call, by part. */
export interface UsageCost {
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
  total: number;
}

/** Tokens of one model call as the provider reported them; zero where it reported nothing. */
export interface Usage {
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
  totalTokens: number;
  cost: UsageCost;
}

export type StopReason = 'stop' | 'length' | 'toolUse' | 'error' | 'aborted';

/** What a person (or another session, or the system on their behalf) said. `timestamp` is epoch milliseconds. */
export interface UserMessage {
  role: 'user';
  content: string | Array<TextBlock | ImageBlock>;
  timestamp: number;
  /** Where the text came from when it was not typed by the session's own user. */
  provenance?: { kind: 'external_user' | 'inter_session' | 'internal_system'; [key: string]: unknown };
  /** The accepted messages that it holds; the host finds by them what is answered when it starts again. */
  runIds?: string[];
}

/** One model reply. `timestamp` is epoch milliseconds. */
export interface AssistantMessage {
  role: 'assistant';
  content: Array<TextBlock | ThinkingBlock | ToolCallBlock>;
  api: string;
  provider: string;
  model: string;
  responseId?: string;
  usage: Usage;
  stopReason: StopReason;
  errorMessage?: string;
  timestamp: number;
  /** Set on the partial reply of an aborted run; the key keeps the ecosystem's spelling. */
  openclawAbort?: { aborted: true; origin: string; runId: string };
}

/** The answer to one tool call. `details` is for programs, never sent to a model. */
export interface ToolResultMessage {
  role: 'toolResult';
  toolCallId: string;
  toolName: string;
  content: Array<TextBlock | ImageBlock>;
  details?: unknown;
  isError: boolean;
  timestamp: number;
}

export type AgentMessage = UserMessage | AssistantMessage | ToolResultMessage;

/** A usage record of zeros, for messages that cost nothing. A new object at each call. */
/** The model that a note has which somebody put into a session; the name is the ecosystem's. */
export const INJECTED_MODEL = 'gateway-injected';

export function emptyUsage(): Usage {
  return { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0, cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 } };
}

/** The visible text of a message: its text blocks, joined by newlines; thinking and images left out. */
export function messageText(message: AgentMessage): string {
  if (typeof message.content === 'string') return message.content;
  const parts: string[] = [];
  for (const block of message.content) if (block.type === 'text') parts.push(block.text);
  return parts.join('\n');
}
