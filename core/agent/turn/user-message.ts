import type { UserMessage } from '../../../sdk/index.ts';
import type { RunRequest } from '../run-request.ts';

/** The transcript's message of a request. `runIds`: the messages of the inbox that it holds. */
export function userMessage({ message, images = [], provenance }: RunRequest, timestamp: number, runIds: readonly string[] = []): UserMessage {
  const blocks = images.map(({ data, mimeType }) => ({ type: 'image' as const, data, mimeType }));
  return {
    role: 'user',
    content: blocks.length === 0 ? message : [{ type: 'text', text: message }, ...blocks],
    timestamp,
    ...(provenance === undefined ? {} : { provenance }),
    ...(runIds.length === 0 ? {} : { runIds: [...runIds] }),
  };
}
