import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createGatewayClient, type DeviceIdentity, type GatewayClient, type TokenStore } from '../../sdk/client/client.ts';
import { createTokenStore, isTrustedUrl, loadIdentity, nodeSocketFactory } from '../../sdk/client/node.ts';
import { DurarError, durarError, type ErrorOwner, errorCode } from '../../sdk/errors.ts';
import { ADMIN_SCOPE, OPERATOR_SCOPES, READ_SCOPE, WRITE_SCOPE } from '../../sdk/protocol/scopes.ts';
import type { CommandContext } from './command.ts';
import { findTarget, type GatewayTarget } from './gateway-target.ts';
import { readHostVersion } from './version.ts';

/** A connection of this command to a gateway. */
export interface Rpc {
  readonly url: string;
  /** Of the gateway. */
  readonly version: string;
  /** As which device this command is known there. */
  readonly deviceId: string;
  /** What the gateway says it offers. */
  readonly methods: ReadonlySet<string>;
  /** Throws the host's own coded error where the gateway sent one, else `DUR_GATEWAY_RPC`, `DUR_GATEWAY_TIMEOUT`, `DUR_GATEWAY_CLOSED`. */
  call(method: string, params: Record<string, unknown>, options?: { expectFinal?: boolean }): Promise<unknown>;
  onEvent(listener: (event: string, payload: unknown) => void): void;
  /** Resolves when the gateway ended the connection. */
  readonly closed: Promise<DurarError>;
  close(): void;
}

export interface RpcOptions {
  /** False: nobody at this end could answer an approval, so the gateway must not wait for this connection. */
  approves?: boolean;
  /** A secret of the configuration that cannot be had does not stop it: what this device was given before may let it in. */
  readOnly?: boolean;
}

const TIMEOUT_MS = 10_000;
/** The longest delay that a timer takes; a run ends by its own limit. */
const FOREVER_MS = 2_147_483_647;

/** Connects to the gateway of this profile, or to the one that the flags name. Throws `DUR_GATEWAY_UNREACHABLE`, `DUR_GATEWAY_REFUSED`, and what `findTarget` throws. */
export async function openRpc(context: CommandContext, { approves = true, readOnly = false }: RpcOptions = {}): Promise<Rpc> {
  const target = await findTarget(context, { readOnly });
  const { paths, env } = context;
  const isBlank = target.token === undefined && target.password === undefined && !env.Durar_GATEWAY_URL && !existsSync(paths.stateDir);
  // Without a state folder this profile has no gateway: what listens there is another's, and no key is made to knock at its door.
  if (isBlank) throw durarError('DUR_GATEWAY_UNREACHABLE', { url: target.url });
  const device = createDevice(paths.stateDir);
  // A device is granted the scopes of its first connection for good, so that one asks for all of them.
  const isGranted = () => device.exists() && device.tokens.load('operator')?.scopes.includes(ADMIN_SCOPE) === true;
  if (!approves && !isGranted()) (await connect(context, target, device, OPERATOR_SCOPES)).close();
  return connect(context, target, device, approves ? OPERATOR_SCOPES : [READ_SCOPE, WRITE_SCOPE]);
}

async function connect({ options, env }: CommandContext, target: GatewayTarget, device: Device, scopes: readonly string[]): Promise<Rpc> {
  const { url, token, password, tlsFingerprint } = target;
  const listeners = new Set<(event: string, payload: unknown) => void>();
  const closed = Promise.withResolvers<DurarError>();
  const timeoutMs = (options.timeout as number | undefined) ?? TIMEOUT_MS;
  const client = createGatewayClient({
    url,
    socketFactory: nodeSocketFactory({
      allowPlaintext: target.local || env.Durar_ALLOW_INSECURE_PRIVATE_WS === '1',
      ...(tlsFingerprint === undefined ? {} : { tlsFingerprint }),
    }),
    client: { id: 'cli', version: readHostVersion(), platform: process.platform, mode: 'cli' },
    auth: { ...(token === undefined ? {} : { token }), ...(password === undefined ? {} : { password }) },
    get identity() {
      return device.identity;
    },
    get tokens() {
      return device.tokens;
    },
    isTrusted: target.local || tlsFingerprint !== undefined || (isTrustedUrl(url) && url.startsWith('ws:')),
    scopes,
    caps: ['tool-events'],
    connectTimeoutMs: timeoutMs,
    requestTimeoutMs: timeoutMs,
    onEvent: ({ event, payload }) => {
      for (const listener of listeners) listener(event, payload);
    },
    onDisconnected: (close) => closed.resolve(durarError('DUR_GATEWAY_CLOSED', close)),
  });
  const hello = await client.connect();
  return {
    url,
    version: hello.server.version,
    deviceId: device.identity.deviceId,
    methods: new Set(hello.features.methods),
    call: (method, params, callOptions) => call(client, method, params, callOptions),
    onEvent: (listener) => void listeners.add(listener),
    closed: closed.promise,
    close: () => client.close(),
  };
}

async function call(
  client: GatewayClient,
  method: string,
  params: Record<string, unknown>,
  { expectFinal = false }: { expectFinal?: boolean } = {},
): Promise<unknown> {
  try {
    return await client.request(method, params, expectFinal ? { expectFinal, timeoutMs: FOREVER_MS } : {});
  } catch (error) {
    throw hostError(error) ?? error;
  }
}

/** The error that the gateway's host reported, as if it had been thrown here. */
function hostError(error: unknown): DurarError | undefined {
  if (errorCode(error) !== 'DUR_GATEWAY_RPC') return undefined;
  const { message, details } = error as DurarError & { details?: { details?: { code?: unknown; hint?: string; owner?: ErrorOwner } } };
  const { code, hint = '', owner = {} } = details?.details ?? {};
  return typeof code === 'string' && code.startsWith('DUR_') ? new DurarError(code, message, { hint, owner }) : undefined;
}

interface Device {
  exists(): boolean;
  readonly identity: DeviceIdentity;
  readonly tokens: TokenStore;
}

/** The key of this installation. It is made when a gateway first asks for it, so that a command without a gateway leaves no trace. */
function createDevice(stateDir: string): Device {
  let made: Pick<Device, 'identity' | 'tokens'> | undefined;
  const make = () => {
    if (made !== undefined) return made;
    const identity = loadIdentity({ stateDir });
    made = { identity, tokens: createTokenStore({ stateDir, deviceId: identity.deviceId }) };
    return made;
  };
  return {
    exists: () => existsSync(join(stateDir, 'identity', 'device.json')),
    get identity() {
      return make().identity;
    },
    get tokens() {
      return make().tokens;
    },
  };
}
