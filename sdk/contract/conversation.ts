/** Messages for the contract suites. */
import { type AgentMessage, type AssistantMessage, emptyUsage, type ToolResultMessage, type UserMessage } from '../messages.ts';

/** So many questions with their answers. */
export function conversation(turns: number): AgentMessage[] {
  const messages: AgentMessage[] = [];
  for (let turn = 1; turn <= turns; turn += 1) messages.push(user(`question ${turn}`), reply(`answer ${turn}`));
  return messages;
}

/** The entry id of the message at an index, as the host mints them: eight hex digits. */
export function entryId(index: number): string {
  return (index + 1).toString(16).padStart(8, '0');
}

export function user(text: string): UserMessage {
  return { role: 'user', content: text, timestamp: 1 };
}

export function reply(text: string): AssistantMessage {
  return { role: 'assistant', content: [{ type: 'text', text }], ...origin(), stopReason: 'stop', timestamp: 2 };
}

export function toolCall(id: string): AssistantMessage {
  return {
    role: 'assistant',
    content: [{ type: 'toolCall', id, name: 'read', arguments: { path: 'a.txt' } }],
    ...origin(),
    stopReason: 'toolUse',
    timestamp: 3,
  };
}

export function toolResult(toolCallId: string): ToolResultMessage {
  return { role: 'toolResult', toolCallId, toolName: 'read', content: [{ type: 'text', text: 'the text of a.txt' }], isError: false, timestamp: 4 };
}

function origin() {
  return { api: 'contract', provider: 'contract', model: 'contract', usage: emptyUsage() };
}
