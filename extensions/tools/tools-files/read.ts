import type { Tool, ToolResult } from 'Durar/plugin-sdk/core';
import type { FileHandle } from 'node:fs/promises';
import { openRegular } from './file.ts';
import { imageType } from './image.ts';
import { NotText, readLines } from './lines.ts';
import type { Reach } from './reach.ts';

export interface ReadLimits {
  maxLines: number;
  maxChars: number;
  maxImageBytes: number;
}

const PARAMETERS = {
  type: 'object',
  additionalProperties: false,
  required: ['path'],
  properties: {
    path: { type: 'string', minLength: 1, description: 'The file, relative to the workspace.' },
    offset: { type: 'integer', minimum: 1, description: 'First line to read, from 1.' },
    limit: { type: 'integer', minimum: 1, description: 'How many lines to read.' },
  },
};

/** The tool `read`: text by lines, images as images, nothing else. */
export function createReadTool(reach: Reach, limits: ReadLimits): Tool {
  return {
    name: 'read',
    label: 'Read a file',
    description: 'Reads a text file (by lines; use offset and limit for long ones) or an image (png, jpeg, gif, webp).',
    parameters: PARAMETERS,
    async execute(_callId, params, signal) {
      signal?.throwIfAborted();
      const shown = String(params.path);
      const { handle, size } = await openRegular(await reach.locate(params.path), shown);
      try {
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(16), 0, 16, 0);
        const mimeType = imageType(buffer.subarray(0, bytesRead));
        return mimeType === undefined ? await readText(handle, shown, params, limits, signal) : await readImage(handle, shown, mimeType, size, limits);
      } finally {
        await handle.close();
      }
    },
  };
}

async function readText(handle: FileHandle, shown: string, params: Record<string, unknown>, limits: ReadLimits, signal?: AbortSignal): Promise<ToolResult> {
  const from = typeof params.offset === 'number' ? params.offset : 1;
  const maxLines = Math.min(typeof params.limit === 'number' ? params.limit : limits.maxLines, limits.maxLines);
  const lines = await readLines(handle, { from, maxLines, maxChars: limits.maxChars }, signal).catch((error: unknown) => {
    if (error instanceof NotText) throw new Error(`'${shown}' is a binary file`, { cause: error });
    throw error;
  });
  if (lines.count === 0 && from > 1) throw new Error(`'${shown}' has fewer than ${from} lines`);
  const last = from + lines.count - 1;
  const notes = [
    ...(lines.cutLine ? [`line ${last} is cut after ${limits.maxChars} characters`] : []),
    ...(lines.next === undefined ? [] : [`lines ${from} to ${last}; more follow, go on with offset ${lines.next}`]),
  ];
  return {
    content: [{ type: 'text', text: notes.length === 0 ? lines.text : `${lines.text.replace(/\n$/, '')}\n\n[${notes.join('; ')}]` }],
    details: { path: shown, from, lines: lines.count, ...(lines.next === undefined ? {} : { next: lines.next }) },
  };
}

async function readImage(handle: FileHandle, shown: string, mimeType: string, size: number, limits: ReadLimits): Promise<ToolResult> {
  if (size > limits.maxImageBytes) throw new Error(`the image '${shown}' has ${size} bytes; the limit is ${limits.maxImageBytes}`);
  const data = (await handle.readFile()).toString('base64');
  return {
    content: [
      { type: 'text', text: `${shown} (${mimeType}, ${size} bytes)` },
      { type: 'image', data, mimeType },
    ],
    details: { path: shown, mimeType, bytes: size },
  };
}
