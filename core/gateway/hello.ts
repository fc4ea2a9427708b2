import type { GatewayEvent } from '../../sdk/index.ts';
import { EVENTS } from '../../sdk/protocol/generated/tables.ts';
import type { HelloOk } from '../../sdk/protocol/generated/types.ts';
import { ADMIN_SCOPE } from '../../sdk/protocol/scopes.ts';
import { LIMITS, PROTOCOL_VERSION } from '../../sdk/protocol/version.ts';
import { BOOTSTRAP_ROLES, BOOTSTRAP_SCOPES } from './bootstrap.ts';
import type { ConnectedClient } from './connection.ts';
import type { GatewayContext } from './context.ts';
import { covers, type DeviceToken } from './device-record.ts';
import { agentsOf } from './health.ts';

/** The answer to an accepted handshake. Issues the device's token. */
export function helloOk(context: GatewayContext, client: ConnectedClient, methods: string[], foreign: readonly GatewayEvent[]): HelloOk {
  const { defaultAgentId, main, mainKey } = agentsOf(context);
  const { paths } = context;
  const { settings } = context.access;
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
    ...grants(context, client),
    policy: {
      maxPayload: LIMITS.maxPayload,
      maxBufferedBytes: settings.maxBufferedBytes ?? LIMITS.maxBufferedBytes,
      tickIntervalMs: context.tickIntervalMs,
    },
  };
}

/** The device's token; after a bootstrap also those of the other roles that the setup code covers. None for a device that nobody approved. */
function grants({ devices }: GatewayContext, { deviceId, role, scopes, method }: ConnectedClient): Pick<HelloOk, 'auth'> {
  if (deviceId === undefined) return {};
  const granted = devices.issueToken(deviceId, role, scopes);
  if (granted === undefined) return {};
  if (method !== 'bootstrap-token') return { auth: grantOf(granted) };
  const others = BOOTSTRAP_ROLES.filter((other) => other !== role).flatMap((other) => {
    const token = devices.issueToken(deviceId, other, []);
    return token !== undefined && covers(other, BOOTSTRAP_SCOPES, token.scopes) ? [grantOf(token)] : [];
  });
  return { auth: { ...grantOf(granted), ...(others.length === 0 ? {} : { deviceTokens: others }) } };
}

function grantOf({ token, role, scopes, rotatedAtMs, createdAtMs }: DeviceToken) {
  return { deviceToken: token, role, scopes, issuedAtMs: rotatedAtMs ?? createdAtMs };
}

export function stateVersion(context: Pick<GatewayContext, 'presence' | 'health'>): { presence: number; health: number } {
  return { presence: context.presence.version, health: context.health.version };
}
