import { describe, expect, it } from 'vitest';
import { createLegacyEngine } from '../../extensions/context-engines/legacy/engine.ts';
import type { SubagentEndedParams } from '../../sdk/index.ts';
import { ask, startSessionHost } from './session-host.ts';

const MAIN = 'agent:main:main';

async function start() {
  const ended: SubagentEndedParams[] = [];
  const engine = Object.assign(createLegacyEngine(), { onSubagentEnded: async (params: SubagentEndedParams) => void ended.push(params) });
  const { host, dial } = await startSessionHost({ engine });
  await host.run('[[offline: say hello]]');
  const spawn = (task: string, more: object = {}) => host.agent.subagents.spawn({ requesterSessionKey: MAIN, task, ...more });
  return { host, dial, ended, spawn };
}

describe('sub-agents over the gateway', () => {
  it('followers see them come, work and go, each time with who started them (PROTO-169)', async () => {
    const { dial, spawn } = await start();
    const socket = await dial();
    await ask(socket, 'sessions.subscribe');
    const { childSessionKey, runId } = await spawn('[[offline: say hi]]', { label: 'seen', cleanup: 'delete' });
    const of = (payload: unknown) => payload as Record<string, unknown> | undefined;
    await socket.next(({ payload }) => of(payload)?.sessionKey === childSessionKey && of(payload)?.reason === 'delete');
    const heard = socket.frames.map(({ payload }) => of(payload)).filter((payload) => payload?.sessionKey === childSessionKey && payload.ts !== undefined);
    const row = { spawnedBy: MAIN, label: 'seen', spawnDepth: 1, parentSessionKey: MAIN };
    expect(heard.find((payload) => payload?.reason === 'create')).toMatchObject(row);
    expect(heard.find((payload) => payload?.phase === 'start')).toMatchObject({ runId, ...row, status: 'running', session: { key: childSessionKey, ...row } });
    expect(heard.find((payload) => payload?.phase === 'end')).toMatchObject({ runId, ...row });
    expect(heard.at(-1)).toEqual({ sessionKey: childSessionKey, reason: 'delete', ts: expect.any(Number) });
  });

  it('are found by who started them; an abort of that session reaches them, with and without a run of its own', async () => {
    const { host, dial, spawn } = await start();
    const socket = await dial();
    const { childSessionKey } = await spawn('[[offline: stall]]');
    const { sessions } = await ask<{ sessions: Array<Record<string, unknown>> }>(socket, 'sessions.list', { spawnedBy: MAIN });
    expect(sessions).toMatchObject([{ key: childSessionKey, spawnedBy: MAIN, subagentRole: 'leaf', subagentControlScope: 'none', status: 'running' }]);
    expect(await ask(socket, 'sessions.abort', { key: 'main' })).toMatchObject({ status: 'aborted' });
    await expect.poll(() => host.agent.active()).toEqual([]);
    const other = await spawn('[[offline: stall]]');
    const own = await host.start('[[offline: stall]]');
    expect(await ask(socket, 'chat.abort', { sessionKey: 'main' })).toMatchObject({ aborted: true, runIds: [own, other.runId] });
    await expect.poll(() => host.agent.active()).toEqual([]);
    const reader = await dial({ params: { scopes: ['operator.write'] } });
    await spawn('[[offline: stall]]');
    expect(await ask(reader, 'chat.abort', { sessionKey: 'main' })).toEqual({ ok: true, aborted: false, runIds: [] });
  });

  it('sessions.delete and sessions.reset end them for the engine (ENGINE-070)', async () => {
    const { dial, spawn, ended } = await start();
    const socket = await dial();
    const deleted = await spawn('[[offline: stall]]');
    const kept = await spawn('[[offline: say ready]]', { mode: 'session' });
    await ask(socket, 'sessions.delete', { key: deleted.childSessionKey });
    await ask(socket, 'sessions.reset', { key: 'main' });
    expect(ended).toEqual([
      { childSessionKey: deleted.childSessionKey, reason: 'deleted' },
      { childSessionKey: kept.childSessionKey, reason: 'released' },
    ]);
  });
});
