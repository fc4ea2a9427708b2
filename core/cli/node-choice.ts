import { durarError } from '../../sdk/errors.ts';
import type { Rpc } from './rpc.ts';

/** A node as `node.list` tells of it. */
export interface KnownNode {
  nodeId: string;
  displayName?: string;
  platform?: string;
  version?: string;
  caps: string[];
  commands: string[];
  connectedAtMs?: number;
  lastConnectedAtMs?: number;
  approvedAtMs?: number;
  paired: boolean;
  connected: boolean;
}

export async function listNodes(rpc: Rpc): Promise<KnownNode[]> {
  return ((await rpc.call('node.list', {})) as { nodes: KnownNode[] }).nodes;
}

/** By its whole id, its name, or an unmistakable beginning of its id. Throws `DUR_CLI_USAGE`. */
export async function findNode(rpc: Rpc, wanted: unknown): Promise<KnownNode> {
  if (typeof wanted !== 'string' || wanted === '') {
    throw durarError('DUR_CLI_USAGE', { reason: 'no node is named' }, { hint: 'Add --node with a name or an id of `durar nodes list`.' });
  }
  const nodes = await listNodes(rpc);
  const byId = nodes.find(({ nodeId }) => nodeId === wanted);
  if (byId !== undefined) return byId;
  const fitting = nodes.filter(({ nodeId, displayName }) => nodeId.startsWith(wanted) || displayName?.toLowerCase() === wanted.toLowerCase());
  const [found] = fitting;
  if (found !== undefined && fitting.length === 1) return found;
  const reason = fitting.length === 0 ? `no node is called '${wanted}'` : `'${wanted}' fits ${fitting.length} nodes`;
  throw durarError('DUR_CLI_USAGE', { reason }, { hint: 'Run `durar nodes list` to see names and ids.' });
}
