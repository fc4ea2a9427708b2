import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { errorText } from '../../sdk/errors.ts';
import type { PluginRuntime } from '../../sdk/index.ts';
import { LIMITS } from '../../sdk/protocol/version.ts';
import { type AccessSettings, createAccess } from './access.ts';
import { createAdmission, meter, refuseUpgrade } from './admission.ts';
import { assertBindable } from './auth.ts';
import { createBootstrap } from './bootstrap.ts';
import { createConfigFile } from './config-file.ts';
import { type ConnectedClient, type Connection, connectedClient, openConnection, type Request } from './connection.ts';
import type { GatewayContext } from './context.ts';
import { createDevices } from './devices.ts';
import { type BroadcastOptions, createEventHub } from './events.ts';
import { findExposures } from './exposure.ts';
import { createExtensionMethods, type ExtensionMethods } from './extension-methods.ts';
import { HandshakeRefusal, shakeHands } from './handshake.ts';
import { createHealth } from './health.ts';
import { helloOk, stateVersion } from './hello.ts';
import { createHttpHandler } from './http.ts';
import { createIdempotency } from './idempotency.ts';
import { type Bound, createListener, type Opening } from './listener.ts';
import { createMethods } from './methods.ts';
import type { GatewayOptions, GatewaySettings } from './options.ts';
import type { Peer } from './peer.ts';
import { createPresence } from './presence.ts';
import { createPresenceFeed } from './presence-feed.ts';
import { createRuns } from './runs.ts';
import { createSessionEvents } from './session-events.ts';
import { createSockets, deviceView, type Sockets } from './sockets.ts';
import { createSystemEvents } from './system-events.ts';

export type { AuthMode, ControlUiSettings, GatewayControl, GatewayOptions, GatewaySettings, RateLimitSettings } from './options.ts';

export interface Gateway {
  /** Throws `DUR_GATEWAY_NO_AUTH`, `DUR_GATEWAY_IN_USE`, `DUR_GATEWAY_BIND`. */
  listen(): Promise<Bound>;
  /** Sends an event to every socket whose scopes allow it. */
  broadcast(event: string, payload: unknown, options?: Pick<BroadcastOptions, 'scope' | 'dropIfSlow'>): void;
  /** Tells the model once, with the next turn of the main session. */
  announce(text: string): void;
  /** How many connected operators hold the scope. */
  listeners(scope: string): number;
  connections(): number;
  /** Takes over what counts for the next connection. Throws like `listen`, and then nothing changes. */
  configure(settings: AccessSettings): void;
  /** Makes another address ready, beside the present one. Throws like `listen`, and then nothing changes. */
  open(settings: GatewaySettings): Promise<Opening>;
  /**
   * A restart as clients see it, inside the process: says `shutdown` to them and closes them, and the uptime begins anew. Runs go on. `scope`
   * `former`: only those that came in at an address that was left.
   */
  restart(reason: string, scope: 'all' | 'former'): void;
  /** The sockets as extensions see them. */
  readonly sockets: Sockets;
  readonly onBroadcast: PluginRuntime['gateway']['onBroadcast'];
  readonly devices: PluginRuntime['gateway']['devices'];
  /** Says `shutdown` to all, closes them and the port. A second call waits for the first. */
  close(reason?: string, restartExpectedMs?: number): Promise<void>;
}

const SOCKET_OPTIONS = {
  noServer: true,
  maxPayload: LIMITS.maxPayload,
  perMessageDeflate: false,
  clientTracking: false,
  /** How long a socket may take to answer a close, in ms; then it is cut. */
  closeTimeout: 1000,
};

/** One port for sockets and HTTP. Nothing listens before `listen`. */
export function createGateway(options: GatewayOptions): Gateway {
  const extensions = createExtensionMethods(options.source);
  const context = createContext(options, extensions);
  const methods = createMethods(context, extensions);
  const { access, connections, hub, log, settings } = context;
  const sockets = createSockets(connections, hub, log);
  const admission = createAdmission(settings.maxPreauthConnectionsPerAddress);
  const pending = new Set<Connection>();
  let closing: Promise<void> | undefined;
  let tick: NodeJS.Timeout | undefined;

  /** Whether a connection came in at an address that was left since. */
  const formers = new WeakMap<Connection, () => boolean>();
  const listener = createListener({
    handler: createHttpHandler(context, () => closing !== undefined),
    upgrade,
    failed: (error) => log.error('the gateway socket failed', { reason: error.message }),
  });
  const upgrades = new WebSocketServer(SOCKET_OPTIONS);

  const handshake = (connection: Connection, request: Request): ConnectedClient | undefined => {
    try {
      const { deviceId, role, scopes, ...accepted } = shakeHands(context, request, connection);
      const client = connectedClient({ connId: connection.id, ...accepted, deviceId, role, scopes, peer: connection.peer });
      const listed = methods.listed();
      context.presence.connected(client);
      const hello = helloOk(context, client, listed, extensions.events());
      pending.delete(connection);
      connections.add(connection);
      connection.respond(request.id, hello);
      log.debug('client connected', { connId: client.connId, client: client.info.id, mode: client.info.mode, role, scopes: scopes.length });
      sockets.connected(client);
      return client;
    } catch (error) {
      const refusal = error instanceof HandshakeRefusal ? error : undefined;
      log.info('connect refused', { connId: connection.id, ip: connection.peer.ip, reason: errorText(error) });
      connection.fail(request.id, refusal?.body() ?? { code: 'UNAVAILABLE', message: errorText(error) });
      connection.close(refusal?.closeCode ?? 1011, refusal?.message ?? 'handshake failed');
      return undefined;
    }
  };

  const closed = (connection: Connection) => {
    pending.delete(connection);
    if (!connections.delete(connection) || connection.client === undefined) return;
    sockets.disconnected(connection.client);
    if (context.presence.disconnected(connection.client)) context.presenceFeed.announce();
  };

  const open = (socket: WebSocket, raw: Duplex, peer: Peer, leave: () => void, isFormer: () => boolean) => {
    const connection = openConnection({
      socket,
      raw,
      peer,
      wsLog: context.wsLog,
      handshakeMs: settings.handshakeTimeoutMs ?? LIMITS.handshakeMs,
      maxBufferedBytes: settings.maxBufferedBytes ?? LIMITS.maxBufferedBytes,
      handshake: (self, frame) => {
        const client = handshake(self, frame);
        if (client !== undefined) settle();
        return client;
      },
      dispatch: (self, client, frame) => {
        if (frame.method !== 'connect') return methods.dispatch(self, client, frame);
        client.roleRefusals = 0;
        self.fail(frame.id, { code: 'INVALID_REQUEST', message: 'connect is only valid as the first request' });
      },
      failed: (self, error) => log.debug('socket failed', { connId: self.id, reason: error.message }),
      closed: (self) => {
        settle();
        closed(self);
      },
    });
    pending.add(connection);
    formers.set(connection, isFormer);
    const stopMetering = meter(raw, () => connection.close(1009, 'preauth payload too large'));
    function settle() {
      stopMetering();
      leave();
    }
  };

  function upgrade(request: IncomingMessage, raw: Duplex, head: Buffer, isFormer: () => boolean) {
    raw.on('error', () => raw.destroy());
    if (closing !== undefined) return refuseUpgrade(raw, 'Gateway websocket handlers unavailable');
    const peer = access.peerOf(request);
    const leave = admission.enter(peer.ip);
    if (leave === undefined) return refuseUpgrade(raw, 'Too many unauthenticated sockets');
    raw.once('close', leave);
    const accept = () => upgrades.handleUpgrade(request, raw, head, (socket) => open(socket, raw, peer, leave, isFormer));
    if (access.tailscale === undefined) return accept();
    access.tailscale(request).then((verdict) => {
      if (closing !== undefined) return refuseUpgrade(raw, 'Gateway websocket handlers unavailable');
      if (verdict !== undefined) peer.tailscale = verdict;
      accept();
    });
  }

  const beat = () => {
    hub.broadcast('tick', { ts: Date.now() });
    if (hub.hasAudience() && context.health.isStale()) refreshHealth();
  };
  const refreshHealth = () => {
    Promise.resolve(context.health.get({ probe: true })).catch((error) => log.warn('health could not be measured', { reason: errorText(error) }));
  };

  const shutDown = async (reason: string, restartExpectedMs: number | undefined) => {
    clearInterval(tick);
    hub.broadcast('shutdown', { reason, restartExpectedMs: restartExpectedMs ?? null });
    stopFollowing();
    context.runs.close();
    context.presenceFeed.close();
    context.sessionEvents.close();
    const open = [...connections, ...pending];
    const gone = open.map((connection) => new Promise<void>((resolve) => connection.signal.addEventListener('abort', () => resolve())));
    for (const connection of open) connection.close(1012, 'service restart');
    const unbound = listener.close();
    await Promise.all(gone);
    listener.cut();
    await unbound;
    context.devices.close();
  };
  const stopFollowing = context.source.onSwap(refreshHealth);

  return {
    async listen() {
      assertBindable(settings);
      const bound = await listener.listen(settings);
      for (const { message, hint } of findExposures(settings)) log.warn(`${message}. ${hint}`);
      tick = setInterval(beat, context.tickIntervalMs);
      refreshHealth();
      return bound;
    },
    broadcast: (event, payload, broadcastOptions) => hub.broadcast(event, payload, broadcastOptions),
    announce: (text) => context.systemEvents.add(context.sessions.canonicalKey(undefined), text),
    listeners: (scope) => hub.listeners(scope),
    connections: () => connections.size,
    configure: (next) => access.configure(next),
    async open(next) {
      assertBindable(next);
      return await listener.open(next);
    },
    restart(reason, scope) {
      const left = [...connections, ...pending].filter((connection) => scope === 'all' || formers.get(connection)?.() === true);
      // It is there already.
      hub.send(
        left.filter((connection) => connection.client !== undefined),
        'shutdown',
        { reason, restartExpectedMs: 0 },
      );
      for (const connection of left) connection.close(1012, 'service restart');
      context.startedAt = Date.now();
    },
    sockets,
    onBroadcast: (listener) =>
      hub.onBroadcast((event) => {
        try {
          listener(event);
        } catch (error) {
          log.warn('a listener of events failed', { event: event.event, reason: errorText(error) });
        }
      }),
    devices: ({ role } = {}) =>
      context.devices
        .list()
        .filter((device) => role === undefined || device.roles.includes(role))
        .map(deviceView),
    close(reason = 'gateway stopping', restartExpectedMs) {
      closing ??= shutDown(reason, restartExpectedMs);
      return closing;
    },
  };
}

function createContext(options: GatewayOptions, extensions: ExtensionMethods): GatewayContext {
  const { settings } = options;
  const connections = new Set<Connection>();
  const hub = createEventHub(connections, settings.maxBufferedBytes, extensions.event);
  const presence = createPresence({ version: options.version });
  const systemEvents = options.systemEvents ?? createSystemEvents(options.sessions);
  const agent = systemEvents.attach(options.agent);
  const health = createHealth(options, (payload) => hub.broadcast('health', payload, { stateVersion: stateVersion({ presence, health }) }));
  const sessionEvents = createSessionEvents({ ...options, hub });
  return {
    ...options,
    startedAt: Date.now(),
    tickIntervalMs: settings.tickIntervalMs ?? LIMITS.tickIntervalMs,
    connections,
    hub,
    agent,
    presence,
    presenceFeed: createPresenceFeed({ presence, health, hub, connections }),
    systemEvents,
    configFile: createConfigFile(options),
    health,
    access: createAccess(settings),
    devices: createDevices(options.state),
    bootstrap: createBootstrap(options.state),
    idempotency: createIdempotency(),
    runs: createRuns({ agent, hub, sessionEvents }),
    sessionEvents,
  };
}
