import type { GatewayEvent } from '../../sdk/index.ts';
import { EVENTS } from '../../sdk/protocol/generated/tables.ts';
import type { HelloOk } from '../../sdk/protocol/generated/types.ts';
import { ADMIN_SCOPE } from '../../sdk/protocol/scopes.ts';
import { LIMITS, PROTOCOL_VERSION } from '../../sdk/protocol/version.ts';
import type { ConnectedClient } from './connection.ts';
import type { GatewayContext } from './context.ts';
import { agentsOf } from './health.ts';

/** The answer to an accepted handshake. Issues the device's token. */
export function helloOk(context: GatewayContext, client: ConnectedClient, methods: string[], foreign: readonly GatewayEvent[]): HelloOk {
  const { defaultAgentId, main, mainKey } = agentsOf(context);
  const token = client.deviceId === undefined ? undefined : context.devices.issueToken(client.deviceId, client.role, client.scopes);
  const { paths, settings } = context;
  return {
    type: 'hello-ok',
    protocol: PROTOCOL_VERSION,
    server: { version: context.version, connId: client.connId },
    features: { methods, events: [...new Set([...Object.keys(EVENTS), ...foreign.map(({ name }) => name)])] },
    snapshot: {
      presence: context.presence.entries(),
      health: context.health.cached() ?? {},
      stateVersion: stateVersion(context),
      uptimeMs: Date.now() - context.startedAt,
      sessionDefaults: { defaultAgentId, mainKey, mainSessionKey: main, scope: 'per-sender' },
      ...(client.can(ADMIN_SCOPE) ? { configPath: paths.configFile, stateDir: paths.stateDir, authMode: settings.auth.mode } : {}),
    },
    ...(token === undefined
      ? {}
      : { auth: { deviceToken: token.token, role: client.role, scopes: token.scopes, issuedAtMs: token.rotatedAtMs ?? token.createdAtMs } }),
    policy: {
      maxPayload: LIMITS.maxPayload,
      maxBufferedBytes: settings.maxBufferedBytes ?? LIMITS.maxBufferedBytes,
      tickIntervalMs: context.tickIntervalMs,
    },
  };
}

export function stateVersion(context: Pick<GatewayContext, 'presence' | 'health'>): { presence: number; health: number } {
  return { presence: context.presence.version, health: context.health.version };
}
