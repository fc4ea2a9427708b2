import type { AgentMessage, AssistantMessage, ImageBlock, ModelEntry, TextBlock, ToolResultMessage } from 'Durar/plugin-sdk/core';

const NO_IMAGE = '[an image that this model cannot see]';
const EMPTY_RESULT = '(no output)';

/** Blocks of a user message as this model can read them. */
export function userBlocks(content: string | Array<TextBlock | ImageBlock>, model: ModelEntry): Array<TextBlock | ImageBlock> {
  const blocks: Array<TextBlock | ImageBlock> = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
  const seesImages = model.input.includes('image');
  return blocks.map((block) => (block.type === 'image' && !seesImages ? { type: 'text', text: NO_IMAGE } : block));
}

export function dataUrl({ mimeType, data }: ImageBlock): string {
  return `data:${mimeType};base64,${data}`;
}

/** A tool result as text: both APIs take its images in a user message of their own. */
export function resultText(message: ToolResultMessage, model: ModelEntry): string {
  const texts = userBlocks(message.content, model).map((block) => (block.type === 'text' ? block.text : '[an image, see below]'));
  const text = texts.join('\n');
  return text === '' ? EMPTY_RESULT : text;
}

/** Images of the tool results that stand right before `index`, when no further result follows. */
export function resultImages(messages: readonly AgentMessage[], index: number, model: ModelEntry): ImageBlock[] {
  if (!model.input.includes('image') || messages[index + 1]?.role === 'toolResult') return [];
  const images: ImageBlock[] = [];
  for (let at = index; at >= 0; at -= 1) {
    const message = messages[at];
    if (message?.role !== 'toolResult') break;
    images.unshift(...message.content.filter((block) => block.type === 'image'));
  }
  return images;
}

/** The reply came from the model that is asked now, so its opaque parts may go back. */
export function isFrom(message: AssistantMessage, model: ModelEntry): boolean {
  return message.api === model.api && message.provider === model.provider && message.model === model.id;
}

/** Ids are `<call>` or `<call>|<item>`; only the first part names the call. Both APIs limit its alphabet and length. */
export function callId(id: string): string {
  return (id.split('|', 1)[0] ?? '').replace(/[^a-zA-Z0-9_-]/g, '_').slice(-40) || 'call';
}
