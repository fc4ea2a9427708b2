import { errorText } from '../../sdk/errors.ts';
import type { GatewayConnection, GatewayDevice, GatewayTarget } from '../../sdk/index.ts';
import type { ProtocolRole } from '../../sdk/protocol/scopes.ts';
import type { Logger } from '../logging/logger.ts';
import type { ConnectedClient, Connection } from './connection.ts';
import type { PairedDevice } from './devices.ts';
import type { EventHub } from './events.ts';

type Listener = (connection: GatewayConnection) => void;

/** What extensions see of the connected sockets. */
export interface Sockets {
  sendTo(target: GatewayTarget, event: string, payload: unknown): number;
  list(filter?: { role?: ProtocolRole }): GatewayConnection[];
  onConnect(listener: Listener): () => void;
  onDisconnect(listener: Listener): () => void;
}

/** The same, with what the gateway tells it. A listener that throws is logged and the others are called. */
export interface SocketsSource extends Sockets {
  connected(client: ConnectedClient): void;
  disconnected(client: ConnectedClient): void;
}

export function createSockets(connections: ReadonlySet<Connection>, hub: Pick<EventHub, 'send'>, log: Logger): SocketsSource {
  const listeners = { connect: new Set<Listener>(), disconnect: new Set<Listener>() };
  const add = (set: Set<Listener>, listener: Listener) => {
    set.add(listener);
    return () => void set.delete(listener);
  };
  const tell = (set: ReadonlySet<Listener>, client: ConnectedClient) => {
    if (set.size === 0) return;
    const view = viewOf(client);
    for (const listener of set) {
      try {
        listener(view);
      } catch (error) {
        log.warn('a listener of connections failed', { reason: errorText(error) });
      }
    }
  };
  return {
    sendTo({ connId, deviceId, role }, event, payload) {
      if (connId === undefined && deviceId === undefined && role === undefined) return 0;
      const targets = [...connections].filter(
        ({ client }) =>
          client !== undefined &&
          (connId === undefined || client.connId === connId) &&
          (deviceId === undefined || client.deviceId === deviceId) &&
          (role === undefined || client.role === role),
      );
      hub.send(targets, event, payload);
      return targets.length;
    },
    list: ({ role } = {}) =>
      [...connections].flatMap(({ client }) => (client === undefined || (role !== undefined && client.role !== role) ? [] : [viewOf(client)])),
    onConnect: (listener) => add(listeners.connect, listener),
    onDisconnect: (listener) => add(listeners.disconnect, listener),
    connected: (client) => tell(listeners.connect, client),
    disconnected: (client) => tell(listeners.disconnect, client),
  };
}

function viewOf(client: ConnectedClient): GatewayConnection {
  const { info, peer, claims } = client;
  return {
    connId: client.connId,
    ...(client.deviceId === undefined ? {} : { deviceId: client.deviceId }),
    role: client.role,
    scopes: client.scopes,
    clientId: info.id,
    clientMode: info.mode,
    ...(info.displayName === undefined ? {} : { displayName: info.displayName }),
    version: info.version,
    platform: info.platform,
    ...(info.deviceFamily === undefined ? {} : { deviceFamily: info.deviceFamily }),
    ...(info.modelIdentifier === undefined ? {} : { modelIdentifier: info.modelIdentifier }),
    caps: [...client.caps],
    ...claims,
    ...(peer.local ? {} : { remoteIp: peer.ip }),
    ...(peer.host === undefined ? {} : { address: `${peer.secure === true ? 'https' : 'http'}://${peer.host}` }),
    connectedAtMs: client.connectedAt,
  };
}

/** A paired device as extensions may see it. */
export function deviceView(device: PairedDevice): GatewayDevice {
  const { deviceId, roles, displayName, platform, deviceFamily, clientId, clientMode, remoteIp, createdAtMs, approvedAtMs } = device;
  return {
    deviceId,
    roles,
    ...(displayName === undefined ? {} : { displayName }),
    ...(platform === undefined ? {} : { platform }),
    ...(deviceFamily === undefined ? {} : { deviceFamily }),
    clientId,
    clientMode,
    ...(remoteIp === undefined ? {} : { remoteIp }),
    createdAtMs,
    approvedAtMs,
  };
}
