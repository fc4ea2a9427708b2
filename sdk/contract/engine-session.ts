/** A session as the suite of context engines plays it, and the checks of what an engine gives back. */
import assert from 'node:assert/strict';
import type { AgentMessage } from '../messages.ts';
import type { CompactParams, CompactResult, ContextEngine, IngestResult } from '../ports/context-engine.ts';
import { entryId } from './conversation.ts';

export const BUDGET = 20_000;
const ROLES = ['user', 'assistant', 'toolResult'];

export function session(name: string): { sessionId: string; sessionKey: string } {
  return { sessionId: `contract-${name}`, sessionKey: `agent:main:${name}` };
}

/** As the host does it: bootstrap first, then each message once, one after the other. */
export async function feed(engine: ContextEngine, name: string, messages: readonly AgentMessage[]): Promise<void> {
  await bootstrap(engine, name, []);
  if (engine.ingestBatch !== undefined) {
    const entries = messages.map((_message, index) => ({ entryId: entryId(index), seq: index + 1 }));
    await engine.ingestBatch({ ...session(name), messages: [...messages], entries });
    return;
  }
  for (const [index, message] of messages.entries()) checkIngest(await engine.ingest({ ...session(name), message, entryId: entryId(index), seq: index + 1 }));
}

export async function bootstrap(engine: ContextEngine, name: string, messages: AgentMessage[]): Promise<void> {
  await engine.bootstrap?.({ ...session(name), messages });
}

/** The host's compaction, as far as an engine can see it. */
export function compaction(name: string): CompactParams {
  const compactSession = async (): Promise<CompactResult> => ({
    ok: true,
    compacted: true,
    result: { summary: 'a summary', firstKeptEntryId: entryId(18), tokensBefore: 400, tokensAfter: 60 },
  });
  return { ...session(name), tokenBudget: BUDGET, force: true, currentTokenCount: 400, compactionTarget: 'budget', runtimeContext: { compactSession } };
}

export function checkIngest(result: IngestResult): void {
  assert.equal(typeof result?.ingested, 'boolean', 'ingested must be a boolean');
}

export function checkMessages(messages: AgentMessage[]): void {
  assert.ok(Array.isArray(messages), 'messages must be an array');
  for (const [index, message] of messages.entries()) {
    assert.ok(ROLES.includes(message?.role), `messages[${index}] has no known role`);
    assert.ok(Array.isArray(message.content) || typeof message.content === 'string', `messages[${index}] has no content`);
  }
}

export function checkPairs(messages: AgentMessage[]): void {
  for (const [index, message] of messages.entries()) {
    if (message.role === 'toolResult') {
      const before = messages.slice(0, index).findLast((other) => other.role === 'assistant');
      const calls = before?.role === 'assistant' ? before.content.filter((block) => block.type === 'toolCall') : [];
      assert.ok(
        calls.some((call) => call.id === message.toolCallId),
        `messages[${index}] is a result without its call`,
      );
    }
    if (message.role !== 'assistant') continue;
    for (const block of message.content) {
      if (block.type !== 'toolCall') continue;
      const next = messages.slice(index + 1);
      assert.ok(
        next.some((other) => other.role === 'toolResult' && other.toolCallId === block.id),
        `the call '${block.id}' has lost its result`,
      );
    }
  }
}
