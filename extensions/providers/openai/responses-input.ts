import type { AssistantMessage, ProviderRequest } from 'Durar/plugin-sdk/core';
import type { ResponseInputContent, ResponseInputItem, ResponseReasoningItem, Tool } from 'openai/resources/responses/responses';
import { callId, dataUrl, isFrom, resultImages, resultText, userBlocks } from './content.ts';

/** The conversation as the Responses API takes it. */
export function responsesInput({ model, messages, systemPrompt }: ProviderRequest, native: boolean): ResponseInputItem[] {
  const result: ResponseInputItem[] = [];
  if (systemPrompt) result.push({ role: model.reasoning && native ? 'developer' : 'system', content: systemPrompt });
  for (const [index, message] of messages.entries()) {
    if (message.role === 'user') {
      const content = userBlocks(message.content, model).map(
        (block): ResponseInputContent => (block.type === 'text' ? { type: 'input_text', text: block.text } : imagePart(block)),
      );
      if (content.length > 0) result.push({ role: 'user', content });
    } else if (message.role === 'assistant') {
      result.push(...replyItems(message, isFrom(message, model)));
    } else {
      result.push({ type: 'function_call_output', call_id: callId(message.toolCallId), output: resultText(message, model) });
      const images = resultImages(messages, index, model);
      if (images.length > 0)
        result.push({ role: 'user', content: [{ type: 'input_text', text: 'Images of the tool results above:' }, ...images.map(imagePart)] });
    }
  }
  return result;
}

export function responsesTools({ tools }: ProviderRequest): Tool[] {
  // left out, `strict` would mean true, and most schemas are not made for that
  return tools.map(({ name, description, parameters }) => ({ type: 'function', name, description, parameters, strict: false }));
}

function imagePart(block: Parameters<typeof dataUrl>[0]): ResponseInputContent {
  return { type: 'input_image', image_url: dataUrl(block), detail: 'auto' };
}

/** Reasoning and the ids of items go back to the model that made them only. */
function replyItems(message: AssistantMessage, own: boolean): ResponseInputItem[] {
  return message.content.flatMap((block): ResponseInputItem[] => {
    if (block.type === 'thinking') {
      const item = own ? reasoningItem(block.thinkingSignature) : undefined;
      return item === undefined ? [] : [item];
    }
    if (block.type === 'text') {
      if (block.text === '') return [];
      if (!own || block.textSignature === undefined) return [{ role: 'assistant', content: block.text }];
      const content = [{ type: 'output_text' as const, text: block.text, annotations: [] }];
      return [{ type: 'message', role: 'assistant', status: 'completed', id: block.textSignature, content }];
    }
    const itemId = own ? block.id.split('|')[1] : undefined;
    return [
      {
        type: 'function_call',
        call_id: callId(block.id),
        name: block.name,
        arguments: JSON.stringify(block.arguments),
        ...(itemId === undefined ? {} : { id: itemId }),
      },
    ];
  });
}

/** A reasoning item travels as the JSON of itself. */
function reasoningItem(signature: string | undefined): ResponseReasoningItem | undefined {
  if (signature?.startsWith('{') !== true) return undefined;
  try {
    const item = JSON.parse(signature) as ResponseReasoningItem;
    return item.type === 'reasoning' ? item : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
