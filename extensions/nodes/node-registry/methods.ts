import type { GatewayMethodHandler, GatewayMethodOptions, PluginApi } from 'Durar/plugin-sdk/core';
import { randomBytes, randomUUID } from 'node:crypto';
import type { NodeAnswer } from './invocations.ts';
import { type NodeDescription, nodeIdOf, withoutToken } from './pairing.ts';
import { invalid } from './refusal.ts';
import type { InvokeParams, NodeRegistry } from './registry.ts';
import * as schemas from './schemas.ts';

type Row = readonly [options: Omit<GatewayMethodOptions, 'params'> & { params: Record<string, unknown> }, handler: GatewayMethodHandler];

const PAIRING = 'operator.pairing';
const READ = 'operator.read';
const WRITE = 'operator.write';
const ADMIN = 'operator.admin';

const PAIR_EVENTS = ['node.pair.requested', 'node.pair.resolved'].map((name) => ({ name, scope: PAIRING, droppable: true }));
const CAPABILITY_MS = 600_000;
const DRAIN_ITEMS = 4;

/** All methods of nodes and about nodes. */
export function registerMethods(api: PluginApi, registry: NodeRegistry): void {
  for (const [method, [options, handler]] of Object.entries({ ...pairMethods(registry), ...operatorMethods(registry), ...nodeMethods(registry) })) {
    api.registerGatewayMethod(
      method,
      (params, context) => {
        registry.attach();
        return handler(params, context);
      },
      options,
    );
  }
}

function pairMethods({ pairing }: NodeRegistry): Record<string, Row> {
  return {
    'node.pair.request': [
      { scope: PAIRING, params: schemas.pairRequest, events: PAIR_EVENTS, description: 'Asks the operators to pair a node.' },
      (params) => {
        const { silent = false, ...node } = params as unknown as NodeDescription & { silent?: boolean };
        return { status: 'pending', ...pairing.request(node, silent) };
      },
    ],
    'node.pair.list': [
      { scope: PAIRING, params: schemas.none, description: 'Lists paired nodes and open requests.' },
      async () => ({ pending: pairing.pending(), paired: Object.values(await pairing.paired()).map(withoutToken) }),
    ],
    'node.pair.approve': [
      {
        scope: PAIRING,
        params: schemas.byRequest,
        events: PAIR_EVENTS,
        description: 'Pairs a node with the commands that it asked for; commands need operator.write beside, those that run programs operator.admin.',
      },
      async (params, { scopes }) => {
        const { requestId, node } = await pairing.approve(params.requestId as string, scopes);
        const { label: _label, ...shown } = node;
        return { requestId, node: shown };
      },
    ],
    'node.pair.reject': [
      { scope: PAIRING, params: schemas.byRequest, events: PAIR_EVENTS, description: 'Refuses an open request.' },
      (params) => pairing.reject(params.requestId as string),
    ],
    'node.pair.verify': [
      { scope: PAIRING, params: schemas.pairVerify, description: 'Tells whether a token is that of a paired node.' },
      async ({ nodeId, token }) => {
        const node = await pairing.verify(nodeId as string, token as string);
        return node === undefined ? { ok: false } : { ok: true, node: { ...withoutToken(node), token: node.token } };
      },
    ],
    'node.rename': [
      { scope: PAIRING, params: schemas.rename, description: 'Gives a paired node a name.' },
      async ({ nodeId, displayName }) => {
        await pairing.rename(nodeId as string, displayName as string);
        return { nodeId, displayName };
      },
    ],
  };
}

function operatorMethods(registry: NodeRegistry): Record<string, Row> {
  return {
    'node.list': [
      { scope: READ, params: schemas.none, description: 'Lists all nodes that are connected or paired.' },
      async () => ({ ts: Date.now(), nodes: await registry.list() }),
    ],
    'node.describe': [
      { scope: READ, params: schemas.byNode, description: 'Describes one node.' },
      async ({ nodeId }) => ({ ts: Date.now(), ...(await registry.describe(nodeId as string)) }),
    ],
    'node.invoke': [
      {
        scope: WRITE,
        sideEffecting: true,
        params: schemas.invoke,
        events: [{ name: 'node.invoke.request' }],
        description: 'Has a connected node carry out a command and answers with its result.',
      },
      (params, context) => registry.invoke(params as unknown as InvokeParams, context),
    ],
    'node.pending.enqueue': [
      { scope: WRITE, params: schemas.pendingEnqueue, description: 'Leaves work for a node, connected or not.' },
      async (params) => {
        const { nodeId, wake: _wake, ...work } = params as { nodeId: string; wake?: boolean; type: string; priority?: 'normal' | 'high'; expiresInMs?: number };
        return { nodeId, ...(await registry.work.enqueue(nodeId, work)), wakeTriggered: false };
      },
    ],
    'exec.approvals.node.get': [
      { scope: ADMIN, params: schemas.byNode, description: 'Reads the exec policy file of a node.' },
      ({ nodeId }) => registry.relay(nodeId as string, 'system.execApprovals.get', {}, randomUUID()),
    ],
    'exec.approvals.node.set': [
      { scope: ADMIN, params: schemas.policySet, description: 'Replaces the exec policy file of a node.' },
      ({ nodeId, ...params }) => registry.relay(nodeId as string, 'system.execApprovals.set', params, randomUUID()),
    ],
  };
}

function nodeMethods(registry: NodeRegistry): Record<string, Row> {
  const { invocations, subscriptions, work } = registry;
  return {
    'node.invoke.result': [
      { role: 'node', params: schemas.invokeResult, description: "A node's answer to node.invoke.request." },
      (params, context) => {
        const { id, nodeId, ...answer } = params as unknown as { id: string; nodeId: string } & NodeAnswer;
        if (nodeId !== nodeIdOf(context)) throw invalid('nodeId mismatch');
        return invocations.settle(nodeId, id, answer) ? { ok: true } : { ok: true, ignored: true };
      },
    ],
    'node.event': [
      {
        role: 'node',
        params: schemas.nodeEvent,
        description: 'Tells the gateway that something happened; chat.subscribe and chat.unsubscribe follow a session.',
      },
      (params, { connId, signal }) => {
        const { sessionKey } = payloadOf(params);
        if (typeof sessionKey === 'string' && sessionKey.trim() !== '' && !signal.aborted) {
          if (params.event === 'chat.subscribe') subscriptions.add(connId, sessionKey);
          if (params.event === 'chat.unsubscribe') subscriptions.remove(connId, sessionKey);
        }
        return { ok: true };
      },
    ],
    'node.pending.pull': [
      { role: 'node', params: schemas.none, description: 'The commands that waited for the foreground; they stay until node.pending.ack.' },
      async (_params, context) => {
        const nodeId = nodeIdOf(context);
        const actions = await work.pull(nodeId, (command) => registry.isAllowed(nodeId, command));
        return { nodeId, actions: actions.map(({ id, command, paramsJSON, enqueuedAtMs }) => ({ id, command, paramsJSON, enqueuedAtMs })) };
      },
    ],
    'node.pending.ack': [
      { role: 'node', params: schemas.pendingAck, description: 'Says that pulled commands were carried out.' },
      async ({ ids }, context) => {
        const ackedIds = [...new Set(ids as string[])];
        return { nodeId: nodeIdOf(context), ackedIds, remainingCount: await work.acknowledge(nodeIdOf(context), ackedIds) };
      },
    ],
    'node.pending.drain': [
      { role: 'node', params: schemas.pendingDrain, description: 'Takes the work that was left for the node; each item is handed out once.' },
      async ({ maxItems = DRAIN_ITEMS }, context) => ({ nodeId: nodeIdOf(context), ...(await work.drain(nodeIdOf(context), maxItems as number)) }),
    ],
    'node.canvas.capability.refresh': [
      { role: 'node', params: schemas.none, description: 'A fresh address, valid for ten minutes, for what the node shows on its canvas.' },
      (_params, context) => refreshCapability(registry.addressOf(context)),
    ],
  };
}

function refreshCapability(address: string) {
  const canvasCapability = randomBytes(18).toString('base64url');
  return {
    canvasCapability,
    canvasCapabilityExpiresAtMs: Date.now() + CAPABILITY_MS,
    canvasHostUrl: `${address}/__Durar__/cap/${canvasCapability}`,
  };
}

/** A payload comes as a value or as its text. */
function payloadOf({ payload, payloadJSON }: Record<string, unknown>): Record<string, unknown> {
  let value = payload;
  if (value === undefined && typeof payloadJSON === 'string') {
    try {
      value = JSON.parse(payloadJSON);
    } catch {
      throw invalid('payloadJSON is not JSON');
    }
  }
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
