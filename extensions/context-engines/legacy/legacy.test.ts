import type { AgentMessage, CompactParams, CompactResult } from 'Durar/plugin-sdk/core';
import { describe, expect, it } from 'vitest';
import { type ContextEngineContext, contextEngineContract } from '../../../sdk/contract/context-engine.ts';
import { contextEngineFaults, type EngineFaultContext } from '../../../sdk/contract/context-engine-faults.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { createLegacyEngine } from './engine.ts';

const SESSION = { sessionId: 's-1', sessionKey: 'agent:main:main' };

function user(content: string): AgentMessage {
  return { role: 'user', content, timestamp: 1 };
}

describeContract<ContextEngineContext>(contextEngineContract, () => ({ engine: createLegacyEngine(), id: 'legacy' }));
describeContract<EngineFaultContext>(contextEngineFaults, () => ({
  engine: createLegacyEngine(),
  id: 'legacy',
  reopen: async () => createLegacyEngine(),
}));

describe('the legacy engine', () => {
  it('takes no message: the host keeps them (ENGINE-035)', async () => {
    await expect(createLegacyEngine().ingest({ ...SESSION, message: user('hi'), entryId: '00000001', seq: 1 })).resolves.toEqual({ ingested: false });
  });

  it('passes every message on, the same objects in the same order (ENGINE-036, ENGINE-042)', async () => {
    const messages = [user('a'), user('b'.repeat(8))];
    const result = await createLegacyEngine().assemble({ ...SESSION, messages, tokenBudget: 100 });
    expect(result.messages).toEqual(messages);
    for (const [index, message] of result.messages.entries()) expect(message).toBe(messages[index]);
    expect(result.estimatedTokens).toBe(3);
    expect(result).not.toHaveProperty('systemPromptAddition');
  });

  it('hands compaction to the host with the params unchanged (ENGINE-037, ENGINE-084)', async () => {
    const answer: CompactResult = { ok: true, compacted: true, result: { tokensBefore: 10, tokensAfter: 2 } };
    const seen: CompactParams[] = [];
    const params: CompactParams = {
      ...SESSION,
      force: true,
      customInstructions: 'keep the names',
      runtimeContext: {
        async compactSession(given) {
          seen.push(given);
          return answer;
        },
      },
    };
    await expect(createLegacyEngine().compact(params)).resolves.toBe(answer);
    expect(seen).toEqual([params]);
  });

  it('says so when there is no host to compact (ENGINE-084)', async () => {
    await expect(createLegacyEngine().compact(SESSION)).rejects.toMatchObject({ code: 'DUR_COMPACTION_DELEGATE' });
  });

  it('has neither afterTurn nor any other optional member (ENGINE-040, ENGINE-074)', () => {
    expect(Object.keys(createLegacyEngine()).sort()).toEqual(['assemble', 'compact', 'info', 'ingest']);
  });
});
