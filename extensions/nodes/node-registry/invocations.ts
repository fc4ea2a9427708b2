import type { GatewayConnection, GatewayTarget } from 'Durar/plugin-sdk/core';
import { randomUUID } from 'node:crypto';
import { nodeIdOf } from './pairing.ts';
import { invalid, unavailable } from './refusal.ts';

export interface Invocation {
  command: string;
  paramsJSON: string | null;
  timeoutMs?: number;
  idempotencyKey: string;
}

export interface NodeAnswer {
  ok: boolean;
  payload?: unknown;
  payloadJSON?: unknown;
  error?: { code?: string | null; message?: string | null } | null;
}

export interface NodeResult {
  payload: unknown;
  payloadJSON: string | null;
}

/** The node said that it failed, or did not answer in time. */
export interface NodeFailure {
  code: string;
  message: string;
}

interface Waiting {
  nodeId: string;
  connId: string;
  command: string;
  resolve(answer: NodeAnswer): void;
  reject(error: Error): void;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** So many commands wait for an answer at the same time. */
const MAX_WAITING = 1000;
/** The longest delay of a timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Commands on their way: sent to one socket, answered by it, ended by its end or by time. */
export class Invocations {
  readonly #send: (target: GatewayTarget, event: string, payload: unknown) => number;
  readonly #waiting = new Map<string, Waiting>();

  constructor(send: (target: GatewayTarget, event: string, payload: unknown) => number) {
    this.#send = send;
  }

  /** Throws when too many commands wait already; the caller may try again. */
  assertRoom(): void {
    if (this.#waiting.size >= MAX_WAITING) throw unavailable('too many commands wait for their nodes', { code: 'NODES_BUSY' }, true);
  }

  async invoke(connection: GatewayConnection, { command, paramsJSON, timeoutMs, idempotencyKey }: Invocation): Promise<NodeResult | NodeFailure> {
    const id = randomUUID();
    const nodeId = nodeIdOf(connection);
    const { connId } = connection;
    const answered = new Promise<NodeAnswer>((resolve, reject) => this.#waiting.set(id, { nodeId, connId, command, resolve, reject }));
    const limit = Promise.withResolvers<NodeAnswer>();
    const timer = setTimeout(
      () => limit.resolve({ ok: false, error: { code: 'TIMEOUT', message: 'node invoke timed out' } }),
      Math.min(timeoutMs ?? DEFAULT_TIMEOUT_MS, MAX_TIMER_MS),
    );
    try {
      const request = { id, nodeId, command, paramsJSON, ...(timeoutMs === undefined ? {} : { timeoutMs }), idempotencyKey };
      if (this.#send({ connId }, 'node.invoke.request', request) === 0) throw unavailable('node not connected', { code: 'NOT_CONNECTED' });
      return resultOf(await Promise.race([answered, limit.promise]));
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** False: nobody waits for it any more. Throws when it is another node's. */
  settle(nodeId: string, id: string, answer: NodeAnswer): boolean {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return false;
    if (waiting.nodeId !== nodeId) throw invalid('nodeId mismatch');
    this.#waiting.delete(id);
    waiting.resolve(answer);
    return true;
  }

  /** Its socket is gone, so nothing that it was asked will be answered. */
  disconnected(connId: string): void {
    for (const [id, waiting] of this.#waiting) if (waiting.connId === connId) this.#fail(id, waiting, `node disconnected (${waiting.command})`);
  }

  close(): void {
    for (const [id, waiting] of this.#waiting) this.#fail(id, waiting, `the node registry stopped (${waiting.command})`);
  }

  #fail(id: string, { command, reject }: Waiting, message: string): void {
    this.#waiting.delete(id);
    reject(unavailable(message, { code: 'NODE_DISCONNECTED', command }));
  }
}

export function isFailure(result: NodeResult | NodeFailure): result is NodeFailure {
  return 'code' in result;
}

function resultOf({ ok, payload, payloadJSON, error }: NodeAnswer): NodeResult | NodeFailure {
  if (!ok) return { code: error?.code || 'UNAVAILABLE', message: error?.message || 'node invoke failed' };
  return typeof payloadJSON === 'string' ? { payload: parse(payloadJSON), payloadJSON } : { payload: payload ?? null, payloadJSON: null };
}

/** The value of a node's text; one that is not JSON is passed on as it came. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { payloadJSON: text };
  }
}
