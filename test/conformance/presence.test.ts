/** Who is here, as the page on presence says it, over real sockets. */
import { describe, expect, it } from 'vitest';
import type { ConnectClient } from '../../sdk/protocol/generated/types.ts';
import { connect, newDevice, type Socket, shake, startGateway, type TestDevice } from './harness.ts';

interface Row {
  host: string;
  mode: string;
  ts: number;
  [key: string]: unknown;
}

const rows = async (socket: Socket) => (await socket.call('system-presence', {})).payload as Row[];
const join = (url: string, client: Partial<ConnectClient>, device: TestDevice = newDevice()) =>
  connect(url, { device, params: { client: { id: 'panel', version: '9.1', platform: 'linux', mode: 'ui', ...client } } });

describe('presence', () => {
  it('lists the gateway, and each client with what it told (PRES-001 to PRES-010, PRES-018, PRES-020, PRES-021, PRES-049)', async () => {
    const { url } = await startGateway();
    const watcher = await connect(url);
    const [self, ...others] = await rows(watcher);
    expect(others).toEqual([]);
    expect(self).toMatchObject({ reason: 'self', mode: 'gateway', version: '0.1.0', host: expect.any(String), ts: expect.any(Number) });
    const device = newDevice();
    await join(url, { displayName: 'Desk', instanceId: 'I-1', deviceFamily: 'Mac', modelIdentifier: 'Mac15,1', mode: 'somethingNew' }, device);
    expect((await rows(watcher))[1]).toEqual({
      host: 'Desk',
      version: '9.1',
      platform: 'linux',
      deviceFamily: 'Mac',
      modelIdentifier: 'Mac15,1',
      mode: 'somethingNew',
      deviceId: device.id,
      roles: ['operator'],
      scopes: expect.arrayContaining(['operator.read']),
      instanceId: 'I-1',
      reason: 'connect',
      text: 'Node: Desk · mode somethingNew',
      ts: expect.any(Number),
    });
  });

  it.each(['ui', 'webchat-like', 'backend', 'probe', 'test'])('shows the mode %s (PRES-011 to PRES-016)', async (mode) => {
    const { url } = await startGateway();
    const watcher = await connect(url);
    await join(url, { mode });
    expect((await rows(watcher)).map((row) => row.mode)).toEqual(['gateway', mode]);
  });

  it('shows nodes by the same flow, and no one-off commands (PRES-013, PRES-017, PRES-022, PRES-031, PRES-032, PRES-037)', async () => {
    const { url } = await startGateway();
    const watcher = await connect(url);
    await connect(url, { params: { role: 'node', scopes: [], client: { id: 'node-host', version: '1', platform: 'linux', mode: 'node' } } });
    for (let i = 0; i < 3; i += 1) await connect(url);
    const [, node, ...more] = await rows(watcher);
    expect(node).toMatchObject({ mode: 'node', reason: 'node-connected', roles: ['node'] });
    expect(node).not.toHaveProperty('scopes');
    expect(more).toEqual([]);
  });

  it('adds no row for a handshake that fails (PRES-030)', async () => {
    const { url } = await startGateway();
    const watcher = await connect(url);
    const { answer } = await shake(url, { params: { auth: { token: 'wrong' }, client: { id: 'panel', version: '1', platform: 'linux', mode: 'ui' } } });
    expect(answer.ok).toBe(false);
    expect(await rows(watcher)).toHaveLength(1);
  });

  it('keeps one row for a device that comes back, whatever the case of its instance id (PRES-026, PRES-039 to PRES-041, PRES-045)', async () => {
    const { url } = await startGateway();
    const watcher = await connect(url);
    const device = newDevice();
    const first = await join(url, { instanceId: 'abc' }, device);
    await first.call('system-event', { text: 'x', instanceId: 'ABC', ip: '10.0.0.5', lastInputSeconds: 4, reason: 'periodic' });
    expect((await rows(watcher)).slice(1)).toMatchObject([{ ip: '10.0.0.5', lastInputSeconds: 4, reason: 'periodic' }]);
    first.raw.close();
    const left = await watcher.next(({ event, payload }) => event === 'presence' && JSON.stringify(payload).includes('"disconnect"'));
    expect(left.stateVersion).toEqual({ presence: expect.any(Number), health: expect.any(Number) });
    await join(url, { instanceId: 'ABC' }, device);
    expect((await rows(watcher)).slice(1)).toMatchObject([{ reason: 'connect', ip: '10.0.0.5', deviceId: device.id }]);
  });

  it('makes a row of its own for another instance id (PRES-042, PRES-051, PRES-052)', async () => {
    const { url } = await startGateway();
    const watcher = await connect(url);
    const panel = await join(url, { instanceId: 'one' });
    await panel.call('system-event', { text: 'x', instanceId: 'two', host: 'desk' });
    expect((await rows(watcher)).slice(1).map(({ instanceId }) => instanceId)).toEqual(expect.arrayContaining(['one', 'two']));
    await join(url, {});
    expect(await rows(watcher)).toHaveLength(4);
  });

  it('tells everybody, and counts each change (PROTO-049, PROTO-094, PROTO-252)', async () => {
    const { url } = await startGateway();
    const [admin, other] = [await connect(url), await connect(url)];
    await admin.call('system-event', { text: 'Node: mac (10.0.0.7) · app 2 · mode ui · reason periodic' });
    const event = await other.event('presence');
    const { presence: version } = event.stateVersion as { presence: number };
    expect((event.payload as { presence: Row[] }).presence).toMatchObject([{ reason: 'self' }, { host: 'mac', ip: '10.0.0.7', reason: 'periodic' }]);
    await admin.call('system-event', { text: 'Node: mac (10.0.0.7) · app 2 · mode ui · reason launch' });
    expect((await other.event('presence')).stateVersion).toMatchObject({ presence: version + 1 });
  });

  it('tells of many changes at once in few events', async () => {
    const { url } = await startGateway();
    const [admin, other] = [await connect(url), await connect(url)];
    await Promise.all(Array.from({ length: 60 }, (_, i) => admin.call('system-event', { text: 'x', instanceId: `i-${i}`, host: `h-${i}` }, `e-${i}`)));
    const isLast = ({ event, payload }: { event?: string; payload?: unknown }) =>
      event === 'presence' && (payload as { presence: Row[] }).presence.length === 61;
    await other.next(isLast);
    expect(other.frames.filter(({ event }) => event === 'presence').length).toBeLessThan(20);
  });
});
