import { describe, expect, it } from 'vitest';
import type { Tool } from '../../sdk/index.ts';
import type { Socket } from './harness.ts';
import { ask, finished, startSessionHost } from './session-host.ts';

const keyed = (key: string) => ({ idempotencyKey: key });
const SESSION_EVENTS = new Set(['sessions.changed', 'session.message', 'session.tool']);
const heard = (socket: Socket, ...names: string[]) =>
  socket.frames.filter(({ event }) => event !== undefined && (names.length === 0 ? SESSION_EVENTS.has(event) : names.includes(event)));
const bodies = (socket: Socket, ...names: string[]) => heard(socket, ...names).map(({ payload }) => payload as Record<string, unknown>);

const look: Tool = {
  name: 'look',
  description: 'looks',
  parameters: { type: 'object' },
  execute: async () => ({ content: [{ type: 'text', text: 'seen' }] }),
};

describe('session events', () => {
  it('go to sockets that asked for them, until they ask no more (PROTO-169, PROTO-170, PROTO-251)', async () => {
    const { dial } = await startSessionHost();
    const [admin, follower, other] = await Promise.all([dial(), dial({ params: { scopes: ['operator.read'] } }), dial()]);
    expect(await ask(follower, 'sessions.subscribe')).toEqual({ subscribed: true });
    await ask(admin, 'sessions.patch', { key: 'main', label: 'One' });
    const changed = await follower.event('sessions.changed');
    expect(changed.payload).toMatchObject({ sessionKey: 'agent:main:main', reason: 'patch', label: 'One', kind: 'direct', ts: expect.any(Number) });
    expect(changed).not.toHaveProperty('seq');
    expect(changed.payload).not.toHaveProperty('key');
    await ask(admin, 'sessions.create', { key: 'gone' });
    await ask(admin, 'sessions.reset', { key: 'gone', reason: 'new' });
    await ask(admin, 'sessions.compact', { key: 'main' });
    await ask(admin, 'sessions.delete', { key: 'gone' });
    await follower.next(({ payload }) => (payload as { reason?: string } | undefined)?.reason === 'delete');
    expect(bodies(follower).map(({ reason }) => reason)).toEqual(['patch', 'create', 'new', 'compact', 'delete']);
    expect(bodies(follower).at(-2)).toMatchObject({ compacted: false });
    expect(Object.keys(bodies(follower).at(-1) ?? {}).sort()).toEqual(['reason', 'sessionKey', 'ts']);
    expect(await ask(follower, 'sessions.unsubscribe')).toEqual({ subscribed: false });
    await ask(admin, 'sessions.patch', { key: 'main', label: 'Two' });
    await ask(admin, 'sessions.subscribe');
    await ask(admin, 'sessions.patch', { key: 'main', label: 'Three' });
    await admin.event('sessions.changed');
    expect(heard(follower)).toHaveLength(5);
    expect(heard(other)).toEqual([]);
  });

  it('of one transcript go to those who follow it (PROTO-171, PROTO-172, PROTO-249)', async () => {
    const { dial } = await startSessionHost();
    const [socket, follower] = await Promise.all([dial(), dial()]);
    expect(await ask(follower, 'sessions.messages.subscribe', { key: 'main' })).toEqual({ subscribed: true, key: 'agent:main:main' });
    const say = async (sessionKey: string, word: string) => {
      await ask(socket, 'chat.send', { sessionKey, message: `[[offline: say ${word}]]`, ...keyed(word) });
      await finished(socket, word);
    };
    await say('other', 'a');
    await say('main', 'b');
    await follower.next(({ event, payload }) => event === 'session.message' && (payload as { messageSeq: number }).messageSeq === 2);
    const messages = bodies(follower);
    expect(messages.map(({ sessionKey, messageSeq, messageId }) => [sessionKey, messageSeq, typeof messageId])).toEqual([
      ['agent:main:main', 1, 'undefined'],
      ['agent:main:main', 1, 'string'],
      ['agent:main:main', 2, 'string'],
    ]);
    expect(messages[0]).toMatchObject({ message: { role: 'user', content: '[[offline: say b]]', __openclaw: { seq: 1 } } });
    expect(messages[2]).toMatchObject({
      message: { role: 'assistant', content: [{ type: 'text', text: 'b' }], __openclaw: { id: messages[2]?.messageId, seq: 2 } },
      session: { key: 'agent:main:main' },
    });
    expect(heard(follower, 'sessions.changed', 'session.tool')).toEqual([]);
    expect(await ask(follower, 'sessions.messages.unsubscribe', { key: 'main' })).toEqual({ subscribed: false, key: 'agent:main:main' });
    await say('main', 'c');
    await ask(follower, 'health');
    expect(heard(follower)).toHaveLength(3);
  });

  it('tell of tools: to followers, and to sockets that started the run and can show them (PROTO-250, PROTO-269)', async () => {
    const { dial } = await startSessionHost({ tools: [look] });
    const caps = { params: { caps: ['tool-events'] } };
    const [starter, follower, bystander] = await Promise.all([dial(caps), dial(), dial(caps)]);
    await ask(follower, 'sessions.subscribe');
    const run = async (key: string) => {
      await ask(starter, 'chat.send', { sessionKey: 'main', message: '[[offline: tool look {}]] [[offline: say done]]', ...keyed(key) });
      await finished(starter, key);
      const isEnd = (payload: unknown) => (payload as { phase?: string; runId?: string }).phase === 'end' && (payload as { runId?: string }).runId === key;
      await follower.next(({ event, payload }) => event === 'sessions.changed' && isEnd(payload));
    };
    await run('t1');
    const own = bodies(starter, 'agent').filter(({ stream }) => stream === 'tool');
    const followed = bodies(follower, 'session.tool');
    for (const list of [own, followed]) {
      expect(list.map(({ data }) => (data as { phase: string }).phase)).toEqual(['start', 'result']);
      expect(list[1]).toMatchObject({ runId: 't1', stream: 'tool', sessionKey: 'agent:main:main', data: { name: 'look', isError: false } });
      expect(list[1]?.data).not.toHaveProperty('result');
      expect(list[1]).toMatchObject({ session: { key: 'agent:main:main', status: 'running' }, status: 'running', kind: 'direct' });
    }
    expect(heard(starter, 'agent').filter(({ payload }) => (payload as { stream: string }).stream === 'tool')[0]).not.toHaveProperty('seq');
    expect(bodies(bystander, 'agent').every(({ stream }) => stream !== 'tool')).toBe(true);
    await ask(starter, 'sessions.patch', { key: 'main', verboseLevel: 'full' });
    await run('t2');
    for (const last of [bodies(starter, 'agent').findLast(({ stream }) => stream === 'tool'), bodies(follower, 'session.tool').at(-1)]) {
      expect(last).toMatchObject({ runId: 't2', data: { phase: 'result', result: { content: [{ text: 'seen' }] } } });
    }
  });

  it('keep thoughts to sessions that stream them', async () => {
    const { dial } = await startSessionHost();
    const socket = await dial();
    const think = async (key: string) => {
      await ask(socket, 'chat.send', { sessionKey: 'main', message: '[[offline: think hm]] [[offline: say ok]]', ...keyed(key) });
      await finished(socket, key);
    };
    await think('q');
    expect(bodies(socket, 'agent').filter(({ stream }) => stream === 'thinking')).toEqual([]);
    await ask(socket, 'sessions.patch', { key: 'main', reasoningLevel: 'stream' });
    await think('s');
    expect(bodies(socket, 'agent').find(({ stream }) => stream === 'thinking')).toMatchObject({ runId: 's', data: { text: 'hm', delta: 'hm' } });
  });

  it('are the same sequence for all who follow', async () => {
    const { dial } = await startSessionHost({ tools: [look] });
    const sockets = await Promise.all(Array.from({ length: 4 }, () => dial()));
    const [socket] = sockets as [Socket];
    for (const one of sockets) await ask(one, 'sessions.subscribe');
    const keys = ['a', 'b', 'c'];
    await Promise.all(
      keys.flatMap((sessionKey) =>
        [1, 2].map((turn) =>
          ask(socket, 'chat.send', { sessionKey, message: '[[offline: tool look {}]] [[offline: say one two three]]', ...keyed(`${sessionKey}${turn}`) }),
        ),
      ),
    );
    for (const key of keys) for (const turn of [1, 2]) await finished(socket, `${key}${turn}`);
    await ask(socket, 'sessions.patch', { key: 'a', label: 'last' });
    await Promise.all(sockets.map((one) => one.next(({ payload }) => (payload as { label?: string; reason?: string } | undefined)?.reason === 'patch')));
    const streams = sockets.map((one) => JSON.stringify(one.frames.filter(({ event }) => event !== undefined && SESSION_EVENTS.has(event))));
    expect(streams[0]?.length).toBeGreaterThan(1000);
    expect(new Set(streams).size).toBe(1);
    const broadcasts = sockets.map((one) => JSON.stringify(heard(one, 'agent', 'chat').filter(({ seq }) => seq !== undefined)));
    expect(new Set(broadcasts).size).toBe(1);
    for (const key of keys) {
      const places = bodies(socket, 'session.message').flatMap(({ sessionKey, messageId, messageSeq }) =>
        sessionKey === `agent:main:${key}` && messageId !== undefined ? [messageSeq] : [],
      );
      expect(places).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    }
  });

  it('end with the socket, and leave nothing behind', async () => {
    const { dial, host } = await startSessionHost();
    const [socket, leaving] = await Promise.all([dial(), dial()]);
    await ask(leaving, 'sessions.subscribe');
    for (const key of ['a', 'b']) await ask(leaving, 'sessions.messages.subscribe', { key });
    leaving.raw.close();
    await leaving.closed;
    await ask(socket, 'sessions.subscribe');
    await host.run('[[offline: say x]]', { sessionKey: 'a' });
    await socket.next(({ event, payload }) => event === 'sessions.changed' && (payload as { phase: string }).phase === 'end');
    expect(heard(leaving)).toEqual([]);
    expect(bodies(socket, 'sessions.changed').flatMap(({ phase }) => (phase === undefined ? [] : [phase]))).toEqual(['start', 'message', 'message', 'end']);
  });

  it('limit how many sessions one socket follows by key', async () => {
    const { dial } = await startSessionHost();
    const socket = await dial();
    const answers = await Promise.all(Array.from({ length: 1001 }, (_, index) => socket.call('sessions.messages.subscribe', { key: `k${index}` })));
    expect(answers.filter(({ ok }) => ok === true)).toHaveLength(1000);
    expect(answers.at(-1)?.error).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining('at most') });
    expect(await ask(socket, 'sessions.messages.subscribe', { key: 'k1' })).toMatchObject({ subscribed: true });
  });
});
