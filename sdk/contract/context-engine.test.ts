import { describe, expect, it } from 'vitest';
import { describeContract } from '../../test/contract-adapter.ts';
import type { AgentMessage } from '../messages.ts';
import type { ContextEngine } from '../ports/context-engine.ts';
import { type ContextEngineContext, contextEngineContract } from './context-engine.ts';
import { runContract } from './contract.ts';

/** An engine with every member and a store of its own: what the suite asks of the best. */
function storing(): ContextEngine {
  const stored = new Map<string, Map<string, AgentMessage>>();
  const session = (id: string) => {
    const found = stored.get(id) ?? new Map<string, AgentMessage>();
    stored.set(id, found);
    return found;
  };
  const take = (sessionId: string, key: string, message: AgentMessage) => {
    const known = session(sessionId).has(key);
    session(sessionId).set(key, message);
    return !known;
  };
  return {
    info: { id: 'storing', name: 'Storing', version: '1.0.0', ownsCompaction: true },
    ingest: async ({ sessionId, entryId = '', message }) => ({ ingested: take(sessionId, entryId, message) }),
    ingestBatch: async ({ sessionId, messages, entries = [] }) => ({
      ingestedCount: messages.filter((message, index) => take(sessionId, entries[index]?.entryId ?? '', message)).length,
    }),
    bootstrap: async ({ sessionId, messages = [] }) => {
      for (const [index, message] of messages.entries()) take(sessionId, `boot-${index}`, message);
      return { bootstrapped: true, importedMessages: messages.length };
    },
    assemble: async ({ sessionId, messages }) => {
      const own = [...session(sessionId).values()];
      return { messages: own.length === 0 ? messages : own, estimatedTokens: own.length, systemPromptAddition: 'search with grep' };
    },
    compact: async () => ({ ok: true, compacted: true, result: { tokensBefore: 10, tokensAfter: 5 } }),
    afterTurn: async () => undefined,
    dispose: async () => stored.clear(),
  };
}

describeContract<ContextEngineContext>(contextEngineContract, () => ({ engine: storing(), id: 'storing' }));

describe('the suite finds', () => {
  const breaks: Array<[string, Partial<ContextEngine>, RegExp]> = [
    ['a foreign id', { info: { id: 'other', name: 'Other' } }, /info names/],
    ['a missing member', { compact: undefined as never }, /required members/],
    ['an ingest that forgets what it took', { ingest: async () => ({ ingested: true }) }, /takes an entry once/],
    ['a batch taken twice', { ingestBatch: async ({ messages }) => ({ ingestedCount: messages.length }) }, /takes them once/],
    ['an estimate left out', { assemble: (async ({ messages }) => ({ messages })) as ContextEngine['assemble'] }, /finite estimate/],
    ['a lost question', { assemble: async ({ messages }) => ({ messages: messages.slice(0, 1), estimatedTokens: 1 }) }, /newest user message/],
    [
      'a torn pair',
      { assemble: async ({ messages }) => ({ messages: messages.filter(({ role }) => role !== 'toolResult'), estimatedTokens: 1 }) },
      /tool call keeps/,
    ],
    [
      'a context larger than the budget',
      { assemble: async ({ messages }) => ({ messages: [...messages, { role: 'user', content: 'x'.repeat(90_000), timestamp: 1 }], estimatedTokens: 1 }) },
      /larger than the budget/,
    ],
    ['changed params', { assemble: async ({ messages }) => ({ messages: messages.splice(0), estimatedTokens: 1 }) }, /no method changes/],
    ['a compaction without a result', { compact: async () => undefined as never }, /compact reports/],
    [
      'mixed sessions',
      { assemble: async () => ({ messages: [{ role: 'user', content: 'red green blue white', timestamp: 1 }], estimatedTokens: 1 }) },
      /do not mix/,
    ],
    ['a dispose that throws', { dispose: () => Promise.reject(new Error('still busy')) }, /dispose releases/],
  ];

  it.each(breaks)('%s', async (_name, members, expected) => {
    const report = await runContract(contextEngineContract, () => ({ engine: { ...storing(), ...members }, id: 'storing' }));
    expect(report.ok).toBe(false);
    expect(
      report.results
        .filter(({ status }) => status === 'failed')
        .map(({ name }) => name)
        .join('\n'),
    ).toMatch(expected);
  });
});
