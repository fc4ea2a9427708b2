import { describe, expect, it } from 'vitest';
import type { SessionsTurnResult, SessionsTurnsResult } from '../../sdk/protocol/generated/types.ts';
import { ask, refusal, startSessionHost } from './session-host.ts';

interface Answer {
  key: string;
  report: { source: string; sessionId: string; systemPrompt: { chars: number; parts: Array<{ chars: number }> } };
  session: { totalTokens: number | null; contextTokens: number };
}

describe('sessions.context', () => {
  it('needs no more than the right to read, and answers from the row (CTX-095 to CTX-097, CTX-099)', async () => {
    const { host, dial } = await startSessionHost();
    const socket = await dial({ params: { scopes: ['operator.read'] } });
    await host.agent.session({ sessionKey: 'main' });
    const estimate = await ask<Answer>(socket, 'sessions.context', { key: 'main' });
    expect(estimate).toMatchObject({ key: 'agent:main:main', report: { source: 'estimate' }, session: { totalTokens: null, contextTokens: 200_000 } });
    await host.run('[[offline: say hello]]');
    const row = await host.sessions.get('agent:main:main');
    const { report, session } = await ask<Answer>(socket, 'sessions.context', { key: 'main' });
    expect(report).toEqual(row?.extra?.contextReport);
    expect([report.source, report.sessionId, session]).toEqual(['run', row?.sessionId, { totalTokens: row?.totalTokens, contextTokens: 200_000 }]);
    expect(report.systemPrompt.parts.reduce((sum, { chars }) => sum + chars, 0)).toBe(report.systemPrompt.chars);
    expect(JSON.stringify(report)).not.toContain('inside Durar');
  });

  it('refuses a session that there is not, and a caller without the scope', async () => {
    const { dial } = await startSessionHost();
    expect(await refusal(await dial(), 'sessions.context', { key: 'nowhere' })).toContain("there is no session 'agent:main:nowhere'");
    const blind = await dial({ params: { scopes: ['operator.pairing'] } });
    expect(await refusal(blind, 'sessions.context', { key: 'main' })).toContain('operator.read');
  });
});

describe('sessions.turns and sessions.turn', () => {
  it('need no more than the right to read, and name every part of the last request (CTX-001)', async () => {
    const { host, dial } = await startSessionHost();
    const socket = await dial({ params: { scopes: ['operator.read'] } });
    await host.run('the word is zebra [[offline: say hello]]');
    await host.run('[[offline: say again]]');
    const { key, turns } = await ask<SessionsTurnsResult>(socket, 'sessions.turns', { key: 'main', limit: 1 });
    expect([key, turns]).toMatchObject(['agent:main:main', [{ status: 'ok', engine: { id: 'legacy' }, callCount: 1 }]]);
    const turn = await ask<SessionsTurnResult>(socket, 'sessions.turn', { key: 'main', turn: '-1' });
    expect(turn.runId).toBe(turns[0]?.runId);
    expect(turn.parts.filter(({ kind }) => kind === 'message').map(({ name, source, entryId }) => [name, source === `entry:${entryId}`])).toEqual([
      ['user', true],
      ['assistant', true],
      ['user', true],
    ]);
    expect(JSON.stringify(turn)).not.toMatch(/zebra|hello|inside Durar/);
    expect((await ask<SessionsTurnResult>(socket, 'sessions.turn', {})).runId).toBe(turn.runId);
  });

  it('refuse a turn that is not kept, a wrong limit and a caller without the scope', async () => {
    const { dial } = await startSessionHost();
    const socket = await dial();
    expect(await refusal(socket, 'sessions.turn', { key: 'main', turn: 'nowhere' })).toContain("has no record of the turn 'nowhere'");
    expect(await refusal(socket, 'sessions.turns', { key: 'main', limit: 0 })).toContain('limit');
    const blind = await dial({ params: { scopes: ['operator.pairing'] } });
    for (const method of ['sessions.turn', 'sessions.turns']) expect(await refusal(blind, method, { key: 'main' })).toContain('operator.read');
  });
});
