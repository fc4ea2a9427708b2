import { describe, expect, it } from 'vitest';
import { createLegacyEngine } from '../../extensions/context-engines/legacy/engine.ts';
import { type ContextEngine, messageText, type SubagentEndedParams, type SubagentSpawnRequest, type Tool } from '../../sdk/index.ts';
import { type AgentHost, createAgentHost, type HostParts } from '../../test/agent-host.ts';

const MAIN = 'agent:main:main';

/** The legacy engine with a diary. */
function watching(ended: SubagentEndedParams[], more: Partial<ContextEngine> = {}): ContextEngine {
  return Object.assign(createLegacyEngine(), { onSubagentEnded: async (params: SubagentEndedParams) => void ended.push(structuredClone(params)) }, more);
}

async function hostWith(parts: HostParts = {}) {
  const ended: SubagentEndedParams[] = [];
  const host = await createAgentHost({ engine: watching(ended), ...parts });
  await host.run('[[offline: say hello]]');
  return { host, ended };
}

const spawn = (host: AgentHost, task: string, more: Partial<SubagentSpawnRequest> = {}) =>
  host.agent.subagents.spawn({ requesterSessionKey: MAIN, task, ...more });

async function until<T>(ask: () => Promise<T | undefined | false> | T | undefined | false, what: string): Promise<T> {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${what} did not come about`);
}

/** Texts that sub-agents brought into a session. */
async function announced(host: AgentHost, key = MAIN): Promise<string[]> {
  const messages = await host.messages(key);
  return messages.filter((message) => message.role === 'user' && message.provenance?.announceId !== undefined).map(messageText);
}

const settled = (host: AgentHost, child: string, requesterSessionKey = MAIN) =>
  until(() => host.agent.subagents.list({ requesterSessionKey }).find((one) => one.childSessionKey === child && one.status !== 'running'), 'the end of a sub-agent');

const archivedFiles = async (host: AgentHost, agent = 'main') => {
  const { readdir } = await import('node:fs/promises');
  return (await readdir(`${host.dir}/agents/${agent}/sessions`)).filter((name) => name.includes('.jsonl.deleted.'));
};

describe('a sub-agent', () => {
  it('runs in a session of its own and its result comes to the requester (ENGINE-004, ENGINE-027, ENGINE-070, CTX-093)', async () => {
    const { host, ended } = await hostWith();
    const { runId, childSessionKey, label } = await spawn(host, '[[offline: say the answer is 42]]', { label: 'count', thinking: 'low' });
    expect(childSessionKey).toMatch(/^agent:main:subagent:[0-9a-f-]{36}$/);
    expect(label).toBe('count');
    expect(await host.sessions.get(childSessionKey)).toMatchObject({
      spawnedBy: MAIN,
      parentSessionKey: MAIN,
      label: 'count',
      thinkingLevel: 'low',
      extra: { spawnDepth: 1, subagentRole: 'leaf', subagentControlScope: 'none' },
    });
    await until(async () => (await announced(host)).length > 0, 'the announcement');
    expect(await settled(host, childSessionKey)).toMatchObject({ runId, status: 'ok', mode: 'run', depth: 1, label: 'count' });
    const [text] = await announced(host);
    expect(text).toContain('"count" completed');
    expect(text).toContain('the answer is 42');
    expect(text).toMatch(/Status: ok; runtime \d+s, tokens \d+ \(in \d+, out \d+\), session agent:main:subagent:/);
    await until(async () => (await host.messages()).at(-1)?.role === 'assistant', 'the reply to the announcement');
    expect(ended).toEqual([{ childSessionKey, reason: 'completed' }]);
  });
});
