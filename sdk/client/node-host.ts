import { durarError, errorCode, errorText } from '../errors.ts';
import { createGatewayClient, type GatewayClient, type GatewayClientOptions } from './client.ts';
import { isFinalRefusal } from './failure.ts';
import { createNodeCommands, NODE_COMMANDS, type NodeCommandsOptions, NodeError } from './node-commands.ts';
import { RepeatedCalls } from './repeated-calls.ts';

export interface NodeHostOptions
  extends Pick<GatewayClientOptions, 'url' | 'socketFactory' | 'identity' | 'tokens' | 'auth' | 'isTrusted'>,
    Pick<NodeCommandsOptions, 'approvals' | 'env'> {
  version: string;
  displayName?: string;
  instanceId?: string;
  onState?(state: NodeState): void;
  /** First and longest pause between attempts; default 1 s doubling to 30 s. */
  backoffMs?: { first: number; longest: number };
}

export type NodeState =
  | { state: 'connected'; url: string; connId: string }
  /** An operator has to approve the device; it is tried again. */
  | { state: 'pairing'; requestId?: string }
  | { state: 'disconnected'; reason: string; retryInMs: number }
  /** An answer did not reach the gateway. */
  | { state: 'unanswered'; reason: string };

export interface NodeHost {
  /** Stays connected until `stop`. Throws when the gateway refuses it for a reason that only its operator can change. */
  run(): Promise<void>;
  /** Kills what runs and closes the connection. */
  stop(): void;
}

interface InvokeRequest {
  id: string;
  nodeId: string;
  command: string;
  paramsJSON?: string | null;
  idempotencyKey?: string;
}

/** The way to the gateway is not the one that was asked for. */
const UNSAFE: readonly unknown[] = ['DUR_GATEWAY_TLS_PIN', 'DUR_GATEWAY_PLAINTEXT'];

const BACKOFF = { first: 1000, longest: 30_000 };

/** A node without a screen: runs programs of this machine for a gateway, under the policy of this machine. */
export function createNodeHost(options: NodeHostOptions): NodeHost {
  const stopping = new AbortController();
  const { signal } = stopping;
  const carryOut = createNodeCommands({ approvals: options.approvals, env: options.env, signal });
  // A gateway that comes back may ask again for what is done.
  const calls = new RepeatedCalls<object>();
  const backoff = options.backoffMs ?? BACKOFF;
  let client: GatewayClient | undefined;

  const answer = async ({ command, paramsJSON, idempotencyKey }: InvokeRequest): Promise<object> => {
    const once = () => outcome(async () => carryOut(command, paramsOf(paramsJSON)));
    if (command !== 'system.run' || idempotencyKey === undefined) return once();
    return calls.once(JSON.stringify([idempotencyKey, paramsJSON ?? null]), (sent) => {
      sent();
      return once();
    });
  };

  const onInvoke = (own: GatewayClient, request: InvokeRequest) => {
    answer(request)
      .then((result) => own.request('node.invoke.result', { id: request.id, nodeId: request.nodeId, ...result }))
      .catch((error: unknown) => {
        // The connection is gone; the gateway has told its caller so.
        if (!signal.aborted && errorCode(error) !== 'DUR_GATEWAY_CLOSED') options.onState?.({ state: 'unanswered', reason: errorText(error) });
      });
  };

  /** One connection, from its beginning to its end. Resolves to why it ended. */
  const session = async (connected: () => void): Promise<string> => {
    const ended = Promise.withResolvers<string>();
    const own = createGatewayClient({
      url: options.url,
      socketFactory: options.socketFactory,
      client: {
        id: 'node-host',
        version: options.version,
        platform: process.platform,
        mode: 'node',
        ...(options.displayName === undefined ? {} : { displayName: options.displayName }),
        ...(options.instanceId === undefined ? {} : { instanceId: options.instanceId }),
      },
      role: 'node',
      scopes: [],
      caps: ['system'],
      commands: NODE_COMMANDS,
      ...(options.identity === undefined ? {} : { identity: options.identity }),
      ...(options.tokens === undefined ? {} : { tokens: options.tokens }),
      ...(options.auth === undefined ? {} : { auth: options.auth }),
      ...(options.isTrusted === undefined ? {} : { isTrusted: options.isTrusted }),
      onDisconnected: ({ code, reason }) => ended.resolve(reason === '' ? `closed with ${code}` : reason),
    });
    own.on('node.invoke.request', (request) => onInvoke(own, request as InvokeRequest));
    client = own;
    try {
      const hello = await own.connect();
      connected();
      options.onState?.({ state: 'connected', url: options.url, connId: hello.server.connId });
      return await ended.promise;
    } finally {
      own.close();
    }
  };

  return {
    async run() {
      let delay = backoff.first;
      while (!signal.aborted) {
        let reason: string;
        try {
          reason = await session(() => {
            delay = backoff.first;
          });
        } catch (error) {
          if (signal.aborted) return;
          const pairing = pairingRequest(error);
          if (pairing === undefined && (isFinalRefusal(error) || UNSAFE.includes(errorCode(error)))) throw error;
          if (pairing !== undefined) options.onState?.({ state: 'pairing', ...pairing });
          reason = errorText(error);
        }
        if (signal.aborted) return;
        options.onState?.({ state: 'disconnected', reason, retryInMs: delay });
        await pause(delay, signal);
        delay = Math.min(delay * 2, backoff.longest);
      }
    },
    stop() {
      stopping.abort(durarError('DUR_GATEWAY_CLOSED', { code: 1000, reason: 'the node stops' }));
      client?.close();
    },
  };
}

/** The answer to an invocation. What is thrown is an answer too. */
async function outcome(run: () => Promise<unknown>): Promise<object> {
  try {
    return { ok: true, payloadJSON: JSON.stringify(await run()) };
  } catch (error) {
    return { ok: false, error: { code: error instanceof NodeError ? error.code : 'UNAVAILABLE', message: errorText(error) } };
  }
}

function paramsOf(text: string | null | undefined): Record<string, unknown> {
  if (text === null || text === undefined) return {};
  try {
    const params: unknown = JSON.parse(text);
    if (typeof params === 'object' && params !== null && !Array.isArray(params)) return params as Record<string, unknown>;
  } catch (error) {
    throw new NodeError('INVALID_REQUEST', `paramsJSON is not JSON: ${errorText(error)}`, error);
  }
  throw new NodeError('INVALID_REQUEST', 'the params are not an object');
}

function pairingRequest(error: unknown): { requestId?: string } | undefined {
  const details = (error as { details?: { details?: { code?: string; requestId?: string } } }).details?.details;
  if (details?.code !== 'PAIRING_REQUIRED') return undefined;
  return details.requestId === undefined ? {} : { requestId: details.requestId };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
