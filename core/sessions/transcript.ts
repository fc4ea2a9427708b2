import type { AgentMessage, StoredEntry, ToolResultMessage } from '../../sdk/index.ts';

/** What a model would see of a session. Same length, same order. */
export interface Context {
  messages: AgentMessage[];
  /** The entry each message comes from. */
  entryIds: string[];
  /** The entry's place in the log. */
  seqs: number[];
}

/** The text of the result that a tool call gets when its process died before it ended. */
export const INTERRUPTED = 'interrupted by restart';

const SUMMARY_PREFIX = 'Summary of the conversation before this point:\n\n';
const BRANCH_PREFIX = 'Summary of another branch of this conversation:\n\n';

/** The message of one entry, sealed; undefined for entries that no model sees. */
export function entryMessage(entry: StoredEntry): AgentMessage | undefined {
  switch (entry.type) {
    case 'message':
      return seal(entry.message);
    case 'custom_message':
      return { role: 'user', content: entry.content, timestamp: Date.parse(entry.timestamp) };
    case 'branch_summary':
      return entry.summary === '' ? undefined : { role: 'user', content: BRANCH_PREFIX + entry.summary, timestamp: Date.parse(entry.timestamp) };
    case 'compaction':
      return { role: 'user', content: SUMMARY_PREFIX + entry.summary, timestamp: Date.parse(entry.timestamp) };
    default:
      return undefined;
  }
}

/** Where to begin in `entries` (a path's end, oldest first); undefined: what a compaction kept lies before them. */
export function contextStart(entries: readonly StoredEntry[]): number | undefined {
  const compaction = entries.findLast((entry) => entry.type === 'compaction');
  if (compaction?.type !== 'compaction') return undefined;
  const start = entries.findIndex((entry) => entry.id === compaction.firstKeptEntryId);
  return start === -1 ? undefined : start;
}

/** The context of a whole path, or of an end of it for which `contextStart` found the beginning. */
export function buildContext(entries: readonly StoredEntry[]): Context {
  const at = entries.findLastIndex((entry) => entry.type === 'compaction');
  const compaction = entries[at];
  if (compaction?.type !== 'compaction') return toContext(entries);
  const start = entries.findIndex((entry) => entry.id === compaction.firstKeptEntryId);
  const kept = start === -1 ? [] : entries.slice(start, at).filter((entry) => entry.type !== 'compaction');
  return toContext([compaction, ...kept, ...entries.slice(at + 1)]);
}

/** The results that are missing at the end: for the tool calls of a reply behind which there is nothing but results. */
export function interruptedResults(messages: readonly AgentMessage[], now: number): ToolResultMessage[] {
  const at = messages.findLastIndex((message) => message.role !== 'toolResult');
  const reply = messages[at];
  if (reply?.role !== 'assistant') return [];
  const answered = new Set(messages.slice(at + 1).flatMap((message) => (message.role === 'toolResult' ? [message.toolCallId] : [])));
  return reply.content.flatMap((block) =>
    block.type !== 'toolCall' || answered.has(block.id)
      ? []
      : [{ role: 'toolResult', toolCallId: block.id, toolName: block.name, content: [{ type: 'text', text: INTERRUPTED }], isError: true, timestamp: now }],
  );
}

/**
 * A copy that nobody can change: contexts are shared by all turns of a session, and what an engine or a hook changes in place would be the history
 * of every later turn. `details` no model sees; it is left as it is.
 */
function seal(message: AgentMessage): AgentMessage {
  if (message.role !== 'toolResult') return frozen(message);
  const { details, ...rest } = message;
  return Object.freeze({ ...frozen(rest), ...(details === undefined ? {} : { details }) });
}

function frozen<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return Object.freeze(value.map(frozen)) as Value;
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([name, part]) => [name, frozen(part)]))) as Value;
}

function toContext(entries: readonly StoredEntry[]): Context {
  const context: Context = { messages: [], entryIds: [], seqs: [] };
  for (const entry of entries) {
    const message = entryMessage(entry);
    if (message === undefined) continue;
    context.messages.push(message);
    context.entryIds.push(entry.id);
    context.seqs.push(entry.seq);
  }
  return context;
}
