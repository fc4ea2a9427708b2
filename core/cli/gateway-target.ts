import { readFile } from 'node:fs/promises';
import { durarError, errorCode } from '../../sdk/errors.ts';
import { isRecord } from '../config/config-path.ts';
import { loadConfig } from '../config/load.ts';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { type TlsSettings, tlsFingerprint, tlsPaths } from '../gateway/tls.ts';
import type { CommandContext } from './command.ts';
import { bindAddress } from './gateway/bind-address.ts';
import { readGatewayAddress } from './gateway/gateway-address.ts';
import { readOwnToken } from './gateway/gateway-auth.ts';

/** Which gateway a command talks to, and what it shows there. */
export interface GatewayTarget {
  url: string;
  token?: string;
  password?: string;
  /** The only certificate that is accepted. */
  tlsFingerprint?: string;
  /** The gateway of this machine, whatever its address: nothing leaves the machine on the way to it. */
  local: boolean;
}

interface TargetOptions {
  url?: string;
  tlsFingerprint?: string;
  token?: string;
  password?: string;
}

/**
 * Finds the gateway (reference: security, section 2). `--url` takes explicit credentials only and `Durar_GATEWAY_URL` those of the environment, so
 * that no stored secret goes to an address that somebody else chose. Otherwise flag, environment, configuration, generated token. Throws
 * `DUR_CLI_CREDENTIALS`, `DUR_SECRET_UNRESOLVED`; the latter not with `readOnly`, which goes on without.
 */
export async function findTarget(context: CommandContext, { readOnly = false }: { readOnly?: boolean } = {}): Promise<GatewayTarget> {
  const { tlsFingerprint } = context.options as TargetOptions;
  const target = await findGateway(context, readOnly);
  return tlsFingerprint === undefined ? target : { ...target, tlsFingerprint };
}

async function findGateway(context: CommandContext, readOnly: boolean): Promise<GatewayTarget> {
  const { options, env, paths } = context;
  const flags = options as TargetOptions;
  if (flags.url !== undefined) {
    if (flags.token === undefined && flags.password === undefined) throw durarError('DUR_CLI_CREDENTIALS');
    return credentials({ url: socketUrl(flags.url) }, flags.token, flags.password);
  }
  const fromEnv = { token: env.Durar_GATEWAY_TOKEN || undefined, password: env.Durar_GATEWAY_PASSWORD || undefined };
  const token = flags.token ?? fromEnv.token;
  const password = flags.password ?? fromEnv.password;
  if (env.Durar_GATEWAY_URL) return credentials({ url: socketUrl(env.Durar_GATEWAY_URL) }, token, password);

  const { config, env: environment } = await loadConfig({ paths, env });
  const { auth, remote, mode } = config.gateway;
  let isMissing = false;
  const resolve = async (path: string, value: unknown) => {
    try {
      return await resolveSecret(context, path, value, environment);
    } catch (error) {
      if (!readOnly) throw error;
      isMissing = true;
      return undefined;
    }
  };
  if (mode === 'remote' && remote?.url !== undefined) {
    return credentials(
      { url: socketUrl(remote.url), ...pin(remote.tlsFingerprint) },
      flags.token ?? (await resolve('gateway.remote.token', remote.token)) ?? fromEnv.token ?? (await resolve('gateway.auth.token', auth.token)),
      flags.password ??
        fromEnv.password ??
        (await resolve('gateway.remote.password', remote.password)) ??
        (await resolve('gateway.auth.password', auth.password)),
    );
  }
  const here = { local: true, ...((await addressInUse(env, paths)) ?? (await configuredAddress(config, env, paths))) };
  // Nothing is asked for, or nothing that a command could show.
  if (auth.mode === 'none' || auth.mode === 'trusted-proxy') return credentials(here, token, password);
  const local = {
    token: token ?? (auth.mode === 'password' ? undefined : await resolve('gateway.auth.token', auth.token)),
    password: password ?? (auth.mode === 'token' ? undefined : await resolve('gateway.auth.password', auth.password)),
  };
  // Another credential must not stand in for one that is configured.
  if (isMissing) return credentials(here, token, password);
  if (local.token === undefined && local.password === undefined) {
    return credentials(here, (await readOwnToken(paths.stateDbDir)) ?? (await resolve('gateway.remote.token', remote?.token)), undefined);
  }
  return credentials(here, local.token, local.password);
}

/** Where the gateway of this state folder says that it listens; its flags may differ from the configuration. A port in the environment comes first. */
async function addressInUse(env: NodeJS.ProcessEnv, paths: Paths): Promise<Pick<GatewayTarget, 'url' | 'tlsFingerprint'> | undefined> {
  if (Number(env.Durar_GATEWAY_PORT)) return undefined;
  const known = await readGatewayAddress(paths.stateDbDir);
  if (known === undefined) return undefined;
  const url = new URL(known.url);
  url.hostname = reachable(url.hostname);
  return { url: url.href.replace(/\/$/, ''), ...pin(known.tlsFingerprint) };
}

async function configuredAddress({ gateway }: Config, env: NodeJS.ProcessEnv, paths: Paths): Promise<Pick<GatewayTarget, 'url' | 'tlsFingerprint'>> {
  const { bind, customBindHost, tls } = gateway;
  const port = Number(env.Durar_GATEWAY_PORT) || gateway.port;
  const host = reachable(bindAddress(bind, customBindHost));
  const url = `${tls.enabled ? 'wss' : 'ws'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return { url, ...(tls.enabled ? pin(await ownFingerprint(tls, paths)) : {}) };
}

/** An address of this machine by which a listener is met. */
function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' || host === '[::]' ? '127.0.0.1' : host;
}

function credentials(
  target: Pick<GatewayTarget, 'url' | 'tlsFingerprint'> & { local?: boolean },
  token: string | undefined,
  password: string | undefined,
): GatewayTarget {
  return { local: false, ...target, ...(token === undefined ? {} : { token }), ...(password === undefined ? {} : { password }) };
}

function pin(tlsFingerprint: string | undefined): Pick<GatewayTarget, 'tlsFingerprint'> {
  return tlsFingerprint === undefined ? {} : { tlsFingerprint };
}

/** Of the certificate that the gateway of this machine shows; undefined before it has one. */
async function ownFingerprint(tls: TlsSettings, paths: Paths): Promise<string | undefined> {
  try {
    return tlsFingerprint(await readFile(tlsPaths(tls, paths).cert, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Throws `DUR_CLI_USAGE`. */
export function socketUrl(text: string): string {
  const url = URL.parse(text.replace(/^http(s?):/i, 'ws$1:'));
  if (url?.protocol === 'ws:' || url?.protocol === 'wss:') return url.href.replace(/\/$/, '');
  throw durarError('DUR_CLI_USAGE', { reason: `'${text}' is not the address of a gateway` }, { hint: 'Write it as ws://host:port or wss://host:port.' });
}

/** A plain text, or what a template or reference stands for. Throws `DUR_SECRET_UNRESOLVED`. */
async function resolveSecret(
  context: CommandContext,
  path: string,
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  if (value === undefined || value === '') return undefined;
  const name = envName(value);
  if (name === undefined && typeof value === 'string') return value;
  const inEnv = name === undefined ? undefined : env[name];
  if (inEnv) return inEnv;
  const hint = { hint: 'Pass --token or --password, or set Durar_GATEWAY_TOKEN.' };
  if (name !== undefined) throw durarError('DUR_SECRET_UNRESOLVED', { path, reason: `the environment variable ${name} is not set` }, hint);
  const [{ resolveHere }, { readOutlook }, { isSecretRef, keyOf }] = await Promise.all([
    import('./secrets/local-sources.ts'),
    import('./planning.ts'),
    import('../secrets/activate.ts'),
  ]);
  if (!isSecretRef(value)) return undefined;
  const { values, problems } = await resolveHere(context, await readOutlook(context), [value]);
  const problem = problems.get(keyOf(value));
  if (problem !== undefined) throw problem(path.split('.'));
  return values.get(keyOf(value));
}

function envName(value: unknown): string | undefined {
  if (typeof value === 'string') return /^\$\{(\w+)\}$/.exec(value)?.[1];
  return isRecord(value) && value.source === 'env' && typeof value.id === 'string' ? value.id : undefined;
}
