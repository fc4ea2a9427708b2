import type { UserMessage } from '../../sdk/index.ts';
import type { RunRequest } from './run-request.ts';

/** The transcript's message of a request. */
export function userMessage({ message, images = [], provenance }: RunRequest, timestamp: number): UserMessage {
  const blocks = images.map(({ data, mimeType }) => ({ type: 'image' as const, data, mimeType }));
  return {
    role: 'user',
    content: blocks.length === 0 ? message : [{ type: 'text', text: message }, ...blocks],
    timestamp,
    ...(provenance === undefined ? {} : { provenance }),
  };
}
