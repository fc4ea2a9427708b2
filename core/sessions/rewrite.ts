import { type AgentMessage, durarError, type SessionStore, type StoredEntry } from '../../sdk/index.ts';

/** A message to stand in the place of an entry's. `id`: of the entry, or of its line in the transcript's file. */
export interface Replacement {
  id: string;
  message: AgentMessage;
}

const PAGE = 1_024;

/** Puts other messages in the place of some, after looking at each. Returns what changed. Throws `DUR_SESSION_REWRITE`; nothing is changed then. */
export async function rewriteEntries(
  store: SessionStore,
  sessionId: string,
  replacements: readonly Replacement[],
): Promise<{ rewrittenEntries: number; bytesFreed: number }> {
  const entries = await findEntries(store, sessionId, new Set(replacements.map(({ id }) => id)));
  const changes = new Map<string, AgentMessage>();
  let bytesFreed = 0;
  for (const { id, message } of replacements) {
    const entry = entries.get(id);
    const reason = entry === undefined ? 'is no entry of its conversation' : fault(entry, message);
    if (entry === undefined || entry.type !== 'message' || reason !== undefined) throw refusal(sessionId, `'${id}' ${reason}`);
    if (changes.has(entry.id)) throw refusal(sessionId, `'${id}' is named twice`);
    const [before, after] = [JSON.stringify(entry.message), JSON.stringify(message)];
    if (before === after) continue;
    changes.set(entry.id, message);
    bytesFreed += Buffer.byteLength(before) - Buffer.byteLength(after);
  }
  if (changes.size === 0) return { rewrittenEntries: 0, bytesFreed: 0 };
  if (store.rewrite === undefined) throw refusal(sessionId, `the session store '${store.id}' cannot do that`);
  await store.rewrite({ sessionId, replacements: [...changes].map(([id, message]) => ({ id, message })) });
  return { rewrittenEntries: changes.size, bytesFreed: Math.max(0, bytesFreed) };
}

/** By whichever id they were asked for. Read from the end, for the newest are rewritten most. */
async function findEntries(store: SessionStore, sessionId: string, ids: ReadonlySet<string>): Promise<Map<string, StoredEntry>> {
  const found = new Map<string, StoredEntry>();
  let { entries } = await store.read({ sessionId, limit: PAGE });
  for (;;) {
    for (const entry of entries) for (const id of [entry.id, entry.fileId]) if (id !== undefined && ids.has(id)) found.set(id, entry);
    const first = entries[0]?.seq ?? 1;
    if (found.size === ids.size || first <= 1) return found;
    const fromSeq = Math.max(1, first - PAGE);
    const earlier = await store.read({ sessionId, fromSeq, limit: first - fromSeq });
    entries = earlier.entries.filter(({ seq }) => seq < first);
    // a branch may skip a whole page
    if (entries.length === 0) return found;
  }
}

/** Why a message cannot take the place of an entry's: the conversation around it must still make sense. */
function fault(entry: StoredEntry, message: AgentMessage): string | undefined {
  if (entry.type !== 'message') return 'is not a message';
  const old = entry.message;
  if (message?.role !== old.role) return `has the role '${old.role}', not '${message?.role}'`;
  const { content } = message;
  if (!(Array.isArray(content) && content.every(isBlock)) && !(message.role === 'user' && typeof content === 'string')) return 'would have no content';
  if (message.role === 'toolResult' && old.role === 'toolResult') {
    if (message.toolCallId !== old.toolCallId || message.toolName !== old.toolName) return 'would be the result of another call';
  }
  return JSON.stringify(calls(message)) === JSON.stringify(calls(old)) ? undefined : 'would make other tool calls';
}

function isBlock(block: unknown): boolean {
  return typeof block === 'object' && block !== null && 'type' in block && typeof block.type === 'string';
}

function calls({ role, content }: AgentMessage): Array<[string, string]> {
  if (role !== 'assistant') return [];
  return content.flatMap((block) => (block.type === 'toolCall' ? [[block.id, block.name] satisfies [string, string]] : []));
}

function refusal(session: string, reason: string): Error {
  return durarError('DUR_SESSION_REWRITE', { session, reason });
}
