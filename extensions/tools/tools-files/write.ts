import type { Tool } from 'Durar/plugin-sdk/core';
import type { Serial } from 'Durar/plugin-sdk/serial';
import { replaceFile } from './file.ts';
import type { Reach } from './reach.ts';

const PARAMETERS = {
  type: 'object',
  additionalProperties: false,
  required: ['path', 'content'],
  properties: {
    path: { type: 'string', minLength: 1, description: 'The file, relative to the workspace.' },
    content: { type: 'string', description: 'Its whole new content.' },
  },
};

/** The tool `write`: makes a file or replaces it whole. */
export function createWriteTool(reach: Reach, inTurn: Serial['run']): Tool {
  return {
    name: 'write',
    label: 'Write a file',
    description: 'Writes a whole text file; makes it and its folders, or replaces it. Use edit for small changes.',
    parameters: PARAMETERS,
    async execute(_callId, params, signal) {
      const { content } = params;
      if (typeof content !== 'string') throw new Error('the content is not a text');
      const shown = String(params.path);
      const path = await reach.locate(params.path);
      const { created } = await inTurn(path, async () => {
        signal?.throwIfAborted();
        return replaceFile(path, content, shown);
      });
      const bytes = Buffer.byteLength(content);
      return {
        content: [{ type: 'text', text: `${created ? 'Made' : 'Replaced'} ${shown} (${bytes} bytes).` }],
        details: { path: shown, created, bytes },
      };
    },
  };
}
