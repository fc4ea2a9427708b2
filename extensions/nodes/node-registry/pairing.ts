import { type GatewayConnection, type GatewayDevice, hasScope, type PluginRuntime } from 'Durar/plugin-sdk/core';
import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { approvalScope } from './command-policy.ts';
import { invalid } from './refusal.ts';

/** What a node says of itself. */
export interface NodeDescription {
  nodeId: string;
  displayName?: string;
  platform?: string;
  version?: string;
  coreVersion?: string;
  uiVersion?: string;
  deviceFamily?: string;
  modelIdentifier?: string;
  caps?: readonly string[];
  commands?: readonly string[];
  permissions?: Readonly<Record<string, boolean>>;
  remoteIp?: string;
}

export interface PairingRequest extends NodeDescription {
  requestId: string;
  silent: boolean;
  /** epoch ms */
  ts: number;
}

export interface PairedNode extends NodeDescription {
  token: string;
  /** Given by an operator; goes before the name that the node gives itself. */
  label?: string;
  createdAtMs: number;
  approvedAtMs: number;
  lastConnectedAtMs?: number;
}

const KEY = 'paired';
const PENDING_MS = 300_000;
const MAX_PENDING = 200;

/** Which nodes are paired, with which commands, and which wait for an operator. Paired ones survive a restart. */
export class Pairing {
  readonly #state: PluginRuntime['state'];
  readonly #announce: (event: string, payload: object) => void;
  readonly #devices: () => ReadonlyArray<Pick<GatewayDevice, 'deviceId' | 'createdAtMs'>>;
  readonly #pending = new Map<string, PairingRequest>();
  #writing: Promise<unknown> = Promise.resolve();

  constructor(
    state: PluginRuntime['state'],
    announce: (event: string, payload: object) => void,
    devices: () => ReadonlyArray<Pick<GatewayDevice, 'deviceId' | 'createdAtMs'>>,
  ) {
    this.#state = state;
    this.#announce = announce;
    this.#devices = devices;
  }

  /** A device that was removed and came back is not paired as a node any more. */
  async paired(): Promise<Record<string, PairedNode>> {
    const stored = ((await this.#state.get(KEY)) ?? {}) as Record<string, PairedNode>;
    const since = new Map(this.#devices().map(({ deviceId, createdAtMs }) => [deviceId, createdAtMs]));
    return Object.fromEntries(Object.entries(stored).filter(([nodeId, { approvedAtMs }]) => (since.get(nodeId) ?? 0) <= approvedAtMs));
  }

  pending(): PairingRequest[] {
    const oldest = Date.now() - PENDING_MS;
    for (const [id, { ts }] of this.#pending) if (ts < oldest || this.#pending.size > MAX_PENDING) this.#pending.delete(id);
    return [...this.#pending.values()].sort((one, other) => other.ts - one.ts);
  }

  /** Opens a request, or refreshes the node's open one in place. One that asks for more commands is a new question. */
  request(node: NodeDescription, silent = false): { request: PairingRequest; created: boolean } {
    const open = this.pending().find(({ nodeId }) => nodeId === node.nodeId);
    if (open !== undefined) {
      if (covers(open, node.commands ?? [])) {
        Object.assign(open, node, { ts: Date.now() });
        return { request: open, created: false };
      }
      this.#pending.delete(open.requestId);
    }
    const request: PairingRequest = { requestId: randomUUID(), ...node, silent, ts: Date.now() };
    this.#pending.set(request.requestId, request);
    this.#announce('node.pair.requested', request);
    return { request, created: true };
  }

  /** A node came: what is not covered by its pairing has to be approved. */
  async met(connection: GatewayConnection): Promise<void> {
    const node = describe(connection);
    const known = own(await this.paired(), node.nodeId);
    if (known === undefined || !covers(known, connection.commands)) this.request(node);
    if (known !== undefined) await this.#update(node.nodeId, { lastConnectedAtMs: connection.connectedAtMs });
  }

  /** A node went. */
  async left(connection: GatewayConnection): Promise<void> {
    const nodeId = nodeIdOf(connection);
    if (own(await this.paired(), nodeId) !== undefined) await this.#update(nodeId, { lastConnectedAtMs: Date.now() });
  }

  /** Each approval makes a new token. `scopes` are the caller's. */
  approve(requestId: string, scopes: readonly string[]): Promise<{ requestId: string; node: PairedNode }> {
    return this.#exclusive(async () => {
      const request = this.#find(requestId);
      const needed = approvalScope(request.commands ?? []);
      if (needed !== undefined && !hasScope('operator', scopes, needed)) throw invalid(`missing scope: ${needed}`);
      const { requestId: _id, silent: _silent, ts: _ts, ...description } = request;
      const nodes = await this.paired();
      const now = Date.now();
      const before = own(nodes, request.nodeId);
      const node: PairedNode = {
        ...description,
        token: randomBytes(32).toString('base64url'),
        ...(before?.label === undefined ? {} : { label: before.label }),
        createdAtMs: before?.createdAtMs ?? now,
        approvedAtMs: now,
      };
      await this.#state.set(KEY, { ...nodes, [node.nodeId]: node });
      this.#settle(request, 'approved');
      return { requestId, node };
    });
  }

  /** Waits for an approval that is under way: a request is decided once. */
  reject(requestId: string): Promise<{ requestId: string; nodeId: string }> {
    return this.#exclusive(async () => {
      const request = this.#find(requestId);
      this.#settle(request, 'rejected');
      return { requestId, nodeId: request.nodeId };
    });
  }

  rename(nodeId: string, label: string): Promise<void> {
    return this.#update(nodeId, { label });
  }

  /** The node behind a token; undefined: the token is not its. */
  async verify(nodeId: string, token: string): Promise<PairedNode | undefined> {
    const node = own(await this.paired(), nodeId);
    if (node === undefined) return undefined;
    const [given, known] = [Buffer.from(token), Buffer.from(node.token)];
    return given.length === known.length && timingSafeEqual(given, known) ? node : undefined;
  }

  #find(requestId: string): PairingRequest {
    const request = this.pending().find((one) => one.requestId === requestId);
    if (request === undefined) throw invalid('unknown requestId');
    return request;
  }

  #settle({ requestId, nodeId }: PairingRequest, decision: 'approved' | 'rejected'): void {
    this.#pending.delete(requestId);
    this.#announce('node.pair.resolved', { requestId, nodeId, decision, ts: Date.now() });
  }

  #update(nodeId: string, change: Partial<PairedNode>): Promise<void> {
    return this.#exclusive(async () => {
      const nodes = await this.paired();
      const node = own(nodes, nodeId);
      if (node === undefined) throw invalid('unknown nodeId');
      await this.#state.set(KEY, { ...nodes, [nodeId]: { ...node, ...change } });
    });
  }

  /** One change of the stored nodes at a time. */
  #exclusive<Result>(change: () => Promise<Result>): Promise<Result> {
    const next = this.#writing.then(change);
    this.#writing = next.catch(() => undefined);
    return next;
  }
}

/** A node's own id is that of its device. */
export function nodeIdOf({ deviceId, clientId }: { deviceId?: string; clientId: string }): string {
  return deviceId ?? clientId;
}

/** A paired node as clients may see it. */
export function withoutToken({ token: _token, label, ...node }: PairedNode): Omit<PairedNode, 'token' | 'label'> {
  return label === undefined ? node : { ...node, displayName: label };
}

/** True when the pairing speaks of all these commands. */
export function covers({ commands = [] }: Pick<NodeDescription, 'commands'>, wanted: readonly string[]): boolean {
  return wanted.every((command) => commands.includes(command));
}

export function own(nodes: Readonly<Record<string, PairedNode>>, nodeId: string): PairedNode | undefined {
  return Object.hasOwn(nodes, nodeId) ? nodes[nodeId] : undefined;
}

function describe(connection: GatewayConnection): NodeDescription {
  const { displayName, platform, version, deviceFamily, modelIdentifier, caps, commands, permissions, remoteIp } = connection;
  return {
    nodeId: nodeIdOf(connection),
    ...(displayName === undefined ? {} : { displayName }),
    platform,
    version,
    ...(deviceFamily === undefined ? {} : { deviceFamily }),
    ...(modelIdentifier === undefined ? {} : { modelIdentifier }),
    caps,
    commands,
    ...(permissions === undefined ? {} : { permissions }),
    ...(remoteIp === undefined ? {} : { remoteIp }),
  };
}
