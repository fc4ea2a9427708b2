import { RepeatedCalls } from 'Durar/plugin-sdk/client/repeated-calls';
import type { GatewayConnection, GatewayDevice, GatewayMethodContext, PluginApi } from 'Durar/plugin-sdk/core';
import { isAllowed, isSwitchedOff, platformOf } from './command-policy.ts';
import { Invocations, isFailure, type NodeFailure, type NodeResult } from './invocations.ts';
import { nodeIdOf, own, type PairedNode, Pairing } from './pairing.ts';
import { PendingWork } from './pending-work.ts';
import { invalid, unavailable } from './refusal.ts';
import { Subscriptions } from './subscriptions.ts';
import { approvalRequired, prepareRun } from './system-run.ts';

export interface InvokeParams {
  nodeId: string;
  command: string;
  params?: unknown;
  timeoutMs?: number;
  idempotencyKey: string;
}

/** The code by which an app in the background refuses what needs its screen, and the commands it says so of. */
const BACKGROUND = 'NODE_BACKGROUND_UNAVAILABLE';
const NEEDS_FOREGROUND = /^(?:canvas|camera|screen|talk)\./;
const POLICY_COMMANDS = /^system\.execApprovals\./;

/** Everything known about nodes, and the way to them. */
export class NodeRegistry {
  readonly pairing: Pairing;
  readonly work: PendingWork;
  readonly invocations: Invocations;
  readonly subscriptions: Subscriptions;
  readonly #api: PluginApi;
  readonly #repeats = new RepeatedCalls<object>();
  #isAttached = false;

  constructor(api: PluginApi) {
    const { gateway, state } = api.runtime;
    this.#api = api;
    this.pairing = new Pairing(
      state,
      (event, payload) => gateway.broadcast(event, payload, { scope: 'operator.pairing', dropIfSlow: true }),
      () => gateway.devices({ role: 'node' }),
    );
    this.work = new PendingWork(state);
    this.invocations = new Invocations((target, event, payload) => gateway.sendTo(target, event, payload));
    this.subscriptions = new Subscriptions(
      (connId, event, payload) => gateway.sendTo({ connId }, event, payload),
      () => api.config,
    );
  }

  /** Begins to follow the sockets; nodes that are there already count as having just come. A second call does nothing. */
  attach(): void {
    if (this.#isAttached) return;
    this.#isAttached = true;
    const { gateway } = this.#api.runtime;
    const note = (noted: Promise<void>) => {
      noted.catch((error: unknown) => this.#api.logger.error('what is known of a node could not be brought up to date', { reason: String(error) }));
    };
    const met = (connection: GatewayConnection) => {
      if (connection.role === 'node') note(this.pairing.met(connection));
    };
    gateway.onConnect(met);
    gateway.onDisconnect((connection) => {
      this.invocations.disconnected(connection.connId);
      this.subscriptions.disconnected(connection.connId);
      if (connection.role === 'node') note(this.pairing.left(connection));
    });
    gateway.onBroadcast((event) => this.subscriptions.forward(event));
    for (const connection of gateway.connections({ role: 'node' })) met(connection);
  }

  close(): void {
    this.invocations.close();
  }

  /** Connected ones first, then by name. */
  async list(): Promise<object[]> {
    const { gateway } = this.#api.runtime;
    const paired = await this.pairing.paired();
    const devices = new Map(gateway.devices({ role: 'node' }).map((device) => [device.deviceId, device]));
    const live = this.#live();
    const ids = new Set([...live.keys(), ...Object.keys(paired), ...devices.keys()]);
    return [...ids]
      .map((nodeId) => knownNode(nodeId, { connection: live.get(nodeId), paired: own(paired, nodeId), device: devices.get(nodeId) }))
      .sort((one, other) => Number(other.connected) - Number(one.connected) || nameOf(one).localeCompare(nameOf(other)));
  }

  async describe(nodeId: string): Promise<object> {
    const found = ((await this.list()) as Array<{ nodeId: string }>).find((node) => node.nodeId === nodeId);
    if (found === undefined) throw invalid('unknown nodeId');
    return found;
  }

  /** The same call again, key and all, gets the first one's outcome and reaches the node once. */
  invoke(given: InvokeParams, caller: GatewayMethodContext): Promise<object> {
    const { nodeId, command, params = null, idempotencyKey } = given;
    if (POLICY_COMMANDS.test(command)) throw invalid('node.invoke does not allow system.execApprovals.*; use exec.approvals.node.*', { command });
    return this.#repeats.once(JSON.stringify([caller.callerId, nodeId, command, idempotencyKey, params]), (sent) => this.#invoke(given, caller, sent));
  }

  /** `system.execApprovals.get` and `set`, for administrators; the result is the node's own. */
  async relay(nodeId: string, command: string, params: object, idempotencyKey: string): Promise<unknown> {
    const connection = this.#connection(nodeId);
    await this.#assertOffered(connection, command);
    this.invocations.assertRoom();
    const result = await this.invocations.invoke(connection, { command, paramsJSON: JSON.stringify(params), idempotencyKey });
    if (isFailure(result)) throw failed(result);
    return result.payload;
  }

  /** Whether a command that waits for this node may still be handed to it. */
  isAllowed(nodeId: string, command: string): boolean {
    const connection = this.#live().get(nodeId);
    return connection !== undefined && isAllowed(this.#api.config, connection, command);
  }

  /** The address by which a node reached the gateway. */
  addressOf({ connId }: Pick<GatewayMethodContext, 'connId'>): string {
    const { address } = this.#api.runtime.gateway.connections({ role: 'node' }).find((connection) => connection.connId === connId) ?? {};
    if (address === undefined) throw unavailable('the address of the gateway is not known', { code: 'CANVAS_HOST_UNKNOWN' });
    return address;
  }

  async #invoke(given: InvokeParams, caller: GatewayMethodContext, sent: () => void): Promise<object> {
    const { nodeId, command, timeoutMs, idempotencyKey } = given;
    const connection = this.#connection(nodeId);
    if (!isAllowed(this.#api.config, connection, command)) {
      throw refuse(`"${command}" is not in the allowlist for platform "${platformOf(connection)}"`, 'command not allowlisted', command);
    }
    await this.#assertOffered(connection, command);
    const waiting = await this.work.findAction(nodeId, idempotencyKey);
    if (waiting !== undefined) throw queued(nodeId, waiting, { code: BACKGROUND, message: 'it still waits for the foreground' });
    this.invocations.assertRoom();
    const paramsJSON = await this.#paramsFor(given, caller);
    sent();
    const result = await this.invocations.invoke(connection, {
      command,
      paramsJSON,
      idempotencyKey,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    if (!isFailure(result)) return { ok: true, nodeId, command, ...(result satisfies NodeResult) };
    if (result.code !== BACKGROUND || platformOf(connection) !== 'ios' || !NEEDS_FOREGROUND.test(command)) throw failed(result);
    throw queued(nodeId, await this.work.queueAction(nodeId, { command, paramsJSON, idempotencyKey }), result);
  }

  /** A run is bound to its approval, which is used up here: from now on it was carried out, whatever happens. */
  async #paramsFor({ nodeId, command, params }: InvokeParams, caller: GatewayMethodContext): Promise<string | null> {
    if (command !== 'system.run') return params === undefined ? null : JSON.stringify(params);
    const fields = typeof params === 'object' && params !== null && !Array.isArray(params) ? (params as Record<string, unknown>) : {};
    const run = await prepareRun(fields, nodeId, caller, this.#api.runtime.approvals);
    if (!(await run.consume())) throw approvalRequired(run.params.runId);
    return JSON.stringify(run.params);
  }

  /** The node must claim the command, and its pairing must cover it. */
  async #assertOffered(connection: GatewayConnection, command: string): Promise<void> {
    const nodeId = nodeIdOf(connection);
    if (connection.commands.length === 0) throw refuse('the node did not declare commands', 'node did not declare commands', command);
    if (!connection.commands.includes(command)) {
      throw refuse(`the node (platform: ${connection.platform}) does not support "${command}"`, 'command not declared by node', command);
    }
    if (isSwitchedOff(connection.permissions, command)) {
      throw refuse(`"${command}" is switched off on the node`, 'permission switched off on node', command);
    }
    if (own(await this.pairing.paired(), nodeId)?.commands?.includes(command) !== true) {
      throw refuse(`the pairing of the node does not cover "${command}"; approve it with node.pair.approve`, 'command not approved', command);
    }
  }

  #connection(nodeId: string): GatewayConnection {
    const connection = this.#live().get(nodeId);
    if (connection === undefined) throw unavailable('node not connected', { code: 'NOT_CONNECTED' });
    return connection;
  }

  /** The newest socket of each node. */
  #live(): Map<string, GatewayConnection> {
    return new Map(this.#api.runtime.gateway.connections({ role: 'node' }).map((connection) => [nodeIdOf(connection), connection]));
  }
}

interface Sources {
  connection: GatewayConnection | undefined;
  paired: PairedNode | undefined;
  device: GatewayDevice | undefined;
}

/** What is known of a node; what is not known is left out of the answer. */
function knownNode(nodeId: string, { connection, paired, device }: Sources) {
  const said = connection ?? paired;
  const permissions = said?.permissions;
  return {
    nodeId,
    displayName: paired?.label ?? said?.displayName ?? paired?.displayName ?? device?.displayName,
    platform: said?.platform ?? device?.platform,
    version: said?.version,
    coreVersion: paired?.coreVersion,
    uiVersion: paired?.uiVersion,
    clientId: connection?.clientId ?? device?.clientId,
    clientMode: connection?.clientMode ?? device?.clientMode,
    deviceFamily: said?.deviceFamily ?? device?.deviceFamily,
    modelIdentifier: said?.modelIdentifier,
    remoteIp: connection === undefined ? (paired?.remoteIp ?? device?.remoteIp) : connection.remoteIp,
    caps: [...(said?.caps ?? [])].sort(),
    commands: [...(said?.commands ?? [])].sort(),
    pathEnv: connection?.pathEnv,
    permissions,
    connectedAtMs: connection?.connectedAtMs,
    lastConnectedAtMs: connection?.connectedAtMs ?? paired?.lastConnectedAtMs,
    approvedAtMs: paired?.approvedAtMs ?? device?.approvedAtMs,
    paired: paired !== undefined || device !== undefined,
    connected: connection !== undefined,
  };
}

function nameOf({ displayName, nodeId }: { displayName?: string | undefined; nodeId: string }): string {
  return displayName ?? nodeId;
}

function refuse(text: string, reason: string, command: string): Error {
  return invalid(`node command not allowed: ${text}`, { reason, command });
}

function failed({ code, message }: NodeFailure): Error {
  return unavailable(`${code}: ${message}`, { nodeError: { code, message } });
}

function queued(nodeId: string, { id, command }: { id: string; command: string }, nodeError: NodeFailure): Error {
  return unavailable(
    'node command queued until iOS returns to foreground',
    { code: 'QUEUED_UNTIL_FOREGROUND', queuedActionId: id, nodeId, command, wake: { available: false }, nodeError },
    true,
  );
}
