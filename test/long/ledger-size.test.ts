import { expect, it } from 'vitest';
import type { AgentMessage } from '../../sdk/index.ts';
import { createAgentHost } from '../agent-host.ts';

const ENTRIES = 2_000;
const TURNS = 40;

it('the record of a turn costs a few kilobytes in a session of 2,000 entries, and says of each what it said in full', async () => {
  const host = await createAgentHost({ config: { agents: { defaults: { compaction: { reserveTokens: 1_000, reserveTokensFloor: 0 } } } } });
  const { session } = await host.sessions.open({ key: 'main' });
  const said = (at: number): AgentMessage => ({ role: 'user', content: `entry ${at} ${'word '.repeat(at % 40)}`, timestamp: 1_000 + at });
  await host.sessions.append(
    session,
    Array.from({ length: ENTRIES }, (_none, at) => ({ type: 'message' as const, message: said(at) })),
  );
  const bytes = () => Number(host.state.db.get('SELECT total FROM turn_bytes')?.total);
  await host.run('the first');
  const first = bytes();
  for (let turn = 1; turn <= TURNS; turn += 1) await host.run(`turn ${turn}`);
  const each = (bytes() - first) / TURNS;
  expect(first).toBeGreaterThan(ENTRIES * 20);
  expect(each).toBeLessThan(8 * 1024);

  const entries = (await host.entries()).filter(({ type }) => type === 'message');
  for (const place of [1, 2, TURNS]) {
    const { runId, parts, request } = host.agent.turn({ sessionKey: 'main', turn: `-${place}` });
    expect(runId).toBe(`run-${TURNS + 2 - place}`);
    const messages = parts.filter(({ kind }) => kind === 'message');
    // all that stood before this turn's reply, in its order
    const before = entries.slice(0, entries.length - 2 * place + 1);
    expect(messages.map(({ entryId, seq }) => [entryId, seq])).toEqual(before.map(({ id, seq }) => [id, seq]));
    expect(messages.every(({ source, entryId }) => source === `entry:${entryId}`)).toBe(true);
    expect(parts.reduce((sum, { tokens }) => sum + tokens, 0) / (request?.estimated ?? 1)).toBeCloseTo(1, 1);
  }
});
