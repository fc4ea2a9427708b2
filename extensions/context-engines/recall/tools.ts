import type { Tool, ToolContext, ToolResult } from 'Durar/plugin-sdk/core';
import { describeMessage, findPassages } from './passages.ts';
import { searchTerms } from './query.ts';
import type { Store, StoredMessage } from './store.ts';

const DEFAULT_PASSAGES = 8;
const MAX_PASSAGES = 25;
const MAX_AROUND = 10;
/** Characters of one message that a call returns at most; the rest by `offset`. */
const PAGE_CHARS = 12_000;
const AROUND_CHARS = 1_000;

/** The tools of one run. They see the run's own session and no other. */
export function createRecallTools(openStore: () => Store, { sessionId }: Pick<ToolContext, 'sessionId'>): Tool[] {
  return [
    {
      name: 'recall_search',
      label: 'Search the conversation',
      description: 'Searches all earlier messages of this conversation, also those that are no longer shown. Returns passages with a ref for recall_read.',
      parameters: {
        type: 'object',
        additionalProperties: false,
        required: ['query'],
        properties: {
          query: { type: 'string', minLength: 1, description: 'A few telling words: names, numbers, what it was about.' },
          limit: { type: 'integer', minimum: 1, maximum: MAX_PASSAGES, description: `Passages at most; default ${DEFAULT_PASSAGES}.` },
        },
      },
      async execute(_callId, { query, limit }) {
        const terms = searchTerms(String(query));
        if (terms.length === 0) return failure('the query has no word to search for; name what it was about');
        const store = openStore();
        const session = store.session(sessionId);
        // what the window shows need not be found again
        const before = session.startStamp === undefined ? Number.MAX_SAFE_INTEGER : session.startPlace;
        const maxPassages = typeof limit === 'number' ? limit : DEFAULT_PASSAGES;
        const passages = findPassages(store, session, { terms, before, maxPassages });
        const found = passages.map(({ text }) => text).join('\n---\n');
        return answer(found === '' ? `nothing found for ${terms.join(', ')}` : found, { passages: passages.map(({ refs }) => refs) });
      },
    },
    {
      name: 'recall_read',
      label: 'Read an earlier message',
      description:
        'Reads one earlier message of this conversation whole, by the ref that recall_search or a recalled passage gave, with what was said around it.',
      parameters: {
        type: 'object',
        additionalProperties: false,
        required: ['ref'],
        properties: {
          ref: { type: 'integer', minimum: 1, description: 'The number behind #.' },
          around: { type: 'integer', minimum: 0, maximum: MAX_AROUND, description: 'Messages before and after it, shortened; default 0.' },
          offset: { type: 'integer', minimum: 0, description: 'Where to begin in a long message, in characters.' },
        },
      },
      async execute(_callId, { ref, around, offset }) {
        const store = openStore();
        const session = store.session(sessionId);
        const message = store.message(session, Number(ref));
        if (message === undefined) return failure(`this conversation has no message #${String(ref)}; refs come from recall_search`);
        const count = typeof around === 'number' ? around : 0;
        const before = store.neighbours(session, message.place, true, count).reverse();
        const after = store.neighbours(session, message.place, false, count + 1).filter((other) => other.ref !== message.ref);
        return answer([...before.map(short), page(message, typeof offset === 'number' ? offset : 0), ...after.map(short)].join('\n---\n'), { ref });
      },
    },
  ];
}

function page(message: StoredMessage, offset: number): string {
  const end = Math.min(message.text.length, offset + PAGE_CHARS);
  const more = end < message.text.length ? `\n[${message.text.length - end} more characters: offset ${end}]` : '';
  return `${describeMessage(message)}: ${message.text.slice(offset, end)}${more}`;
}

function short(message: StoredMessage): string {
  const more = message.text.length > AROUND_CHARS ? '…' : '';
  return `${describeMessage(message)}: ${message.text.slice(0, AROUND_CHARS)}${more}`;
}

function answer(text: string, details: unknown): ToolResult {
  return { content: [{ type: 'text', text }], details };
}

function failure(text: string): ToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}
