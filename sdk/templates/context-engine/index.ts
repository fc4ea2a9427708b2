import { type AgentMessage, type ContextEngine, definePluginEntry, delegateCompactionToRuntime } from 'Durar/plugin-sdk/core';

/** Four characters a token is close enough for a budget; the host corrects the estimate by what the provider reports. */
const CHARS_PER_TOKEN = 4;

export default definePluginEntry({
  id: '__ID__',
  register(api) {
    const keepTurns = Number(api.pluginConfig.keepTurns);
    api.registerContextEngine('__ID__', () => createEngine(keepTurns));
  },
});

function createEngine(keepTurns: number): ContextEngine {
  /** Entries already seen, by session: the host may offer one again after a restart. */
  const seen = new Map<string, Set<string>>();

  return {
    info: { id: '__ID__', name: '__NAME__' },

    async ingest({ sessionId, entryId }) {
      if (entryId === undefined) return { ingested: true };
      const entries = seen.get(sessionId) ?? new Set();
      seen.set(sessionId, entries);
      if (entries.has(entryId)) return { ingested: false };
      entries.add(entryId);
      return { ingested: true };
    },

    async assemble({ messages, tokenBudget }) {
      const turns = turnsOf(messages);
      let kept: AgentMessage[] = turns.pop() ?? [];
      let tokens = estimate(kept);
      for (let count = 1; count < keepTurns && turns.length > 0; count += 1) {
        const turn = turns.pop() ?? [];
        const cost = estimate(turn);
        if (tokens + cost > tokenBudget) break;
        kept = [...turn, ...kept];
        tokens += cost;
      }
      return { messages: kept, estimatedTokens: tokens };
    },

    // The host's own summary serves `durar sessions compact` and overflow.
    compact: (params) => delegateCompactionToRuntime(params),

    async dispose() {
      seen.clear();
    },
  };
}

/** A turn starts with what the user said and holds every reply, tool call and result after it; a call is never parted from its result. */
function turnsOf(messages: readonly AgentMessage[]): AgentMessage[][] {
  const turns: AgentMessage[][] = [];
  for (const message of messages) {
    const turn = turns.at(-1);
    if (turn === undefined || message.role === 'user') turns.push([message]);
    else turn.push(message);
  }
  return turns;
}

function estimate(messages: readonly AgentMessage[]): number {
  return Math.ceil(messages.reduce((sum, message) => sum + JSON.stringify(message.content).length, 0) / CHARS_PER_TOKEN);
}
