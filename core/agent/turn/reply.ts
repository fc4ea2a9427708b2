import { type AgentMessage, type AssistantMessage, INJECTED_MODEL } from '../../../sdk/index.ts';

/** Whether the model itself spoke, with all before it in view: no note that somebody put there, no answer of a hook, no failed or aborted call. */
export function isReply(message: AgentMessage | undefined): message is AssistantMessage {
  if (message?.role !== 'assistant' || message.model === INJECTED_MODEL || message.api === 'hook') return false;
  return message.stopReason !== 'error' && message.stopReason !== 'aborted';
}
