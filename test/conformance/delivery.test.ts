import { describe, expect, it } from 'vitest';
import { EVENTS } from '../../sdk/protocol/generated/tables.ts';
import { connect, startGateway } from './harness.ts';

/** The delivery table of the protocol: who hears what, and what a slow socket may miss. Later families add rows. */
const DELIVERY: Record<string, [scope: string | null, droppable: boolean]> = {
  tick: [null, true],
  health: [null, false],
  presence: [null, true],
  shutdown: [null, false],
  agent: ['operator.read', false],
  chat: ['operator.read', false],
  'session.message': ['operator.read', true],
  'session.tool': ['operator.read', true],
  'sessions.changed': ['operator.read', true],
  'device.pair.requested': ['operator.pairing', true],
  'device.pair.resolved': ['operator.pairing', true],
  'exec.approval.requested': ['operator.approvals', true],
  'exec.approval.resolved': ['operator.approvals', true],
  'plugin.approval.requested': ['operator.approvals', true],
  'plugin.approval.resolved': ['operator.approvals', true],
};

describe('delivery', () => {
  it('follows the table', () => {
    const table = EVENTS as Record<string, { scope: string | null; droppable: boolean }>;
    expect(Object.fromEntries(Object.keys(DELIVERY).map((name) => [name, [table[name]?.scope, table[name]?.droppable]]))).toEqual(DELIVERY);
  });

  it('makes an event into text once, however many sockets get it, and not at all when nobody may', async () => {
    const { url, gateway } = await startGateway();
    const sockets = await Promise.all(Array.from({ length: 30 }, () => connect(url, { params: { scopes: ['operator.read'] } })));
    let count = 0;
    const payload = {
      toJSON() {
        count += 1;
        return { n: count };
      },
    };
    gateway.broadcast('fixture.one', payload);
    const heard = await Promise.all(sockets.map((socket) => socket.event('fixture.one')));
    expect(new Set(heard.map((event) => JSON.stringify(event))).size).toBe(1);
    expect(count).toBe(1);
    gateway.broadcast('fixture.one', payload, { scope: 'operator.admin' });
    expect(count).toBe(1);
  });

  it('a slow socket misses what it may miss, and is closed rather than miss the end of a chat', async () => {
    const { url, gateway, agent } = await startGateway({ settings: { maxBufferedBytes: 100_000 } });
    const driver = await connect(url);
    const slow = await connect(url, { params: { scopes: ['operator.read'] } });
    slow.raw.pause();
    for (let at = 0; at < 30; at += 1) {
      gateway.broadcast('fixture.bulk', { filler: 'x'.repeat(1_000_000) }, { dropIfSlow: true });
      await driver.event('fixture.bulk');
    }
    gateway.broadcast('tick', { ts: 1 });
    gateway.broadcast('chat', { state: 'delta' }, { dropIfSlow: true });
    await driver.event('chat');
    expect(gateway.connections()).toBe(2);
    await driver.call('chat.send', { sessionKey: 'main', message: 'x', idempotencyKey: 'r' });
    agent.emit('r', 'lifecycle', { phase: 'start' });
    agent.emit('r', 'lifecycle', { phase: 'end' });
    slow.raw.resume();
    expect(await slow.closed).toEqual({ code: 1008, reason: 'slow consumer' });
    expect((await driver.event('chat')).payload).toMatchObject({ state: 'final' });
  });

  it('state versions ride on health and presence only, and rise with what they count (PROTO-049)', async () => {
    const { url, gateway, source } = await startGateway();
    const watcher = await connect(url);
    const versions: Array<{ presence: number; health: number }> = [
      (watcher.hello.snapshot as { stateVersion: { presence: number; health: number } }).stateVersion,
    ];
    source.swap();
    versions.push((await watcher.event('health')).stateVersion as (typeof versions)[0]);
    const ui = await connect(url, { params: { client: { id: 'ui', version: '1', platform: 'linux', mode: 'ui' } } });
    ui.raw.close();
    versions.push((await watcher.event('presence')).stateVersion as (typeof versions)[0]);
    gateway.broadcast('tick', { ts: 1 });
    expect(await watcher.event('tick')).not.toHaveProperty('stateVersion');
    for (const [at, version] of versions.slice(1).entries()) {
      expect(version.health).toBeGreaterThanOrEqual(versions[at]?.health ?? 0);
      expect(version.presence).toBeGreaterThanOrEqual(versions[at]?.presence ?? 0);
    }
    expect(versions[2]?.presence).toBeGreaterThan(versions[0]?.presence ?? 0);
    expect(versions[1]?.health).toBeGreaterThan(versions[0]?.health ?? 0);
  });
});
