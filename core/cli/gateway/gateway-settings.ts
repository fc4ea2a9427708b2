import type { Environment, Paths } from '../../config/paths.ts';
import type { Config } from '../../config/schema.ts';
import type { AccessSettings } from '../../gateway/access.ts';
import type { GatewaySettings } from '../../gateway/server.ts';
import { loadTls } from '../../gateway/tls.ts';
import { bindAddress } from './bind-address.ts';
import type { GatewayFlags } from './boot-report.ts';
import { resolveGatewayAuth } from './gateway-auth.ts';

export interface GatewaySettingsOptions {
  /** With secrets resolved. */
  config: Config;
  env: Environment;
  flags: GatewayFlags;
  paths: Paths;
}

/** What counts for the next connection: flags, then environment, then configuration. Throws what is wrong with it. */
async function resolveAccess({ config, env, flags, paths }: GatewaySettingsOptions): Promise<AccessSettings> {
  const { trustedProxies, allowRealIpFallback, controlUi } = config.gateway;
  return { auth: await resolveGatewayAuth({ config, env, flags, stateDbDir: paths.stateDbDir }), trustedProxies, allowRealIpFallback, controlUi };
}

/** The same, with what counts for the listener. */
export async function resolveGatewaySettings(options: GatewaySettingsOptions): Promise<GatewaySettings> {
  const { env, flags, paths } = options;
  const { gateway } = options.config;
  const handshakeTimeoutMs = positive(env.Durar_HANDSHAKE_TIMEOUT_MS);
  const maxPreauthConnectionsPerAddress = positive(env.Durar_MAX_PREAUTH_CONNECTIONS_PER_IP);
  return {
    host: bindAddress(flags.bind ?? gateway.bind, gateway.customBindHost),
    port: flags.port ?? portOf(env.Durar_GATEWAY_PORT) ?? gateway.port,
    ...(await resolveAccess(options)),
    ...(gateway.tls.enabled ? { tls: await loadTls(gateway.tls, paths) } : {}),
    ...(handshakeTimeoutMs === undefined ? {} : { handshakeTimeoutMs }),
    ...(maxPreauthConnectionsPerAddress === undefined ? {} : { maxPreauthConnectionsPerAddress }),
  };
}

function portOf(text: string | undefined): number | undefined {
  const port = Number(text);
  return text === undefined || text.trim() === '' || !Number.isInteger(port) || port < 0 || port > 65_535 ? undefined : port;
}

function positive(text: string | undefined): number | undefined {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : undefined;
}
