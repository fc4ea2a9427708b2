import { describe, expect, it, vi } from 'vitest';
import { createGateway } from '../../core/gateway/server.ts';
import { connect, startGateway } from './harness.ts';

describe('events', () => {
  it('numbers every broadcast once for all sockets, and filters by scope (PROTO-047, PROTO-048, PROTO-049)', async () => {
    const { url, gateway, source } = await startGateway();
    const admin = await connect(url);
    const reader = await connect(url, { params: { scopes: ['operator.read'] } });
    const node = await connect(url, { params: { role: 'node', scopes: [] } });
    gateway.broadcast('exec.approval.requested', { id: '1' });
    gateway.broadcast('fixture.note', { n: 1 });
    gateway.broadcast('fixture.secret', { n: 2 }, { scope: 'operator.admin' });
    gateway.broadcast('tick', { ts: 1 });
    const ticks = await Promise.all([admin, reader, node].map((socket) => socket.event('tick')));
    expect(new Set(ticks.map(({ seq }) => seq)).size).toBe(1);
    const names = (socket: typeof admin) =>
      socket.frames.flatMap(({ event, seq }) => (seq === undefined || event?.startsWith('device.') || event === 'health' ? [] : [event]));
    expect(names(admin)).toEqual(['exec.approval.requested', 'fixture.note', 'fixture.secret', 'tick']);
    expect(names(reader)).toEqual(['fixture.note', 'tick']);
    expect(names(node)).toEqual(['tick']);
    expect(gateway.listeners('operator.approvals')).toBe(1);
    expect(gateway.listeners('operator.read')).toBe(2);
    source.swap();
    expect((await node.event('health')).stateVersion).toMatchObject({ presence: expect.any(Number), health: expect.any(Number) });
  });

  it('sends ticks in the interval it promised (GW-144, PROTO-253)', async () => {
    const { url } = await startGateway({ settings: { tickIntervalMs: 20 } });
    const socket = await connect(url);
    expect(socket.hello.policy).toMatchObject({ tickIntervalMs: 20 });
    await socket.event('tick');
    expect((await socket.event('tick')).payload).toEqual({ ts: expect.any(Number) });
  });

  it('derives chat events from a run: throttled deltas, then the final text (GW-138, GW-139)', async () => {
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    await socket.call('chat.send', { sessionKey: 'main', message: 'x', idempotencyKey: 'r' });
    agent.emit('r', 'lifecycle', { phase: 'start' });
    for (let i = 1; i <= 20; i += 1) agent.emit('r', 'assistant', { text: 'w'.repeat(i), delta: 'w' });
    agent.emit('r', 'lifecycle', { phase: 'end' });
    const states: Array<{ state: string; seq: number; sessionKey: string; message: { content: Array<{ text: string }> } }> = [];
    do states.push((await socket.event('chat')).payload as (typeof states)[0]);
    while (states.at(-1)?.state !== 'final');
    expect(states.map(({ state, seq, message }) => [state, seq, message.content[0]?.text.length])).toEqual([
      ['delta', 2, 1],
      ['delta', 21, 20],
      ['final', 22, 20],
    ]);
    expect(states[0]?.sessionKey).toBe('agent:main:main');
  });

  it('withholds silent replies and reports errors', async () => {
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    const run = async (key: string, events: Array<Record<string, unknown>>) => {
      await socket.call('chat.send', { sessionKey: 'main', message: 'x', idempotencyKey: key });
      agent.emit(key, 'lifecycle', { phase: 'start' });
      for (const { stream = 'assistant', ...data } of events) agent.emit(key, stream as 'assistant', data);
      return (await socket.event('chat')).payload;
    };
    expect(await run('a', [{ text: 'NO_' }, { text: 'NO_REPLY' }, { stream: 'lifecycle', phase: 'end' }])).not.toHaveProperty('message');
    expect(await run('b', [{ stream: 'lifecycle', phase: 'error', error: 'it broke' }])).toMatchObject({ state: 'error', errorMessage: 'it broke' });
  });

  it('sends tool events only to sockets that asked for them and watch the session (PROTO-141)', async () => {
    const { url, agent } = await startGateway();
    const watcher = await connect(url, { params: { caps: ['tool-events'] } });
    const other = await connect(url, { params: { caps: ['tool-events'] } });
    const plain = await connect(url);
    await watcher.call('chat.send', { sessionKey: 'main', message: 'x', idempotencyKey: 'r' });
    await plain.call('chat.send', { sessionKey: 'main', message: 'x', idempotencyKey: 'r2' });
    agent.emit('r', 'tool', { phase: 'start', name: 'read', toolCallId: 't', args: {} });
    agent.emit('r', 'lifecycle', { phase: 'end' });
    const tool = await watcher.event('agent');
    expect(tool).toMatchObject({ payload: { stream: 'tool', data: { name: 'read' } } });
    expect(tool).not.toHaveProperty('seq');
    for (const socket of [other, plain]) expect((await socket.event('agent')).payload).toMatchObject({ stream: 'lifecycle' });
  });

  it('skips droppable events of a slow socket, and closes it for any other', async () => {
    const { url, gateway } = await startGateway({ settings: { maxBufferedBytes: 100_000 } });
    const slow = await connect(url);
    const quick = await connect(url);
    slow.raw.pause();
    const filler = 'x'.repeat(1_000_000);
    for (let i = 0; i < 30; i += 1) {
      gateway.broadcast('fixture.bulk', { filler }, { dropIfSlow: true });
      await quick.event('fixture.bulk');
    }
    expect(gateway.connections()).toBe(2);
    gateway.broadcast('shutdown', { reason: 'x', restartExpectedMs: null });
    slow.raw.resume();
    expect(await slow.closed).toEqual({ code: 1008, reason: 'slow consumer' });
    expect(quick.raw.readyState).toBe(quick.raw.OPEN);
    await vi.waitFor(() => expect(gateway.connections()).toBe(1));
  });

  it('says shutdown before it closes (GW-148, GW-166)', async () => {
    const { url, gateway } = await startGateway();
    const socket = await connect(url);
    const closing = gateway.close('gateway stopping');
    expect((await socket.event('shutdown')).payload).toEqual({ reason: 'gateway stopping', restartExpectedMs: null });
    expect(await socket.closed).toEqual({ code: 1012, reason: 'service restart' });
    await closing;
    await gateway.close();
    await expect(connect(url)).rejects.toThrow('ECONNREFUSED');
  });

  it('shows one presence row per device, none for one-off commands (PRES-027 to PRES-031, PRES-039, PROTO-079)', async () => {
    const { url } = await startGateway();
    const watcher = await connect(url);
    const ui = await connect(url, { params: { client: { id: 'gateway-client', version: '9', platform: 'linux', mode: 'ui', displayName: 'Panel' } } });
    const rows = (ui.hello.snapshot as { presence: Array<Record<string, unknown>> }).presence;
    expect(rows.map(({ mode, reason }) => [mode, reason])).toEqual([
      ['gateway', 'self'],
      ['ui', 'connect'],
    ]);
    expect(rows[1]).toMatchObject({ host: 'Panel', version: '9', roles: ['operator'], deviceId: expect.stringMatching(/^[0-9a-f]{64}$/) });
    ui.raw.close();
    const { payload } = await watcher.event('presence');
    expect((payload as { presence: object[] }).presence[1]).toMatchObject({ reason: 'disconnect' });
  });
});

describe('listening', () => {
  it('names a port that is taken, and an address that is not here (GW-160)', async () => {
    const { port, options } = await startGateway();
    const second = createGateway({ ...options, settings: { ...options.settings, port } });
    await expect(second.listen()).rejects.toMatchObject({
      code: 'DUR_GATEWAY_IN_USE',
      message: `another gateway instance is already listening on ws://127.0.0.1:${port}`,
    });
    await second.close();
    const elsewhere = createGateway({ ...options, settings: { ...options.settings, host: '192.0.2.1' } });
    await expect(elsewhere.listen()).rejects.toMatchObject({ code: 'DUR_GATEWAY_BIND' });
  });

  it('refuses to be reachable without auth (GW-159)', async () => {
    const { options } = await startGateway();
    for (const auth of [{ mode: 'none' }, { mode: 'token' }, { mode: 'password', password: '' }] as const) {
      const open = createGateway({ ...options, settings: { ...options.settings, host: '0.0.0.0', auth } });
      await expect(open.listen()).rejects.toMatchObject({ code: 'DUR_GATEWAY_NO_AUTH' });
    }
  });
});
