import { describe, expect, it } from 'vitest';
import { connectedClient } from './connection.ts';
import { createPresence, parseBeacon } from './presence.ts';

function client(connId: string, overrides: { instanceId?: string; deviceId?: string; ip?: string; role?: 'operator' | 'node' } = {}) {
  const { instanceId, deviceId, ip = '127.0.0.1', role = 'operator' } = overrides;
  return connectedClient({
    connId,
    role,
    scopes: role === 'node' ? [] : ['operator.read'],
    connect: {
      minProtocol: 3,
      maxProtocol: 3,
      client: { id: 'x', version: '1', platform: 'p', mode: 'ui', ...(instanceId === undefined ? {} : { instanceId }) },
    },
    deviceId,
    peer: { ip, local: ip === '127.0.0.1', origin: undefined, host: undefined },
  });
}

describe('presence', () => {
  it('unites the connections of one device in one row (PROTO-079, PROTO-080, PRES-039 to PRES-042)', () => {
    const presence = createPresence({ version: '1' });
    presence.connected(client('c1', { deviceId: 'D' }));
    presence.connected(client('c2', { deviceId: 'd', role: 'node', ip: '10.0.0.5' }));
    presence.connected(client('c3', { instanceId: 'ABC' }));
    presence.connected(client('c4', { instanceId: 'abc' }));
    presence.connected(client('c5'));
    const rows = presence.entries().slice(1);
    expect(rows).toHaveLength(3);
    const device = rows.find(({ deviceId }) => deviceId === 'd');
    expect(device).toMatchObject({ roles: ['operator', 'node'], scopes: ['operator.read'], reason: 'node-connected', ip: '10.0.0.5' });
    presence.connected(client('c6', { deviceId: 'd' }));
    expect(presence.entries().find(({ deviceId }) => deviceId === 'd')).toMatchObject({ ip: '10.0.0.5', reason: 'connect' });
  });

  it('keeps the rows of live connections, and drops the others after five minutes (PRES-043, PRES-045)', () => {
    let now = 0;
    const presence = createPresence({ version: '1', now: () => now });
    const [quiet, gone] = [client('c1'), client('c2')];
    presence.connected(quiet);
    presence.connected(gone);
    expect([presence.disconnected(gone), presence.disconnected(gone)]).toEqual([true, false]);
    now = 300_001;
    expect(presence.entries().map(({ reason }) => reason)).toEqual(['self', 'connect']);
  });

  it('holds two hundred rows with its own (PRES-044)', () => {
    const presence = createPresence({ version: '1' });
    for (let i = 0; i < 250; i += 1) presence.connected(client(`c${i}`));
    expect(presence.entries()).toHaveLength(200);
  });

  it('drops the row that was idle longest, before that of anybody who is connected (PRES-044)', () => {
    let now = 0;
    const presence = createPresence({ version: '1', now: () => now });
    const live = client('live', { deviceId: 'live' });
    presence.connected(live);
    const sender = client('sender');
    for (let i = 0; i < 200; i += 1) {
      now += 1;
      presence.beacon(sender, { instanceId: `instance-${i}`, host: `host-${i}` });
    }
    const names = presence.entries().map(({ instanceId, deviceId }) => instanceId ?? deviceId);
    expect(names).toHaveLength(200);
    expect(names).toContain('live');
    expect(names).toContain('instance-199');
    expect(names).not.toContain('instance-0');
  });

  it('merges beacons into the row of their sender (PRES-019, PRES-023 to PRES-026, PRES-034 to PRES-036)', () => {
    let now = 1000;
    const presence = createPresence({ version: '1', now: () => now });
    const panel = client('c1', { deviceId: 'd', instanceId: 'Panel-1' });
    presence.connected(panel);
    now = 2000;
    presence.beacon(panel, { instanceId: 'panel-1', host: 'desk', ip: '10.0.0.5', lastInputSeconds: 7, reason: 'periodic', tags: ['a'], roles: ['node'] });
    expect(presence.entries().slice(1)).toEqual([
      {
        host: 'desk',
        ip: '10.0.0.5',
        version: '1',
        platform: 'p',
        lastInputSeconds: 7,
        mode: 'ui',
        deviceId: 'd',
        roles: ['operator', 'node'],
        scopes: ['operator.read'],
        instanceId: 'panel-1',
        tags: ['a'],
        reason: 'periodic',
        text: 'Node: x · mode ui',
        ts: 2000,
      },
    ]);
    presence.beacon(panel, { reason: 'anything else' });
    expect(presence.entries()[1]).toMatchObject({ reason: 'anything else', lastInputSeconds: 7 });
    presence.beacon(panel, { instanceId: 'other', host: 'second' });
    expect(presence.entries()).toHaveLength(3);
  });

  it('keeps an address that was reported when the client comes again through loopback (PRES-046)', () => {
    const presence = createPresence({ version: '1' });
    const panel = client('c1', { deviceId: 'd', instanceId: 'i' });
    presence.connected(panel);
    presence.beacon(panel, { instanceId: 'i', ip: '10.0.0.5' });
    presence.disconnected(panel);
    presence.connected(client('c2', { deviceId: 'd', instanceId: 'i' }));
    expect(presence.entries()[1]).toMatchObject({ ip: '10.0.0.5', reason: 'connect' });
  });

  it("lets no client into another device's row (PRES-005, PROTO-080)", () => {
    const presence = createPresence({ version: '1' });
    const owner = client('c1', { deviceId: 'd1', instanceId: 'shared' });
    presence.connected(owner);
    const thief = client('c2', { deviceId: 'd2', instanceId: 'shared' });
    presence.connected(thief);
    presence.connected(client('c3', { instanceId: 'd1' }));
    presence.connected(client('c4', { instanceId: 'shared' }));
    presence.beacon(thief, { instanceId: 'd1', host: 'stolen' });
    presence.beacon(thief, { deviceId: 'd1', host: 'stolen too' });
    const rows = presence.entries().slice(1);
    expect(rows.filter(({ deviceId }) => deviceId === 'd1')).toMatchObject([{ host: 'x', instanceId: 'shared' }]);
    expect(rows.filter(({ deviceId }) => deviceId === 'd2')).toMatchObject([{ host: 'stolen too' }]);
    expect(rows).toHaveLength(5);
    for (const gone of [owner, thief]) expect(presence.disconnected(gone)).toBe(true);
  });

  it('shows an instance id only where one was given (PRES-005)', () => {
    const presence = createPresence({ version: '1' });
    presence.connected(client('c1', { deviceId: 'd1' }));
    expect(presence.entries()[1]).not.toHaveProperty('instanceId');
  });

  it('reads the text of older beacons', () => {
    expect(parseBeacon('Node: example-host (10.0.0.5) · app 1.2.3 · last input 3s ago · mode node · reason connect')).toEqual({
      host: 'example-host',
      ip: '10.0.0.5',
      version: '1.2.3',
      lastInputSeconds: 3,
      mode: 'node',
      reason: 'connect',
    });
    expect(parseBeacon('Node: my mac · mode ui')).toEqual({ host: 'my mac', mode: 'ui' });
    expect(parseBeacon('the battery is low')).toBeUndefined();
  });
});
