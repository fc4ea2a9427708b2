import type { AgentMessage, ToolResultMessage } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import { isReply } from '../turn/reply.ts';
import { removeOldImages } from './old-images.ts';
import { decide, type Measure, type Trimmed, trim } from './pruning-pass.ts';
import { createPruningSettings } from './pruning-settings.ts';

/** Keeps old tool results out of requests. Only the request changes: neither the transcript nor the engine's messages are touched. */
export interface Pruning {
  /**
   * The messages as the request shall carry them; the same array when nothing has to change. What was trimmed once is trimmed the same way in
   * every later request of the session, so that a provider's prompt cache stays valid until the next pass. Call it right before each model call.
   */
  apply(request: PruningRequest): AgentMessage[];
}

export interface PruningRequest {
  config: Config;
  sessionId: string;
  messages: AgentMessage[];
  /** provider of the run's model */
  provider: string;
  /** tokens */
  window: number;
  /** tokens of what is sent beside the messages */
  overhead: number;
}

/** What is remembered of one session, in memory only. */
interface Memory {
  /** of the last model call, epoch ms */
  calledAt: number;
  decisions: Map<string, Trimmed>;
}

/** Sessions whose decisions are kept; the one that was idle longest is forgotten first, and its next call starts anew. */
const SESSIONS = 1_000;
export function createPruning({ now, measure }: { now: () => number; measure: Measure }): Pruning {
  const memories = new Map<string, Memory>();
  const settingsOf = createPruningSettings();
  const replay = createReplay();

  function recall(sessionId: string, messages: readonly AgentMessage[]): Memory {
    const memory = memories.get(sessionId) ?? { calledAt: lastReplyAt(messages), decisions: new Map() };
    memories.delete(sessionId);
    memories.set(sessionId, memory);
    if (memories.size > SESSIONS) memories.delete(memories.keys().next().value ?? sessionId);
    return memory;
  }

  return {
    apply({ config, sessionId, messages, provider, window, overhead }) {
      const clean = removeOldImages(messages);
      const settings = settingsOf(config, provider);
      if (settings === undefined) return clean;
      const memory = recall(sessionId, clean);
      const at = now();
      if (at - memory.calledAt >= settings.ttlMs) {
        const decisions = keptOf(clean, memory.decisions);
        for (const { index, trimmed } of decide(replay(clean, decisions), settings, { window, overhead, measure })) {
          const message = clean[index];
          // nothing comes back that was cleared
          if (message?.role !== 'toolResult' || decisions.get(identity(message))?.how === 'clear') continue;
          decisions.set(identity(message), trimmed);
        }
        memory.decisions = decisions;
      }
      memory.calledAt = at;
      return replay(clean, memory.decisions);
    },
  };
}

/** Decisions on what is no longer in the context are dropped. */
function keptOf(messages: readonly AgentMessage[], decisions: ReadonlyMap<string, Trimmed>): Map<string, Trimmed> {
  const kept = new Map<string, Trimmed>();
  if (decisions.size === 0) return kept;
  for (const message of messages) {
    if (message.role !== 'toolResult') continue;
    const decision = decisions.get(identity(message));
    if (decision !== undefined) kept.set(identity(message), decision);
  }
  return kept;
}

/** Shows results as was decided. One that an engine hands out again is trimmed once, so that its size is known already. */
function createReplay(): (messages: AgentMessage[], decisions: ReadonlyMap<string, Trimmed>) => AgentMessage[] {
  const known = new WeakMap<ToolResultMessage, { trimmed: Trimmed; shown: ToolResultMessage }>();
  return (messages, decisions) => {
    if (decisions.size === 0) return messages;
    let pruned: AgentMessage[] | undefined;
    for (const [index, message] of messages.entries()) {
      if (message.role !== 'toolResult') continue;
      const trimmed = decisions.get(identity(message));
      if (trimmed === undefined) continue;
      let entry = known.get(message);
      if (entry?.trimmed !== trimmed) {
        entry = { trimmed, shown: trim(message, trimmed) };
        known.set(message, entry);
      }
      pruned ??= [...messages];
      pruned[index] = entry.shown;
    }
    return pruned ?? messages;
  };
}

/** Engines may hand out copies, and some models use an id again. */
function identity({ toolCallId, timestamp }: ToolResultMessage): string {
  return `${timestamp}:${toolCallId}`;
}

/** When the model last spoke, for sessions that this process has not called it for. */
function lastReplyAt(messages: readonly AgentMessage[]): number {
  return messages.findLast(isReply)?.timestamp ?? 0;
}
