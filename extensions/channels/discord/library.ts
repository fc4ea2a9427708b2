import { createRequire } from 'node:module';
import type { CreateWebSocketManagerOptions, DefaultRestOptions, GatewayDispatchPayload, REST } from 'discord.js';

/** The connection to the gateway: identifying, heartbeats, reconnecting, resuming. */
export interface GatewayManager {
  connect(): Promise<void>;
  destroy(options: { code: number; reason: string }): Promise<void>;
  on<Name extends keyof GatewayEvents>(event: Name, listener: (told: GatewayEvents[Name] & { shardId: number }) => void): unknown;
}

export interface GatewayEvents {
  hello: object;
  ready: object;
  resumed: object;
  heartbeat: object;
  closed: { code: number };
  error: { error: Error };
  dispatch: { data: GatewayDispatchPayload };
}

interface RestModule {
  REST: typeof REST;
  DefaultRestOptions: typeof DefaultRestOptions;
}

interface GatewayModule {
  WebSocketManager: new (options: CreateWebSocketManagerOptions) => GatewayManager;
}

/** The two halves of discord.js that a bot without its cache needs, a third of its load time. Loaded when an account needs them. */
const load = createRequire(import.meta.url);
export const loadRest = (): RestModule => load('@discordjs/rest') as RestModule;
export const loadGateway = (): GatewayModule => load('@discordjs/ws') as GatewayModule;
