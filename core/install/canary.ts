import assert from 'node:assert/strict';
import { type AgentMessage, emptyUsage } from '../../sdk/messages.ts';
import type { CompactParams, CompactResult, ContextEngine } from '../../sdk/ports/context-engine.ts';
import { within } from '../kernel/scope.ts';

const CALL_LIMIT_MS = 10_000;
const TOKEN_BUDGET = 4_000;

/**
 * One short session with an engine: what the host would call for a first turn, in that order, with results checked as the host checks
 * them. Throws the first broken promise.
 */
export async function runCanary(id: string, engine: ContextEngine): Promise<void> {
  const sessionId = 'durar-canary';
  const sessionKey = 'agent:main:canary';
  const said: AgentMessage[] = [user('The code word is "heron".'), assistant('Noted.'), user('What is the code word?')];
  const call = <Result>(method: string, run: () => Promise<Result>) =>
    within(CALL_LIMIT_MS, run, () => new Error(`${method} of '${id}' did not end within ${CALL_LIMIT_MS} ms`));
  const session = { sessionId, sessionKey };

  const { bootstrap, ingestBatch, afterTurn } = engine;
  if (bootstrap !== undefined) {
    const result = await call('bootstrap', () => bootstrap.call(engine, { ...session, messages: [] }));
    assert.equal(typeof result?.bootstrapped, 'boolean', 'bootstrap must return { bootstrapped: boolean }');
  }
  for (const [index, message] of said.entries()) {
    const entry = { entryId: `0000000${index + 1}`, seq: index + 1 };
    const result = await call('ingest', () => engine.ingest({ ...session, message, ...entry }));
    assert.equal(typeof result?.ingested, 'boolean', 'ingest must return { ingested: boolean }');
  }
  const assembled = await call('assemble', () =>
    engine.assemble({ ...session, messages: structuredClone(said), tokenBudget: TOKEN_BUDGET, prompt: 'What is the code word?' }),
  );
  assert.ok(Array.isArray(assembled?.messages), 'assemble must return { messages: [...] }');
  assert.ok(assembled.messages.length > 0, 'assemble returned no message for a session that has three');
  for (const message of assembled.messages)
    assert.ok(['user', 'assistant', 'toolResult'].includes(message?.role), `assemble returned a message with the role '${message?.role}'`);
  assert.ok(Number.isFinite(assembled.estimatedTokens) && assembled.estimatedTokens >= 0, 'assemble must return estimatedTokens, a number');
  const addition = assembled.systemPromptAddition;
  assert.ok(addition === undefined || typeof addition === 'string', 'systemPromptAddition must be a text');
  const compacted = await call('compact', () => engine.compact({ ...session, tokenBudget: TOKEN_BUDGET, force: true, runtimeContext: { compactSession } }));
  assert.equal(typeof compacted?.ok, 'boolean', 'compact must return { ok: boolean, compacted: boolean }');
  assert.equal(typeof compacted.compacted, 'boolean', 'compact must return { ok: boolean, compacted: boolean }');
  if (ingestBatch !== undefined) {
    const result = await call('ingestBatch', () =>
      ingestBatch.call(engine, { ...session, messages: [assistant('Heron.')], entries: [{ entryId: '00000004', seq: 4 }] }),
    );
    assert.equal(typeof result?.ingestedCount, 'number', 'ingestBatch must return { ingestedCount: number }');
  }
  if (afterTurn !== undefined)
    await call('afterTurn', () => afterTurn.call(engine, { ...session, messages: said, prePromptMessageCount: 2, tokenBudget: TOKEN_BUDGET }));
}

/** Stands for the host's own compaction: one summary, nothing measured. */
export async function compactSession(_params: CompactParams): Promise<CompactResult> {
  return { ok: true, compacted: true, result: { summary: 'A summary of the older messages.', tokensBefore: 100, tokensAfter: 20 } };
}

function user(text: string): AgentMessage {
  return { role: 'user', content: text, timestamp: Date.now() };
}

function assistant(text: string): AgentMessage {
  return {
    role: 'assistant',
    content: [{ type: 'text', text }],
    api: 'trial',
    provider: 'trial',
    model: 'echo',
    usage: emptyUsage(),
    stopReason: 'stop',
    timestamp: Date.now(),
  };
}
