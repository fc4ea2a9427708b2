import { type AgentMessage, type ContextEngine, delegateCompactionToRuntime } from 'Durar/plugin-sdk/core';

const CHARS_PER_TOKEN = 4;
/** What a picture costs, as text of the same price. */
const IMAGE_CHARS = 4_800;

/** The engine that adds nothing: the host keeps the messages, the whole history goes to the model, the host summarises when it must. */
export function createLegacyEngine(): ContextEngine {
  /** By identity: the host gives the same messages at every turn, and nobody can change them. */
  const costs = new WeakMap<AgentMessage, number>();
  const cost = (message: AgentMessage): number => {
    let known = costs.get(message);
    if (known === undefined) {
      known = estimate(message);
      costs.set(message, known);
    }
    return known;
  };
  return {
    info: { id: 'legacy', name: 'Legacy context engine', version: '1.0.0' },
    ingest: async () => ({ ingested: false }),
    assemble: async ({ messages }) => ({ messages, estimatedTokens: messages.reduce((sum, message) => sum + cost(message), 0) }),
    compact: delegateCompactionToRuntime,
  };
}

function estimate({ content }: AgentMessage): number {
  if (typeof content === 'string') return Math.ceil(content.length / CHARS_PER_TOKEN);
  let chars = 0;
  for (const block of content) {
    if (block.type === 'text') chars += block.text.length;
    else if (block.type === 'thinking') chars += block.thinking.length;
    else if (block.type === 'toolCall') chars += block.name.length + JSON.stringify(block.arguments).length;
    else chars += IMAGE_CHARS;
  }
  return Math.ceil(chars / CHARS_PER_TOKEN);
}
