import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { durarError, errorCode } from '../../../sdk/errors.ts';
import { writePrivateFile } from '../../../sdk/private-file.ts';
import type { Config } from '../../config/schema.ts';
import type { GatewaySettings } from '../../gateway/server.ts';

export interface GatewayAuthOptions {
  /** With secrets resolved. */
  config: Config;
  env: Readonly<Record<string, string | undefined>>;
  flags: { auth?: string; token?: string; password?: string };
  stateDbDir: string;
}

/**
 * Flag, then environment, then configuration; a gateway without any of them makes a token and keeps it in the host's own facts. Throws
 * `DUR_GATEWAY_AUTH_AMBIGUOUS` when the configuration has both and no mode.
 */
export async function resolveGatewayAuth({ config, env, flags, stateDbDir }: GatewayAuthOptions): Promise<GatewaySettings['auth']> {
  const { auth, tailscale } = config.gateway;
  const { rateLimit } = auth;
  const token = flags.token ?? env.Durar_GATEWAY_TOKEN ?? text(auth.token);
  const password = flags.password ?? env.Durar_GATEWAY_PASSWORD ?? text(auth.password);
  const mode = flags.auth ?? auth.mode ?? (flags.token !== undefined ? 'token' : flags.password !== undefined ? 'password' : undefined);
  if (mode === undefined && text(auth.token) !== undefined && text(auth.password) !== undefined) throw durarError('DUR_GATEWAY_AUTH_AMBIGUOUS');
  switch (mode ?? (password !== undefined && token === undefined ? 'password' : 'token')) {
    case 'none':
      return { mode: 'none' };
    case 'trusted-proxy':
      return { mode: 'trusted-proxy', rateLimit, ...(auth.trustedProxy === undefined ? {} : { trustedProxy: auth.trustedProxy }) };
    case 'password':
      if (password === undefined)
        throw durarError(
          'DUR_CONFIG_INVALID',
          { path: 'gateway.auth.password', reason: 'is not set, and the mode is password' },
          { hint: 'Pass --password or --password-file, set Durar_GATEWAY_PASSWORD, or set it in the configuration.' },
        );
      return { mode: 'password', password, rateLimit, allowTailscale: auth.allowTailscale === true };
    case 'token':
      return { mode: 'token', token: token ?? (await ownToken(stateDbDir)), rateLimit, allowTailscale: auth.allowTailscale ?? tailscale.mode === 'serve' };
    default:
      throw durarError(
        'DUR_CONFIG_INVALID',
        { path: 'gateway.auth.mode', reason: `is '${mode}', which this version does not serve` },
        { hint: 'Use token, password, trusted-proxy or none.' },
      );
  }
}

/** The token that this gateway made for itself, if it ever did; what clients on the same machine use. */
export async function readOwnToken(stateDbDir: string): Promise<string | undefined> {
  try {
    const { token } = JSON.parse(await readFile(tokenFile(stateDbDir), 'utf8')) as { token?: unknown };
    return text(token);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function ownToken(stateDbDir: string): Promise<string> {
  const known = await readOwnToken(stateDbDir);
  if (known !== undefined) return known;
  const token = randomBytes(32).toString('base64url');
  await writePrivateFile(tokenFile(stateDbDir), `${JSON.stringify({ version: 1, token }, null, 2)}\n`);
  return token;
}

function tokenFile(stateDbDir: string): string {
  return join(stateDbDir, 'gateway-auth.json');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
