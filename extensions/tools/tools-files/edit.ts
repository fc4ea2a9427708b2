import type { Tool } from 'Durar/plugin-sdk/core';
import type { Serial } from 'Durar/plugin-sdk/serial';
import { openRegular, replaceFile } from './file.ts';
import type { Reach } from './reach.ts';

interface Replacement {
  oldText: string;
  newText: string;
}

/** Files above this size are not edited as text. */
const MAX_BYTES = 10 * 1024 * 1024;

const PARAMETERS = {
  type: 'object',
  additionalProperties: false,
  required: ['path', 'edits'],
  properties: {
    path: { type: 'string', minLength: 1, description: 'The file, relative to the workspace.' },
    edits: {
      type: 'array',
      minItems: 1,
      description: 'Replacements; each is made in the file as it was before the call, so they must not overlap.',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['oldText', 'newText'],
        properties: {
          oldText: { type: 'string', minLength: 1, description: 'Text that occurs exactly once in the file, white space included.' },
          newText: { type: 'string', description: 'What replaces it.' },
        },
      },
    },
  },
};

/** The tool `edit`: exact replacements, all of them or none. */
export function createEditTool(reach: Reach, inTurn: Serial['run']): Tool {
  return {
    name: 'edit',
    label: 'Edit a file',
    description: 'Replaces exact pieces of a text file. Each oldText must occur exactly once. All edits are made, or none.',
    parameters: PARAMETERS,
    async execute(_callId, params, signal) {
      const edits = readEdits(params.edits);
      const shown = String(params.path);
      const path = await reach.locate(params.path);
      const firstLine = await inTurn(path, async () => {
        signal?.throwIfAborted();
        const before = await readWhole(path, shown);
        const { text, firstAt } = replaceAll(before, edits, shown);
        await replaceFile(path, text, shown);
        return before.slice(0, firstAt).split('\n').length;
      });
      return {
        content: [{ type: 'text', text: `Changed ${shown}: ${edits.length === 1 ? '1 edit' : `${edits.length} edits`}, the first at line ${firstLine}.` }],
        details: { path: shown, edits: edits.length, firstChangedLine: firstLine },
      };
    },
  };
}

/** Throws, and changes nothing, unless each text is found exactly once. */
export function replaceAll(before: string, edits: readonly Replacement[], shown: string): { text: string; firstAt: number } {
  const found = edits.map((edit, index) => {
    const name = edits.length === 1 ? 'oldText' : `oldText of edit ${index + 1}`;
    const { oldText, newText } = inLineEndingsOf(before, edit);
    const at = before.indexOf(oldText);
    if (at === -1) throw new Error(`${name} does not occur in '${shown}'; read the file again and copy it exactly`);
    if (before.includes(oldText, at + 1)) throw new Error(`${name} occurs more than once in '${shown}'; add lines around it until it is unique`);
    return { at, end: at + oldText.length, newText };
  });
  found.sort((one, other) => one.at - other.at);
  let text = '';
  let done = 0;
  for (const { at, end, newText } of found) {
    if (at < done) throw new Error(`two edits of '${shown}' overlap; join them into one`);
    text += before.slice(done, at) + newText;
    done = end;
  }
  text += before.slice(done);
  if (text === before) throw new Error(`the edits leave '${shown}' as it was`);
  return { text, firstAt: found[0]?.at ?? 0 };
}

/** Models write `\n`; a file with `\r\n` keeps its line endings. */
function inLineEndingsOf(text: string, edit: Replacement): Replacement {
  if (!text.includes('\r\n') || edit.oldText.includes('\r\n') || text.includes(edit.oldText)) return edit;
  const convert = (part: string) => part.replace(/\r?\n/g, '\r\n');
  return { oldText: convert(edit.oldText), newText: convert(edit.newText) };
}

function readEdits(value: unknown): Replacement[] {
  if (!Array.isArray(value) || value.length === 0) throw new Error('there are no edits');
  return value.map((edit: Partial<Replacement> | null, index) => {
    if (typeof edit?.oldText !== 'string' || typeof edit.newText !== 'string') throw new Error(`edit ${index + 1} needs oldText and newText`);
    if (edit.oldText === '') throw new Error(`oldText of edit ${index + 1} is empty; use write to make a file`);
    return { oldText: edit.oldText, newText: edit.newText };
  });
}

async function readWhole(path: string, shown: string): Promise<string> {
  const { handle, size } = await openRegular(path, shown);
  try {
    if (size > MAX_BYTES) throw new Error(`'${shown}' has ${size} bytes; the limit for edits is ${MAX_BYTES}`);
    const bytes = await handle.readFile();
    const text = bytes.toString('utf8');
    if (bytes.includes(0) || !Buffer.from(text).equals(bytes)) throw new Error(`'${shown}' is a binary file`);
    return text;
  } finally {
    await handle.close();
  }
}
