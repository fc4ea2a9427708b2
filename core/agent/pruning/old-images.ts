import type { AgentMessage, ImageBlock, TextBlock } from '../../../sdk/index.ts';
import { isReply } from '../turn/reply.ts';

/** What stands in a request for a picture that the model has long seen. */
export const IMAGE_REMOVED = '[image data removed - already processed by model]';
const KEPT_TURNS = 3;

/**
 * Leaves out pictures older than the three most recent completed turns, which stay as they are to the byte. In memory; a second pass changes
 * nothing. Returns the same array when there is nothing to remove.
 */
export function removeOldImages(messages: AgentMessage[]): AgentMessage[] {
  const end = keptFrom(messages);
  let cleaned: AgentMessage[] | undefined;
  for (let index = 0; index < end; index++) {
    const message = messages[index];
    if (message === undefined || message.role === 'assistant' || typeof message.content === 'string' || !message.content.some(isImage)) continue;
    cleaned ??= [...messages];
    const content = message.content.map((block) => (isImage(block) ? ({ type: 'text', text: IMAGE_REMOVED } satisfies TextBlock) : block));
    cleaned[index] = { ...message, content };
  }
  return cleaned ?? messages;
}

/** Index of the first message of the third-last completed turn; 0: there are not that many. A turn goes from a user message to a reply without calls. */
function keptFrom(messages: readonly AgentMessage[]): number {
  let turns = 0;
  let isComplete = false;
  for (let index = messages.length - 1; index >= 0; index--) {
    const message = messages[index];
    if (isReply(message)) isComplete ||= !message.content.some(({ type }) => type === 'toolCall');
    if (message?.role !== 'user' || !isComplete || messages[index - 1]?.role === 'user') continue;
    turns += 1;
    if (turns === KEPT_TURNS) return index;
    isComplete = false;
  }
  return 0;
}

function isImage(block: TextBlock | ImageBlock): block is ImageBlock {
  return block.type === 'image';
}
