import { describe, expect, it } from 'vitest';
import { describeContract } from '../../test/contract-adapter.ts';
import type { AgentMessage } from '../messages.ts';
import type { ContextEngine } from '../ports/context-engine.ts';
import { type ContextEngineContext, contextEngineContract, HOST_KEEPS } from './context-engine.ts';
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
    maintain: async () => ({ changed: false, bytesFreed: 0, rewrittenEntries: 0 }),
    onSessionEnded: async ({ sessionId }) => void stored.delete(sessionId),
    dispose: async () => stored.clear(),
  };
}

describeContract<ContextEngineContext>(contextEngineContract, () => ({ engine: storing(), id: 'storing' }));

describe('the suite finds, for each rule, the engine that breaks it', () => {
  const unchanged = async ({ messages }: { messages: AgentMessage[] }) => ({ messages, estimatedTokens: 1 });
  const KNOWN = new Set(['sessionId', 'sessionKey', 'messages', 'tokenBudget', 'model', 'prompt', 'signal', 'entryIds']);
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
    ['an estimate that is wide of the mark', { assemble: async ({ messages }) => ({ messages, estimatedTokens: 900_000 }) }, /not estimated above/],
    ['changed params', { assemble: async ({ messages }) => ({ messages: messages.splice(0), estimatedTokens: 1 }) }, /no method changes/],
    ['a compaction without a result', { compact: async () => undefined as never }, /compact reports/],
    [
      'mixed sessions',
      { assemble: async () => ({ messages: [{ role: 'user', content: 'red green blue white', timestamp: 1 }], estimatedTokens: 1 }) },
      /do not mix/,
    ],
    ['an unknown role', { assemble: async () => ({ messages: [{ role: 'tool', content: 'x' } as never], estimatedTokens: 1 }) }, /finite estimate/],
    ['an addition that is no text', { assemble: async (params) => ({ ...(await unchanged(params)), systemPromptAddition: 7 as never }) }, /finite estimate/],
    [
      'an empty session refused',
      { assemble: (params) => (params.messages.length === 0 ? Promise.reject(new Error('nothing there')) : unchanged(params)) },
      /empty session/,
    ],
    // what rejects with a text has no code, no cause and no place
    ['a rejection that is no error', { compact: () => Promise.reject('no') }, /rejects with is an error/],
    [
      'a history that doubles',
      (() => {
        const kept: AgentMessage[] = [];
        return {
          bootstrap: async ({ messages = [] }) => {
            kept.push(...messages);
            return { bootstrapped: true };
          },
          assemble: async ({ messages }) => ({ messages: kept.length === 0 ? messages : [...kept], estimatedTokens: 1 }),
        } satisfies Partial<ContextEngine>;
      })(),
      /bootstrap may run again/,
    ],
    ['an afterTurn that fails', { afterTurn: () => Promise.reject(new Error('no table')) }, /afterTurn takes/],
    ['a maintain without a result', { maintain: async () => ({}) as never }, /maintain says/],
    ['a session that stays', { onSessionEnded: async () => undefined }, /ended is shown again/],
    [
      'an abort answered with nonsense',
      { assemble: (params) => (params.signal?.aborted === true ? Promise.reject('gone') : unchanged(params)) },
      /aborted signal settles/,
    ],
    [
      'a param of a later host refused',
      {
        assemble: (params) => (Object.keys(params).every((name) => KNOWN.has(name)) ? unchanged(params) : Promise.reject(new Error('unknown option'))),
      },
      /does not know are ignored/,
    ],
    ['a dispose that throws', { dispose: () => Promise.reject(new Error('still busy')) }, /dispose releases/],
  ];

  const failedOf = async (members: Partial<ContextEngine>) => {
    const report = await runContract(contextEngineContract, () => ({ engine: { ...storing(), ...members }, id: 'storing' }));
    return report.results.filter(({ status }) => status === 'failed').map(({ name }) => name);
  };

  it.each(breaks)('%s', async (_name, members, expected) => {
    expect((await failedOf(members)).join('\n')).toMatch(expected);
  });

  it('no rule is without one', () => {
    const rules = contextEngineContract.cases.map(({ name }) => name);
    expect(rules.filter((rule) => !breaks.some(([, , expected]) => expected.test(rule)))).toEqual([]);
  });

  it('an engine of the ancestor’s line is not asked for what its contract could not promise', async () => {
    const forgetful: Partial<ContextEngine> = { ingestBatch: async ({ messages }) => ({ ingestedCount: messages.length }) };
    const report = await runContract(
      contextEngineContract,
      (): ContextEngineContext => ({ engine: { ...storing(), ...forgetful }, id: 'storing', line: 'ancestor' }),
    );
    expect(report.results.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(report.results.find(({ name }) => name.startsWith('a batch says'))).toMatchObject({ status: 'skipped', reason: HOST_KEEPS });
  });
});
