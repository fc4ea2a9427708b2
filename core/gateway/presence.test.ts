import { describe, expect, it } from 'vitest';
import { connectedClient } from './connection.ts';
import { createPresence } from './presence.ts';

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
});
