import type { AgentMessage, ToolResultMessage } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';
import { removeOldImages } from './old-images.ts';
import { decide, type Measure, type Trimmed, trim } from './pruning-pass.ts';
import { createPruningSettings, type PruningSettings } from './pruning-settings.ts';

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
      if (at - memory.calledAt >= settings.ttlMs) memory.decisions = pass(clean, memory.decisions, settings, { window, overhead, measure });
      memory.calledAt = at;
      return replay(clean, memory.decisions);
    },
  };
}

/** Decisions on what is no longer in the context are dropped. */
function pass(
  messages: readonly AgentMessage[],
  earlier: ReadonlyMap<string, Trimmed>,
  settings: PruningSettings,
  size: { window: number; overhead: number; measure: Measure },
): Map<string, Trimmed> {
  const decisions = new Map<string, Trimmed>();
  for (const message of messages) {
    if (message.role !== 'toolResult') continue;
    const decision = earlier.get(identity(message));
    if (decision !== undefined) decisions.set(identity(message), decision);
  }
  for (const { index, trimmed } of decide(replay(messages, decisions), settings, size)) {
    const message = messages[index];
    if (message?.role === 'toolResult') decisions.set(identity(message), trimmed);
  }
  return decisions;
}

function replay<Messages extends readonly AgentMessage[]>(messages: Messages, decisions: ReadonlyMap<string, Trimmed>): Messages | AgentMessage[] {
  if (decisions.size === 0) return messages;
  let pruned: AgentMessage[] | undefined;
  for (const [index, message] of messages.entries()) {
    if (message.role !== 'toolResult') continue;
    const decision = decisions.get(identity(message));
    if (decision === undefined) continue;
    pruned ??= [...messages];
    pruned[index] = trim(message, decision);
  }
  return pruned ?? messages;
}

/** Engines may hand out copies, and some models use an id again. */
function identity({ toolCallId, timestamp }: ToolResultMessage): string {
  return `${timestamp}:${toolCallId}`;
}

/** When the model last spoke, for sessions that this process has not called it for. */
function lastReplyAt(messages: readonly AgentMessage[]): number {
  return messages.findLast((message) => message.role === 'assistant')?.timestamp ?? 0;
}
