import type { PluginRuntime, SessionRecord, SubagentInfo, Tool, ToolContext, ToolResult } from 'Durar/plugin-sdk/core';
import { durarError } from 'Durar/plugin-sdk/core';
import { createTestHost } from 'Durar/plugin-sdk/testing';
import { describe, expect, it } from 'vitest';
import { createExchanges } from './exchange.ts';
import { createHistoryTool } from './history.ts';
import { createListTool } from './list.ts';
import { createReach } from './reach.ts';
import { createSendTool } from './send.ts';
import { createAgentsTool, createSpawnTool } from './spawn.ts';
import { createStatusTool } from './status.ts';
import { createSubagentsTool } from './subagents.ts';

const OWN = 'agent:main:main';

function session(key: string, more: Partial<SessionRecord> = {}): SessionRecord {
  return { key, sessionId: key, agentId: key.split(':')[1] ?? 'main', createdAt: 0, updatedAt: 1_000, ...more };
}

const FAMILY = [
  session(OWN),
  session('agent:main:subagent:a', { spawnedBy: OWN, label: 'child' }),
  session('agent:main:subagent:a:subagent:b', { spawnedBy: 'agent:main:subagent:a' }),
  session('agent:main:other'),
  session('agent:work:main'),
];

/** Sessions in memory; `replies` are what each answers, in turn. */
function talk(sessions = FAMILY, replies: Record<string, string[]> = {}) {
  const sent: Array<{ sessionKey: string; message: string; fromSessionKey: string; extraSystemPrompt?: string }> = [];
  const runs = new Map<string, string | undefined>();
  const runtime: PluginRuntime['sessions'] = {
    async list({ agentId, spawnedBy, label, limit } = {}) {
      const found = sessions.filter((one) => (agentId ?? one.agentId) === one.agentId && (spawnedBy ?? one.spawnedBy) === one.spawnedBy);
      return found.filter((one) => (label ?? one.label) === one.label).slice(0, limit);
    },
    get: async ({ sessionKey, agentId = 'main' }) => sessions.find(({ key }) => key === sessionKey || key === `agent:${agentId}:${sessionKey}`),
    async messages({ sessionKey, limit }) {
      const all = [
        { role: 'user' as const, content: `hello ${sessionKey}`, timestamp: 0 },
        {
          role: 'toolResult' as const,
          toolCallId: '1',
          toolName: 'read',
          content: [{ type: 'text' as const, text: 'file text' }],
          isError: false,
          timestamp: 0,
        },
      ];
      return all.slice(-(limit ?? all.length));
    },
    async send(params) {
      sent.push(params);
      runs.set(`run-${sent.length}`, replies[params.sessionKey]?.shift());
      return { runId: `run-${sent.length}` };
    },
    async reply({ runId, timeoutMs }) {
      const text = runs.get(runId);
      if (text === 'fails') return { status: 'error', error: 'no model' };
      if (text === 'late' && timeoutMs < 60_000) return { status: 'timeout' };
      return { status: 'ok', ...(text === undefined ? {} : { text }) };
    },
  };
  return { runtime: { sessions: runtime }, sent };
}

function context(config: Record<string, unknown> = {}): ToolContext {
  return { config, workspaceDir: '/', agentId: 'main', sessionKey: OWN, sessionId: 's', sandboxed: false, requestApproval: async () => ({ decision: 'deny' }) };
}

const textOf = (result: ToolResult) => result.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
const call = async (tool: Tool, params: Record<string, unknown> = {}) => tool.execute('call', params);
const visible = (visibility: string, more: object = {}) => ({ tools: { sessions: { visibility }, ...more } });
const log = { debug() {}, info() {}, warn() {}, error() {} };

function sendTool(replies: Record<string, string[]>, config: Record<string, unknown> = {}) {
  const { runtime, sent } = talk(FAMILY, replies);
  const run = context(config);
  const exchanges = createExchanges({ runtime, log, ended: new AbortController().signal });
  return { tool: createSendTool({ runtime, context: run, reach: createReach(runtime, run), exchanges }), sent };
}
const settle = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('what a session may look into', () => {
  const keys = async (config: Record<string, unknown>) => {
    const { runtime } = talk();
    const result = await call(createListTool(runtime, createReach(runtime, context(config))));
    return (result.details as { sessions: Array<{ key: string }> }).sessions.map(({ key }) => key).sort();
  };

  it('is itself and what it started, unless tools.sessions.visibility says otherwise', async () => {
    const tree = ['agent:main:main', 'agent:main:subagent:a', 'agent:main:subagent:a:subagent:b'];
    expect(await keys({})).toEqual(tree);
    expect(await keys(visible('self'))).toEqual([OWN]);
    expect(await keys(visible('agent'))).toEqual([OWN, 'agent:main:other', ...tree.slice(1)]);
    expect(await keys(visible('all'))).toEqual([OWN, 'agent:main:other', ...tree.slice(1)]);
    expect(await keys(visible('all', { agentToAgent: { enabled: true } }))).toContain('agent:work:main');
    expect(await keys(visible('all', { agentToAgent: { enabled: true, allow: ['main', 'home'] } }))).not.toContain('agent:work:main');
  });

  it('the same holds for reading and sending, and a refusal says what to use', async () => {
    const { runtime } = talk();
    const history = createHistoryTool(runtime, createReach(runtime, context()));
    const refused = await call(history, { sessionKey: 'agent:main:other' });
    expect(refused.isError).toBe(true);
    expect(textOf(refused)).toContain("tools.sessions.visibility is 'tree'); use one that sessions_list shows");
    expect(textOf(await call(history, { sessionKey: 'agent:main:nobody' }))).toContain('there is no such session; sessions_list shows');
    const { tool, sent } = sendTool({});
    expect((await call(tool, { sessionKey: 'agent:work:main', message: 'hi' })).isError).toBe(true);
    expect((await call(tool, { message: 'hi' })).isError).toBe(true);
    expect((await call(tool, { sessionKey: OWN, message: 'hi' })).isError).toBe(true);
    expect((await call(tool, { sessionKey: OWN, label: 'child', message: 'hi' })).isError).toBe(true);
    expect(sent).toEqual([]);
  });
});

describe('sessions_history, sessions_list and session_status', () => {
  it('show talk, and tools when asked to', async () => {
    const { runtime } = talk();
    const reach = createReach(runtime, context());
    const history = createHistoryTool(runtime, reach);
    expect(textOf(await call(history, { sessionKey: 'agent:main:subagent:a' }))).toBe('user (1970-01-01T00:00:00.000Z): hello agent:main:subagent:a');
    expect(textOf(await call(history, { sessionKey: 'agent:main:subagent:a', includeTools: true }))).toContain('result of read');
    const listed = await call(createListTool(runtime, reach), { limit: 1, messageLimit: 2 });
    expect(listed.details).toMatchObject({ count: 1, sessions: [{ messages: [{ role: 'user' }] }] });
    const status = createStatusTool(context({ agents: { defaults: { userTimezone: 'Asia/Tokyo' } } }), reach);
    expect((await call(status)).details).toMatchObject({ key: OWN, timeZone: 'Asia/Tokyo' });
    expect((await call(status, { sessionKey: 'agent:work:main' })).isError).toBe(true);
  });
});

describe('sessions_send', () => {
  const target = 'agent:main:subagent:a';

  it('gives back the answer; the two go on until one has nothing to say', async () => {
    const { tool, sent } = sendTool({ [target]: ['first answer', 'second answer'], [OWN]: ['back to you', 'REPLY_SKIP'] });
    expect((await call(tool, { label: 'child', message: 'question' })).details).toMatchObject({ status: 'ok', sessionKey: target, reply: 'first answer' });
    await settle();
    expect(sent.map(({ sessionKey, message }) => [sessionKey, message])).toEqual([
      [target, 'question'],
      [OWN, 'first answer'],
      [target, 'back to you'],
      [OWN, 'second answer'],
    ]);
    expect(sent[1]?.extraSystemPrompt).toContain('turn 1 of 5');
  });

  it('session.agentToAgent.maxPingPongTurns bounds it; 0 turns it off', async () => {
    const many = () => Array.from({ length: 9 }, (_, index) => `answer ${index}`);
    for (const maxPingPongTurns of [0, 2, 5]) {
      const { tool, sent } = sendTool({ [target]: many(), [OWN]: many() }, { session: { agentToAgent: { maxPingPongTurns } } });
      await call(tool, { sessionKey: target, message: 'question' });
      await settle();
      expect(sent).toHaveLength(1 + maxPingPongTurns);
    }
  });

  it('does not wait when it shall not, and says so when the time is over or the other one fails', async () => {
    const { tool } = sendTool({ [target]: ['REPLY_SKIP', 'late', 'fails'] });
    expect((await call(tool, { sessionKey: target, message: 'a', timeoutSeconds: 0 })).details).toMatchObject({ status: 'accepted' });
    const late = await call(tool, { sessionKey: target, message: 'b', timeoutSeconds: 1 });
    expect(late.details).toMatchObject({ status: 'timeout' });
    const failed = await call(tool, { sessionKey: target, message: 'c' });
    expect([failed.isError, textOf(failed)]).toEqual([true, `the session ${target} failed: no model`]);
  });
});

describe('sessions_spawn, agents_list and subagents', () => {
  const child: SubagentInfo = {
    childSessionKey: 'agent:main:subagent:a',
    requesterSessionKey: OWN,
    runId: 'r',
    agentId: 'main',
    task: 'x'.repeat(500),
    mode: 'run',
    depth: 1,
    status: 'running',
    createdAt: 0,
    runtimeMs: 5,
  };
  const made = () => {
    const calls: unknown[] = [];
    const subagent = {
      spawn: async (request: unknown) => {
        calls.push(request);
        return { runId: 'r', childSessionKey: child.childSessionKey, mode: 'run' as const };
      },
      list: async () => [child, { ...child, status: 'ok' as const }],
      kill: async ({ id }: { id: string }) => {
        calls.push({ kill: id });
        if (id === 'nobody') throw durarError('DUR_SUBAGENT_UNKNOWN', { id });
        return [child];
      },
      send: async (params: unknown) => {
        calls.push(params);
        return { runId: 's', childSessionKey: child.childSessionKey };
      },
      agents: async () => ['main', 'helper'],
    } as unknown as PluginRuntime['subagent'];
    return { calls, runtime: { subagent } };
  };

  it('start in the name of the session, and the answer says how the result comes', async () => {
    const { calls, runtime } = made();
    const result = await call(createSpawnTool(runtime, context()), { task: 'do it', label: 'it', runTimeoutSeconds: 5 });
    expect(calls).toEqual([{ task: 'do it', label: 'it', runTimeoutSeconds: 5, requesterSessionKey: OWN }]);
    expect(result.details).toMatchObject({ status: 'accepted', runId: 'r', childSessionKey: child.childSessionKey });
    expect(textOf(result)).toContain('do not poll');
    expect((await call(createAgentsTool(runtime, context()))).details).toEqual({ requester: 'main', agents: ['main', 'helper'] });
  });

  it('list, kill and message them; what is missing or wrong is a result, not a failure', async () => {
    const { calls, runtime } = made();
    const tool = createSubagentsTool(runtime, context());
    expect((await call(tool)).details).toMatchObject({ subagents: [{ number: 1, task: `${'x'.repeat(199)}…` }, { number: 2 }] });
    expect((await call(tool, { action: 'kill', target: 'all' })).details).toEqual({ killed: [child.childSessionKey] });
    await call(tool, { action: 'steer', target: '1', message: 'turn' });
    expect(calls).toEqual([{ kill: child.childSessionKey }, { requesterSessionKey: OWN, id: '1', message: 'turn', steer: true }]);
    for (const params of [{ action: 'kill' }, { action: 'send', target: '1' }, { action: 'kill', target: 'nobody' }]) {
      expect((await call(tool, params)).isError).toBe(true);
    }
    expect(textOf(await call(tool, { action: 'kill', target: 'nobody' }))).toContain('List the sub-agents');
  });
});

it('the extension offers what its manifest declares', async () => {
  await using host = await createTestHost({ root: import.meta.url });
  const names = ['agents_list', 'session_status', 'sessions_history', 'sessions_list', 'sessions_send', 'sessions_spawn', 'subagents'];
  expect(host.contributions.map(({ key }) => key).sort()).toEqual(names);
  for (const name of names) expect(host.tool(name).parameters).toMatchObject({ type: 'object', additionalProperties: false });
});
