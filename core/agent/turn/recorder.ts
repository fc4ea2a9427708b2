import type { AgentMessage, EntryBody, HookContext, SessionRecord, StoredEntry } from '../../../sdk/index.ts';
import type { HookDispatcher } from '../../kernel/generation.ts';
import type { SessionService } from '../../sessions/service.ts';

/** Writes one turn's entries. Everything is on disk before anyone else hears of it. */
export interface Recorder {
  /** Entries of this turn, in order. */
  readonly entries: readonly StoredEntry[];
  /** Persists a message and returns the entry; undefined when a hook withheld it from the transcript (the run still sees it). */
  message(message: AgentMessage): Promise<StoredEntry | undefined>;
  /** The session's messages as this run sees them: what is on disk, and what a hook withheld in its place. */
  history(): Promise<History>;
}

/** Same length, same order. */
export interface History {
  messages: AgentMessage[];
  /** The entry of each message; one that a hook withheld goes by an id that no entry has. */
  entryIds: string[];
  /** The entry's place in the log; 0 for what was withheld. */
  seqs: number[];
}

export function createRecorder(params: { sessions: SessionService; session: SessionRecord; hooks: HookDispatcher; context: HookContext }): Recorder {
  const { sessions, session, hooks, context } = params;
  const entries: StoredEntry[] = [];
  /** Kept in memory for this turn only; `after` is the number of messages of this turn that were written before it. */
  const withheld: Array<{ message: AgentMessage; after: number }> = [];

  /** The message as the hooks leave it, undefined when one of them withholds it. */
  function filtered(message: AgentMessage): AgentMessage | undefined {
    let current = message;
    if (current.role === 'toolResult' && hooks.has('tool_result_persist')) {
      const event = { toolName: current.toolName, toolCallId: current.toolCallId, message: current };
      current = hooks.callSync('tool_result_persist', event, context)?.message ?? current;
    }
    if (!hooks.has('before_message_write')) return current;
    const event = {
      message: current,
      ...(context.sessionKey === undefined ? {} : { sessionKey: context.sessionKey }),
      ...(context.agentId === undefined ? {} : { agentId: context.agentId }),
    };
    const decision = hooks.callSync('before_message_write', event, context);
    if (decision?.block === true) return undefined;
    const kept = decision?.message ?? current;
    // whatever a hook makes of the words, they were accepted under these ids
    return message.role === 'user' && kept.role === 'user' && message.runIds !== undefined ? { ...kept, runIds: message.runIds } : kept;
  }

  return {
    entries,
    async message(message) {
      const kept = filtered(message);
      if (kept === undefined) {
        withheld.push({ message, after: entries.length });
        return undefined;
      }
      const body: EntryBody = { type: 'message', message: kept };
      const [entry] = await sessions.append(session, [body]);
      if (entry !== undefined) entries.push(entry);
      return entry;
    },
    async history() {
      const { messages, entryIds, seqs } = await sessions.context(session);
      const stored = messages.length;
      // from the last backwards, so that earlier places stay right
      for (const [index, { message, after }] of [...withheld.entries()].reverse()) {
        const at = Math.max(0, stored - (entries.length - after));
        messages.splice(at, 0, message);
        entryIds.splice(at, 0, `withheld-${index + 1}`);
        seqs.splice(at, 0, 0);
      }
      return { messages, entryIds, seqs };
    },
  };
}
