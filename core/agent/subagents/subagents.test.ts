import { describe, expect, it } from 'vitest';
import { createLegacyEngine } from '../../../extensions/context-engines/legacy/engine.ts';
import { createOfflineProvider } from '../../../extensions/providers/offline/provider.ts';
import { type ContextEngine, messageText, type SubagentEndedParams, type SubagentSpawnRequest, type Tool } from '../../../sdk/index.ts';
import { type AgentHost, createAgentHost, type HostParts } from '../../../test/agent-host.ts';

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
  until(
    () => host.agent.subagents.list({ requesterSessionKey }).find((one) => one.childSessionKey === child && one.status !== 'running'),
    'the end of a sub-agent',
  );

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

describe('limits of sub-agents', () => {
  it('one at the depth limit starts none and has no tool for it; a higher limit lets it', async () => {
    const offered: string[][] = [];
    const tool = (name: string): Tool => ({ name, description: name, parameters: { type: 'object' }, execute: async () => ({ content: [] }) });
    const tools = ['sessions_spawn', 'sessions_send', 'read'].map(tool);
    const { host } = await hostWith({ tools });
    host.on('llm_input', () => undefined);
    const { childSessionKey } = await spawn(host, '[[offline: say done]]');
    await settled(host, childSessionKey);
    const leaf = await host.sessions.get(childSessionKey);
    if (leaf === undefined) throw new Error('no session');
    offered.push((await host.agent.tools.effective(leaf)).tools.map(({ name }) => name));
    expect(offered).toEqual([['read']]);
    await expect(spawn(host, 'more', { requesterSessionKey: childSessionKey })).rejects.toMatchObject({ code: 'DUR_SUBAGENT_DEPTH' });

    host.swap({ config: { agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } } });
    expect((await host.agent.tools.effective(leaf)).tools.map(({ name }) => name)).toEqual(['sessions_spawn', 'read']);
    const nested = await spawn(host, '[[offline: say deep]]', { requesterSessionKey: childSessionKey });
    expect(nested.childSessionKey).toMatch(new RegExp(`^${childSessionKey}:subagent:[0-9a-f-]{36}$`));
    expect(await host.sessions.get(nested.childSessionKey)).toMatchObject({ spawnedBy: childSessionKey, extra: { spawnDepth: 2, subagentRole: 'leaf' } });
    await expect(spawn(host, 'more', { requesterSessionKey: nested.childSessionKey })).rejects.toMatchObject({ code: 'DUR_SUBAGENT_DEPTH' });
    await settled(host, nested.childSessionKey, childSessionKey);
  });

  it('a session has so many at work, those under way counted, and one that is over makes room', async () => {
    const { host } = await hostWith({ config: { agents: { defaults: { subagents: { maxChildrenPerAgent: 2 } } } } });
    const all = await Promise.allSettled([1, 2, 3].map((number) => spawn(host, `[[offline: stall]] ${number}`)));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    expect(all.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'DUR_SUBAGENT_CHILDREN' } });
    await host.agent.subagents.kill({ requesterSessionKey: MAIN, id: '1' });
    await until(() => host.agent.subagents.list({ requesterSessionKey: MAIN }).some(({ status }) => status === 'killed'), 'the end');
    await spawn(host, '[[offline: say fits]]');
  });

  it('eight are at work at once, whoever started them; the ninth waits (QUEUE-009)', async () => {
    const { host } = await hostWith({ config: { agents: { defaults: { subagents: { maxChildrenPerAgent: 9 } } } } });
    const spawned = await Promise.all(Array.from({ length: 9 }, () => spawn(host, '[[offline: stall]]')));
    const begun = async () => {
      const all = await Promise.all(spawned.map(({ childSessionKey }) => host.messages(childSessionKey)));
      return all.filter((messages) => messages.length > 0).length;
    };
    await until(async () => (await begun()) === 8, 'eight of them');
    expect(host.agent.active()).toHaveLength(9);
    expect(host.agent.subagents.list({ requesterSessionKey: MAIN }).filter(({ status }) => status === 'running')).toHaveLength(9);
    await host.agent.subagents.kill({ requesterSessionKey: MAIN, id: spawned[0]?.runId ?? '' });
    await until(async () => (await begun()) === 9, 'the ninth');
  });

  it('other agents need to be allowed, known and, where it is asked for, named', async () => {
    const list = [{ id: 'main', subagents: { allowAgents: ['helper'] } }, { id: 'helper' }, { id: 'other' }];
    const { host } = await hostWith({ config: { agents: { list } } });
    await expect(spawn(host, 'x', { agentId: 'other' })).rejects.toMatchObject({ code: 'DUR_SUBAGENT_AGENT' });
    await expect(spawn(host, 'x', { agentId: 'nobody' })).rejects.toMatchObject({ code: 'DUR_AGENT_UNKNOWN' });
    const { childSessionKey } = await spawn(host, '[[offline: say hi]]', { agentId: 'Helper' });
    expect(childSessionKey).toMatch(/^agent:helper:subagent:/);
    await settled(host, childSessionKey);
    host.swap({ config: { agents: { list, defaults: { subagents: { requireAgentId: true } } } } });
    await expect(spawn(host, 'x')).rejects.toMatchObject({ code: 'DUR_SUBAGENT_AGENT_NEEDED' });
  });

  it('what the host does not have is refused by name; an empty task and an unknown model too', async () => {
    const { host } = await hostWith();
    for (const more of [{ thread: true }, { sandbox: 'require' as const }, { runtime: 'acp' as const }]) {
      await expect(spawn(host, 'x', more)).rejects.toMatchObject({ code: 'DUR_SUBAGENT_UNSUPPORTED' });
    }
    await expect(spawn(host, '  ')).rejects.toMatchObject({ code: 'DUR_SUBAGENT_TASK' });
    await expect(spawn(host, 'x', { model: 'offline/none' })).rejects.toMatchObject({ code: 'DUR_MODEL_UNKNOWN' });
    await expect(spawn(host, 'x', { requesterSessionKey: 'agent:main:nobody' })).rejects.toMatchObject({ code: 'DUR_SESSION_UNKNOWN' });
    expect(host.agent.subagents.list({ requesterSessionKey: MAIN })).toEqual([]);
  });

  it('gets the model, thinking and time that the request or the configuration name', async () => {
    const { host, ended } = await hostWith({ config: { agents: { defaults: { subagents: { model: 'offline/echo', thinking: 'high' } } } } });
    const first = await spawn(host, 'hello');
    await settled(host, first.childSessionKey);
    expect(await host.sessions.get(first.childSessionKey)).toMatchObject({ model: 'echo', thinkingLevel: 'high' });
    const second = await spawn(host, '[[offline: stall]]', { model: 'offline/script', runTimeoutSeconds: 1 });
    expect(await settled(host, second.childSessionKey)).toMatchObject({ status: 'timeout' });
    await until(async () => (await announced(host)).some((text) => text.includes('ran out of time')), 'the announcement');
    expect(ended.map(({ reason }) => reason)).toEqual(['completed', 'completed']);
  });
});

describe('the prompt of a sub-agent', () => {
  it('says whose it is and shows AGENTS.md and TOOLS.md only', async () => {
    const { host } = await hostWith();
    const { mkdir, writeFile } = await import('node:fs/promises');
    const workspace = `${host.dir}/workspace`;
    await mkdir(workspace, { recursive: true });
    for (const name of ['AGENTS.md', 'SOUL.md', 'TOOLS.md', 'USER.md']) await writeFile(`${workspace}/${name}`, `text of ${name}`);
    const prompts: string[] = [];
    host.on('llm_input', ({ systemPrompt }) => void prompts.push(systemPrompt ?? ''));
    const { childSessionKey } = await spawn(host, '[[offline: say ANNOUNCE_SKIP]]', { label: 'quiet one' });
    await settled(host, childSessionKey);
    const [prompt = ''] = prompts;
    expect(prompt).toContain('## Subagent Context\nYou are the sub-agent "quiet one", started by the session agent:main:main, at depth 1 of 1.');
    expect(prompt).toContain('text of AGENTS.md');
    expect(prompt).toContain('text of TOOLS.md');
    expect(prompt).not.toMatch(/text of (SOUL|USER)/);
    expect(await announced(host)).toEqual([]);
  });
});

describe('the end of a sub-agent', () => {
  it('ANNOUNCE_SKIP alone says nothing to the requester; with words around it, it is a result (ENGINE-027)', async () => {
    const { host, ended } = await hostWith();
    const silent = await spawn(host, '[[offline: say ANNOUNCE_SKIP]]');
    await settled(host, silent.childSessionKey);
    const loud = await spawn(host, '[[offline: say not ANNOUNCE_SKIP]]');
    await until(async () => (await announced(host)).length > 0, 'the announcement');
    await until(() => ended.length === 2, 'both ends');
    expect(await announced(host)).toHaveLength(1);
    expect((await announced(host))[0]).toContain(loud.childSessionKey);
  });

  it('with cleanup delete the session goes and the engine hears that alone; the result is announced (ENGINE-070)', async () => {
    const { host, ended } = await hostWith();
    const changes: object[] = [];
    host.agent.subagents.onChange((change) => changes.push(change));
    const { childSessionKey } = await spawn(host, '[[offline: say the last words]]', { cleanup: 'delete' });
    await until(() => ended.length > 0, 'the end');
    await until(async () => (await announced(host)).length > 0, 'the announcement');
    expect(ended).toEqual([{ childSessionKey, reason: 'deleted' }]);
    expect(await host.sessions.get(childSessionKey)).toBeUndefined();
    expect(await archivedFiles(host)).toHaveLength(1);
    await until(() => host.agent.subagents.list({ requesterSessionKey: MAIN }).length === 0, 'the row to go');
    expect(host.state.subagents.all()).toEqual([]);
    expect(changes).toEqual(['create', 'delete'].map((reason) => ({ sessionKey: childSessionKey, reason })));
  });

  it('an idle one is swept: its transcript is archived and the engine told, once (ENGINE-028)', async () => {
    let now = Date.now();
    const { host, ended } = await hostWith({ now: () => now });
    const kept = await spawn(host, '[[offline: say ready]]', { mode: 'session' });
    const over = await spawn(host, '[[offline: say over]]');
    await settled(host, kept.childSessionKey);
    await settled(host, over.childSessionKey);
    await until(async () => (await announced(host)).length === 2, 'the announcements');
    await until(() => ended.length === 1, 'the end of the one with a run');
    await host.idle();
    await host.agent.subagents.sweep();
    expect(ended).toEqual([{ childSessionKey: over.childSessionKey, reason: 'completed' }]);
    now += 61 * 60_000;
    await host.agent.subagents.sweep();
    await host.agent.subagents.sweep();
    expect(ended.slice(1)).toEqual([{ childSessionKey: kept.childSessionKey, reason: 'swept' }]);
    expect(await host.sessions.get(kept.childSessionKey)).toBeUndefined();
    expect(await archivedFiles(host)).toHaveLength(2);
    expect(host.state.subagents.all()).toEqual([]);
  });

  it('a session that is deleted takes its sub-agent with it, and lets its own go (ENGINE-070)', async () => {
    const { host, ended } = await hostWith({ config: { agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } } });
    const first = await spawn(host, '[[offline: say ready]]', { mode: 'session' });
    await settled(host, first.childSessionKey);
    const below = await spawn(host, '[[offline: stall]]', { requesterSessionKey: first.childSessionKey });
    await host.agent.remove({ sessionKey: first.childSessionKey });
    expect(ended).toEqual([
      { childSessionKey: below.childSessionKey, reason: 'released' },
      { childSessionKey: first.childSessionKey, reason: 'deleted' },
    ]);
    await until(() => host.agent.active(below.childSessionKey).length === 0, 'the end of the run below');
    expect((await announced(host)).filter((text) => text.includes(below.childSessionKey))).toEqual([]);
  });

  it('one that is deleted or reset at work ends for that reason, after its turn, and announces nothing (ENGINE-070)', async () => {
    const calls: string[] = [];
    const engine = watching([], {
      afterTurn: async ({ sessionKey }) => void calls.push(`afterTurn ${sessionKey}`),
      onSubagentEnded: async ({ childSessionKey, reason }) => void calls.push(`${reason} ${childSessionKey}`),
    });
    const { host } = await hostWith({ engine });
    const deleted = (await spawn(host, '[[offline: stall]]')).childSessionKey;
    const reset = (await spawn(host, '[[offline: stall]]')).childSessionKey;
    const finished = (await spawn(host, '[[offline: say ANNOUNCE_SKIP]]')).childSessionKey;
    await until(async () => (await host.messages(reset)).length > 0, 'their begin');
    await settled(host, finished);
    await host.agent.remove({ sessionKey: deleted });
    await host.agent.reset({ sessionKey: reset, reason: 'reset' });
    await host.idle();
    const of = (key: string) => calls.filter((call) => call.endsWith(key)).map((call) => call.split(' ')[0]);
    expect(of(deleted)).toEqual(['afterTurn', 'deleted']);
    expect(of(reset)).toEqual(['afterTurn', 'released']);
    expect(of(finished)).toEqual(['afterTurn', 'completed']);
    expect(await announced(host)).toEqual([]);
  });

  it('a reset of the requester lets a kept one go (ENGINE-070)', async () => {
    const { host, ended } = await hostWith();
    const { childSessionKey } = await spawn(host, '[[offline: say ready]]', { mode: 'session' });
    await settled(host, childSessionKey);
    await host.agent.reset({ sessionKey: MAIN, reason: 'new' });
    await host.agent.reset({ sessionKey: MAIN, reason: 'reset' });
    expect(ended).toEqual([{ childSessionKey, reason: 'released' }]);
  });

  it('an engine that throws in prepareSubagentSpawn is never asked; one that throws in onSubagentEnded stops nothing (ENGINE-029, ENGINE-030, ENGINE-069)', async () => {
    const asked: string[] = [];
    const engine = watching([], {
      prepareSubagentSpawn: async () => {
        asked.push('prepare');
        throw new Error('never');
      },
      onSubagentEnded: async ({ childSessionKey }) => {
        asked.push(childSessionKey);
        throw new Error('cannot clean up');
      },
    });
    const host = await createAgentHost({ engine });
    await host.run('[[offline: say hello]]');
    const { childSessionKey } = await spawn(host, '[[offline: say fine]]');
    await until(async () => (await announced(host)).length === 1, 'the announcement');
    expect(asked).toEqual([childSessionKey]);
    expect(host.logged.some(({ level, message }) => level === 'error' && message.includes('cannot clean up'))).toBe(true);
  });

  it('a failure is announced as one', async () => {
    const { host } = await hostWith();
    await spawn(host, '[[offline: fail auth]]', { label: 'broken' });
    await until(async () => (await announced(host)).length === 1, 'the announcement');
    expect((await announced(host))[0]).toMatch(/^\[Sub-agent\] "broken" failed: /);
  });
});

describe('stopping', () => {
  it('an abort of the requester, by session or by run, stops what it started, all the way down, and announces nothing', async () => {
    const { host } = await hostWith({ config: { agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } } });
    const child = await spawn(host, '[[offline: stall]]');
    const below = await spawn(host, '[[offline: stall]]', { requesterSessionKey: child.childSessionKey });
    await until(() => host.agent.active().length === 2, 'both runs');
    expect(host.agent.abort({ sessionKey: 'main', origin: 'rpc' })).toEqual({ aborted: true, runIds: [below.runId, child.runId] });
    await until(() => host.agent.active().length === 0, 'the ends');
    expect(await settled(host, child.childSessionKey)).toMatchObject({ status: 'killed' });

    const parent = await host.start('[[offline: stall]]');
    const other = await spawn(host, '[[offline: stall]]');
    expect(host.agent.abort({ runId: parent, origin: 'stop' }).runIds).toEqual([parent, other.runId]);
    await until(() => host.agent.active().length === 0, 'the ends');
    expect(await settled(host, other.childSessionKey)).toMatchObject({ status: 'killed' });
    expect(await announced(host)).toEqual([]);
  });

  it('a kill is known to who asked for it; an unknown id is refused', async () => {
    const { host, ended } = await hostWith();
    const { childSessionKey, runId } = await spawn(host, '[[offline: stall]]', { label: 'Long' });
    await expect(host.agent.subagents.kill({ requesterSessionKey: MAIN, id: 'nobody' })).rejects.toMatchObject({ code: 'DUR_SUBAGENT_UNKNOWN' });
    expect(await host.agent.subagents.kill({ requesterSessionKey: MAIN, id: 'long' })).toMatchObject([{ runId }]);
    expect(await settled(host, childSessionKey)).toMatchObject({ status: 'killed' });
    await until(() => ended.length === 1, 'the end');
    expect(await host.agent.subagents.kill({ requesterSessionKey: MAIN, id: runId.slice(0, 8) })).toEqual([]);
    expect(await announced(host)).toEqual([]);
  });
});

describe('messages for a sub-agent', () => {
  it('one that stays takes more, and each result comes', async () => {
    const { host, ended } = await hostWith();
    const { childSessionKey } = await spawn(host, '[[offline: say first]]', { mode: 'session', label: 'stays' });
    await until(async () => (await announced(host)).length === 1, 'the first result');
    await host.agent.subagents.send({ requesterSessionKey: MAIN, id: 'stays', message: '[[offline: say second]]' });
    await until(async () => (await announced(host)).length === 2, 'the second result');
    expect((await announced(host))[1]).toContain('second');
    expect((await host.messages(childSessionKey)).map(messageText)).toEqual(['[[offline: say first]]', 'first', '[[offline: say second]]', 'second']);
    expect(ended).toEqual([]);
  });

  it('a steer takes the place of what it does', async () => {
    const { host } = await hostWith();
    const { childSessionKey } = await spawn(host, '[[offline: stall]]');
    await until(async () => (await host.messages(childSessionKey)).length === 1, 'its begin');
    await host.agent.subagents.send({ requesterSessionKey: MAIN, id: '#1', message: '[[offline: say turned]]', steer: true });
    await until(async () => (await announced(host)).length === 1, 'the result');
    expect((await announced(host))[0]).toContain('turned');
  });

  it('one that has sub-agents ends when they have reported to it', async () => {
    const { host, ended } = await hostWith({ config: { agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } } });
    const child = await spawn(host, '[[offline: delay 60]] [[offline: say waiting]]');
    const below = await spawn(host, '[[offline: delay 120]] [[offline: say from below]]', { requesterSessionKey: child.childSessionKey });
    await until(async () => (await announced(host)).length > 0, 'the result');
    expect(await announced(host, child.childSessionKey)).toHaveLength(1);
    expect(await announced(host)).toHaveLength(1);
    await until(() => ended.length === 2, 'both ends');
    expect(ended.map(({ childSessionKey }) => childSessionKey)).toEqual([below.childSessionKey, child.childSessionKey]);
  });
});

describe('hooks around a sub-agent', () => {
  it('subagent_spawning may refuse it, or make a thread ready; the others are told', async () => {
    const { host } = await hostWith();
    const told: object[] = [];
    host.on('subagent_spawning', (event) => {
      told.push({ spawning: event });
      if (event.label === 'no') return { status: 'error', error: 'not now' };
      return { status: 'ok', threadBindingReady: true };
    });
    host.on('subagent_spawned', ({ runId, ...event }) => void told.push({ spawned: event, hasRun: typeof runId === 'string' }));
    host.on('subagent_ended', ({ endedAt, ...event }) => void told.push({ ended: event, hasTime: typeof endedAt === 'number' }));
    await expect(spawn(host, 'x', { label: 'no' })).rejects.toMatchObject({ code: 'DUR_SUBAGENT_REFUSED', message: expect.stringContaining('not now') });
    expect(host.agent.subagents.list({ requesterSessionKey: MAIN })).toEqual([]);
    const { childSessionKey, runId } = await spawn(host, '[[offline: say hi]]', { thread: true, mode: 'session' });
    await settled(host, childSessionKey);
    await host.agent.remove({ sessionKey: childSessionKey });
    const event = { childSessionKey, agentId: 'main', mode: 'session', threadRequested: true, requester: { sessionKey: MAIN } };
    expect(told.slice(1)).toEqual([
      { spawning: event },
      { spawned: event, hasRun: true },
      {
        ended: { targetSessionKey: childSessionKey, targetKind: 'subagent', reason: 'session-delete', outcome: 'deleted', runId, sendFarewell: false },
        hasTime: true,
      },
    ]);
  });

  it('the answer to a result goes where the requester last talked, or where subagent_delivery_target says', async () => {
    const delivered: object[] = [];
    const { host } = await hostWith({ deliver: async (message) => void delivered.push(message) });
    await host.run('[[offline: say hello]]', { channel: 'telegram', to: '7', accountId: 'a', threadId: 't' });
    await spawn(host, 'nothing to say');
    await until(() => delivered.length === 1, 'the first answer');
    host.on('subagent_delivery_target', ({ requesterOrigin }) => ({ origin: { ...(requesterOrigin as object), to: '8', threadId: 9 } }));
    await spawn(host, 'nothing to say');
    await until(() => delivered.length === 2, 'the second answer');
    expect(delivered).toMatchObject([
      { channel: 'telegram', to: '7', accountId: 'a', threadId: 't', text: 'done' },
      { channel: 'telegram', to: '8', accountId: 'a', threadId: '9', text: 'done' },
    ]);
    // the same messages after a crash have the same ids
    expect(delivered.every((message) => (message as { id: string; runId: string }).id === `${(message as { runId: string }).runId}:0`)).toBe(true);
  });
});

describe('sub-agents over a restart', () => {
  it('one that was at work goes on, and ends once', async () => {
    const { host, ended } = await hostWith();
    const { childSessionKey } = await spawn(host, '[[offline: stall]]');
    await until(async () => (await host.messages(childSessionKey)).length === 1, 'its begin');
    const next = await host.restart();
    expect(ended).toEqual([]);
    await next.agent.subagents.start();
    await until(async () => (await announced(next)).length === 1, 'the announcement');
    await until(() => ended.length === 1, 'the end');
    expect((await next.messages(childSessionKey)).map(messageText)).toEqual([
      '[[offline: stall]]',
      expect.stringContaining('The gateway restarted while you worked'),
      'done',
    ]);
    const last = await next.restart();
    await last.agent.subagents.start();
    await last.run('[[offline: say after]]');
    expect(await announced(last)).toHaveLength(1);
    expect(ended).toEqual([{ childSessionKey, reason: 'completed' }]);
  });

  it('a result that waited for its requester is announced at the next start, once', async () => {
    const { host, ended } = await hostWith();
    // one that is not taken up again
    await host.start('[[offline: stall]]', { isBooked: true });
    const { childSessionKey } = await spawn(host, '[[offline: say worth knowing]]');
    await until(() => ended.length === 1, 'the end');
    await until(() => host.agent.active(MAIN).length === 2, 'the announcement to wait');
    const next = await host.restart();
    expect(await announced(next)).toEqual([]);
    await next.agent.subagents.start();
    await until(async () => (await announced(next)).length === 1, 'the announcement');
    await next.idle();
    const last = await next.restart();
    await last.agent.subagents.start();
    expect(await announced(last)).toHaveLength(1);
    expect(ended).toEqual([{ childSessionKey, reason: 'completed' }]);
  });

  it.each([
    ['its run was over and nothing else was written', { concluded: undefined, ended: undefined, announcement: undefined }, 1],
    ['the end was written and nobody told', { ended: { reason: 'completed', outcome: 'ok', at: 1, told: false } }, 1],
    ['the engine was told and the announcement not begun', { announcement: { id: 'announce:x', text: 'from the row' } }, 0],
  ])('killed when %s, it does what is left, once', async (_when, left: Record<string, unknown>, told) => {
    const { host, ended } = await hostWith();
    const { childSessionKey } = await spawn(host, '[[offline: say ANNOUNCE_SKIP]]');
    await settled(host, childSessionKey);
    await until(() => ended.length === 1, 'the end');
    await host.idle();
    const [row] = host.state.subagents.all() as Array<Record<string, unknown>>;
    host.state.subagents.put(childSessionKey, 0, { ...row, run: { ...(row?.run as object), text: 'a result' }, ...left });
    ended.length = 0;
    let next = await host.restart();
    await next.agent.subagents.start();
    const isAnnounced = !('ended' in left) || 'announcement' in left;
    if (isAnnounced) await until(async () => (await announced(next)).length === 1, 'the announcement');
    await next.idle();
    next = await next.restart();
    await next.agent.subagents.start();
    await next.idle();
    expect(await announced(next)).toHaveLength(isAnnounced ? 1 : 0);
    expect(ended).toEqual(told === 0 ? [] : [{ childSessionKey, reason: 'completed' }]);
  });

  it('killed while it was being stopped, it stays stopped; a message that had not begun is not lost', async () => {
    const { host } = await hostWith();
    const stopped = await spawn(host, '[[offline: stall]]');
    const asked = await spawn(host, '[[offline: say ANNOUNCE_SKIP]]');
    await settled(host, asked.childSessionKey);
    await until(async () => (await host.messages(stopped.childSessionKey)).length === 1, 'its begin');
    const rows = host.state.subagents.all() as Array<Record<string, unknown>>;
    const next = await host.restart();
    for (const row of rows) {
      const isStopped = row.child === stopped.childSessionKey;
      const more = isStopped ? { quiet: true } : { run: undefined, concluded: undefined, message: '[[offline: say heard]]', since: Date.now() };
      next.state.subagents.put(String(row.child), 0, { ...row, ...more });
    }
    await next.agent.subagents.start();
    await until(async () => (await announced(next)).length === 1, 'the announcement');
    expect((await announced(next))[0]).toContain('heard');
    expect(await settled(next, stopped.childSessionKey)).toMatchObject({ status: 'killed' });
    expect(await next.messages(stopped.childSessionKey)).toHaveLength(1);
  });

  it('killed when the announcement was written but not ticked off, it is not announced again', async () => {
    const { host } = await hostWith();
    const { childSessionKey } = await spawn(host, '[[offline: say once]]');
    await until(async () => (await announced(host)).length === 1, 'the announcement');
    await host.idle();
    const [message] = (await host.messages()).filter(({ role }) => role === 'user').slice(-1);
    const id = message?.role === 'user' ? message.provenance?.announceId : undefined;
    const [row] = host.state.subagents.all() as object[];
    host.state.subagents.put(childSessionKey, 0, { ...row, announcement: { id, text: 'again', requester: MAIN, fromSeq: 3 } });
    const next = await host.restart();
    await next.agent.subagents.start();
    await next.idle();
    expect(await announced(next)).toHaveLength(1);
    expect(next.state.subagents.all()).not.toMatchObject([{ announcement: {} }]);
  });

  it('killed between the announcement and the archive of one with cleanup delete, it archives', async () => {
    const { host, ended } = await hostWith();
    const { childSessionKey } = await spawn(host, '[[offline: say ANNOUNCE_SKIP]]');
    await settled(host, childSessionKey);
    await until(() => ended.length === 1, 'the end');
    await host.idle();
    const [row] = host.state.subagents.all() as object[];
    host.state.subagents.put(childSessionKey, 0, { ...row, cleanup: 'delete', ended: undefined });
    ended.length = 0;
    const next = await host.restart();
    await next.agent.subagents.start();
    expect(ended).toEqual([{ childSessionKey, reason: 'deleted' }]);
    expect(await next.sessions.get(childSessionKey)).toBeUndefined();
    expect(next.state.subagents.all()).toEqual([]);
  });

  it('one that never gets to its end is given up and announced as a failure', async () => {
    const slow = () => createOfflineProvider({ latencyMs: 60_000 });
    let host = (await hostWith()).host;
    const { childSessionKey } = await spawn(host, '[[offline: stall]]', { label: 'doomed' });
    for (let restart = 0; restart < 3; restart += 1) {
      host = await host.restart({ providers: [slow()] });
      await host.agent.subagents.start();
      const seen = restart + 1;
      await until(async () => (await host.messages(childSessionKey)).filter(({ role }) => role === 'user').length > seen, 'its next begin');
    }
    host = await host.restart({ providers: [createOfflineProvider({})] });
    await host.agent.subagents.start();
    await until(async () => (await announced(host)).length === 1, 'the announcement');
    expect((await announced(host))[0]).toContain('"doomed" failed: it was interrupted 4 times by a restart');
  });
});

describe('chat commands for sub-agents', () => {
  const person = { channel: 'telegram', senderId: '1', senderAllowed: true };
  const reply = async (host: AgentHost, message: string, more: object = person) => {
    const result = await host.agent.wait(await host.start(message, more), 10_000);
    return result?.payloads.map(({ text }) => text).join('\n');
  };

  it('list, info, log, send, spawn, steer and kill', async () => {
    const { host } = await hostWith();
    expect(await reply(host, '/subagents')).toBe('This session has no sub-agents.');
    expect(await reply(host, '/subagents spawn')).toContain('a sub-agent needs a task');
    expect(await reply(host, '/subagents spawn [[offline: say spawned]]')).toMatch(/^Started [0-9a-f]{8}\./);
    await until(async () => (await announced(host)).length === 1, 'the result');
    const [row] = host.agent.subagents.list({ requesterSessionKey: MAIN });
    if (row === undefined) throw new Error('no sub-agent');
    expect(await reply(host, '/subagents list')).toMatch(/^Sub-agents:\n1\. [0-9a-f]{8} ok, 0s: \[\[offline: say spawned\]\]$/);
    expect(await reply(host, '/subagents info 1')).toContain(`Session: ${row.childSessionKey}`);
    expect(await reply(host, '/subagents log 1 1')).toBe('assistant: spawned');
    expect(await reply(host, '/subagents send 1 [[offline: stall]]')).toMatch(/^Sent to [0-9a-f]{8}\.$/);
    await until(() => host.agent.active(row.childSessionKey).length === 1, 'the run');
    expect(await reply(host, '/tell 1 [[offline: stall]] again')).toMatch(/^Steered /);
    expect(await reply(host, '/kill 1')).toMatch(/^Stopped [0-9a-f]{8}\.$/);
    await until(() => host.agent.active(row.childSessionKey).length === 0, 'the end');
    expect(await reply(host, '/kill all')).toBe('No sub-agent is running.');
    expect(await reply(host, '/subagents info 9')).toContain("there is no sub-agent '9' of this session");
    expect(await reply(host, '/subagents dance')).toContain('Use /subagents list');
  });

  it('/stop stops those at work, also when nothing else runs; a client without admin stops none', async () => {
    const { host } = await hostWith();
    await spawn(host, '[[offline: stall]]');
    await spawn(host, '[[offline: stall]]');
    expect(await reply(host, '/kill 1', { scopes: ['operator.write'] })).toBe('Not allowed: missing scope: operator.admin.');
    expect(await reply(host, '/stop')).toBe('Stopped 2 sub-agents.');
    await until(() => host.agent.active().length === 0, 'the ends');
    expect(await reply(host, '/stop')).toBe('Nothing is running.');
  });
});
