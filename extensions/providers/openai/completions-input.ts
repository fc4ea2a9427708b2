import type { AssistantMessage, ProviderRequest } from 'Durar/plugin-sdk/core';
import type {
  ChatCompletionAssistantMessageParam,
  ChatCompletionContentPart,
  ChatCompletionMessageParam,
  ChatCompletionTool,
} from 'openai/resources/chat/completions';
import type { Compat } from './compat.ts';
import { callId, dataUrl, isFrom, resultImages, resultText, userBlocks } from './content.ts';

/** Fields in which servers stream reasoning; a reply keeps the one it came in as its signature. */
export const REASONING_FIELDS = ['reasoning_content', 'reasoning', 'reasoning_text'] as const;

/** The conversation as Chat Completions takes it. */
export function completionsMessages(request: ProviderRequest, compat: Compat): ChatCompletionMessageParam[] {
  const { model, messages, systemPrompt } = request;
  const result: ChatCompletionMessageParam[] = [];
  if (systemPrompt) result.push({ role: model.reasoning && compat.supportsDeveloperRole ? 'developer' : 'system', content: systemPrompt });
  for (const [index, message] of messages.entries()) {
    if (message.role === 'user') {
      if (compat.requiresAssistantAfterToolResult && messages[index - 1]?.role === 'toolResult')
        result.push({ role: 'assistant', content: 'I have read the results.' });
      result.push({ role: 'user', content: userContent(message.content, request) });
    } else if (message.role === 'assistant') {
      const reply = assistantMessage(message, request, compat);
      if (reply !== undefined) result.push(reply);
    } else {
      result.push({
        role: 'tool',
        tool_call_id: callId(message.toolCallId),
        content: resultText(message, model),
        ...(compat.requiresToolResultName ? { name: message.toolName } : {}),
      });
      const images = resultImages(messages, index, model);
      if (images.length === 0) continue;
      if (compat.requiresAssistantAfterToolResult) result.push({ role: 'assistant', content: 'I have read the results.' });
      result.push({ role: 'user', content: [{ type: 'text', text: 'Images of the tool results above:' }, ...images.map(imagePart)] });
    }
  }
  return result;
}

export function completionsTools({ tools }: ProviderRequest, compat: Compat): ChatCompletionTool[] {
  return tools.map(({ name, description, parameters }) => ({
    type: 'function',
    function: { name, description, parameters, ...(compat.supportsStrictMode ? { strict: false } : {}) },
  }));
}

function userContent(content: Parameters<typeof userBlocks>[0], { model }: ProviderRequest): string | ChatCompletionContentPart[] {
  const blocks = userBlocks(content, model);
  if (blocks.every((block) => block.type === 'text')) return blocks.map((block) => block.text).join('\n');
  return blocks.map((block): ChatCompletionContentPart => (block.type === 'text' ? { type: 'text', text: block.text } : imagePart(block)));
}

function imagePart(block: Parameters<typeof dataUrl>[0]): ChatCompletionContentPart {
  return { type: 'image_url', image_url: { url: dataUrl(block) } };
}

/** undefined for a reply that holds nothing this API can carry. */
function assistantMessage(message: AssistantMessage, { model }: ProviderRequest, compat: Compat): ChatCompletionAssistantMessageParam | undefined {
  const texts: string[] = [];
  const reasoning: Record<string, string> = {};
  const calls: ChatCompletionAssistantMessageParam['tool_calls'] = [];
  for (const block of message.content) {
    if (block.type === 'text') texts.push(block.text);
    else if (block.type === 'toolCall')
      calls.push({ id: callId(block.id), type: 'function', function: { name: block.name, arguments: JSON.stringify(block.arguments) } });
    else if (compat.requiresThinkingAsText) texts.push(`<thinking>\n${block.thinking}\n</thinking>`);
    else if (isFrom(message, model)) {
      const field = REASONING_FIELDS.find((one) => one === block.thinkingSignature);
      if (field !== undefined) reasoning[field] = (reasoning[field] ?? '') + block.thinking;
    }
  }
  const content = texts.filter((text) => text !== '').join('\n');
  if (content === '' && calls.length === 0) return undefined;
  return { role: 'assistant', content: content === '' ? null : content, ...reasoning, ...(calls.length === 0 ? {} : { tool_calls: calls }) };
}
