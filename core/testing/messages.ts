import { type AssistantMessage, emptyUsage, type ToolResultMessage, type UserMessage } from '../../sdk/messages.ts';

/** What a person said. */
export function userMessage(text: string): UserMessage {
  return { role: 'user', content: text, timestamp: Date.now() };
}

/** A finished reply of a model that costs nothing. */
export function assistantMessage(text: string): AssistantMessage {
  return reply([{ type: 'text', text }], 'stop');
}

/** A reply that asks for one tool. */
export function toolCallMessage(id: string, name: string, args: Record<string, unknown> = {}): AssistantMessage {
  return reply([{ type: 'toolCall', id, name, arguments: args }], 'toolUse');
}

/** The answer to the tool call of that id. */
export function toolResultMessage(toolCallId: string, toolName: string, text: string): ToolResultMessage {
  return { role: 'toolResult', toolCallId, toolName, content: [{ type: 'text', text }], isError: false, timestamp: Date.now() };
}

function reply(content: AssistantMessage['content'], stopReason: AssistantMessage['stopReason']): AssistantMessage {
  return { role: 'assistant', content, api: 'test', provider: 'test', model: 'echo', usage: emptyUsage(), stopReason, timestamp: Date.now() };
}
