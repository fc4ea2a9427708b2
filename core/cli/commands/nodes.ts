import { randomUUID } from 'node:crypto';
import { durarError } from '../../../sdk/errors.ts';
import { isRecord } from '../../config/config-path.ts';
import { parseText } from '../../config/parse.ts';
import type { Action, CommandContext } from '../command.ts';
import { findNode, type KnownNode, listNodes } from '../node-choice.ts';
import { oneLine, printable } from '../printable.ts';
import { openRpc, type Rpc } from '../rpc.ts';

interface PairingRequest {
  requestId: string;
  nodeId: string;
  displayName?: string;
  platform?: string;
  commands?: string[];
  remoteIp?: string;
}

const NAME_WIDTH = 32;
/** As much of an id as a table shows. */
const ID_WIDTH = 16;
const INVOKE_MS = 15_000;
/** What the way there and back may take beside the command itself. */
const SLACK_MS = 5000;

/** `durar nodes list` */
export const nodesList: Action = (context) => showNodes(context, false);

/** `durar nodes status` */
export const nodesStatus: Action = (context) => showNodes(context, true);

/** `durar nodes pending` */
export const nodesPending: Action = (context) =>
  withRpc(context, async (rpc) => {
    const { output } = context;
    const { pending } = await openRequests(rpc);
    output.result({ pending }, () => {
      if (pending.length === 0) return output.line('No node waits.');
      output.table(
        ['request', 'node', 'name', 'platform', 'commands', 'from'],
        pending.map((row) => [
          output.paint.warn(row.requestId),
          row.nodeId.slice(0, ID_WIDTH),
          oneLine(row.displayName ?? '-', NAME_WIDTH),
          oneLine(row.platform ?? '-', NAME_WIDTH),
          commandsOf(row.commands),
          row.remoteIp ?? 'this machine',
        ]),
      );
    });
  });

/** `durar nodes approve [requestId] [--latest]` */
export const nodesApprove: Action = (context) =>
  withRpc(context, async (rpc) => {
    const { output, args, options } = context;
    const requestId = args[0] ?? (await latestRequest(rpc, options.latest === true));
    const { node, ...rest } = (await rpc.call('node.pair.approve', { requestId })) as { requestId: string; node: KnownNode & { token?: string } };
    // the token is the node's own affair: nothing on this side needs it
    const { token: _token, ...shown } = node;
    output.result({ ...rest, node: shown }, () => output.line(`Approved ${describe(shown)} for: ${commandsOf(shown.commands)}`));
  });

/** `durar nodes reject <requestId>` */
export const nodesReject: Action = (context) =>
  withRpc(context, async (rpc) => {
    const result = (await rpc.call('node.pair.reject', { requestId: context.args[0] ?? '' })) as { nodeId: string };
    context.output.result(result, () => context.output.line(`Refused ${printable(result.nodeId)}.`));
  });

/** `durar nodes rename --node <node> --name <name>` */
export const nodesRename: Action = (context) =>
  withRpc(context, async (rpc) => {
    const { output, options } = context;
    const { name } = options;
    if (typeof name !== 'string' || name === '') throw durarError('DUR_CLI_USAGE', { reason: 'no name is given' }, { hint: 'Add --name.' });
    const { nodeId } = await findNode(rpc, options.node);
    const result = await rpc.call('node.rename', { nodeId, displayName: name });
    output.result(result, () => output.line(`${nodeId.slice(0, ID_WIDTH)} is called ${printable(name)} now.`));
  });

/** `durar nodes describe --node <node>` */
export const nodesDescribe: Action = (context) =>
  withRpc(context, async (rpc) => {
    const { output, options } = context;
    const { nodeId } = await findNode(rpc, options.node);
    const node = (await rpc.call('node.describe', { nodeId })) as KnownNode;
    output.result(node, () =>
      output.pairs(
        Object.entries(node)
          .filter(([key]) => key !== 'ts')
          .map(([key, value]) => [key, printable(typeof value === 'string' ? value : JSON.stringify(value))] as const),
      ),
    );
  });

/** `durar nodes invoke --node <node> --command <name>` */
export const nodesInvoke: Action = async (context) => {
  const { output, options } = context;
  const {
    command,
    idempotencyKey = randomUUID(),
    invokeTimeout: timeoutMs = INVOKE_MS,
  } = options as {
    command?: string;
    idempotencyKey?: string;
    invokeTimeout?: number;
  };
  if (command === undefined)
    throw durarError('DUR_CLI_USAGE', { reason: 'no command is named' }, { hint: 'Add --command; `durar nodes describe` lists them.' });
  if (/^system\.run(?:\.|$)/.test(command)) {
    throw durarError('DUR_CLI_USAGE', { reason: `'${command}' cannot be invoked by hand` }, { hint: 'Let an agent run it, so that it is approved.' });
  }
  const params = options.params === undefined ? undefined : await parseText(options.params as string, '--params');
  if (params !== undefined && !isRecord(params)) {
    throw durarError('DUR_CLI_USAGE', { reason: '--params is not an object' }, { hint: 'Write for example --params \'{"bins":["git"]}\'.' });
  }
  const patient: CommandContext = {
    ...context,
    options: { ...options, timeout: Math.max((options.timeout as number | undefined) ?? 0, timeoutMs + SLACK_MS) },
  };
  await withRpc(patient, async (rpc) => {
    const { nodeId } = await findNode(rpc, options.node);
    const result = (await rpc.call('node.invoke', { nodeId, command, ...(params === undefined ? {} : { params }), timeoutMs, idempotencyKey })) as {
      payload: unknown;
    };
    output.result(result, () => output.line(printable(JSON.stringify(result.payload, null, 2))));
  });
};

function showNodes(context: CommandContext, inFull: boolean): Promise<void> {
  return withRpc(context, async (rpc) => {
    const { output, options } = context;
    const since = options.lastConnected === undefined ? 0 : Date.now() - durationOf(options.lastConnected as string);
    const nodes = (await listNodes(rpc)).filter(
      ({ connected, lastConnectedAtMs = 0 }) => connected || (options.connected !== true && (since === 0 || lastConnectedAtMs >= since)),
    );
    output.result({ nodes }, () => {
      if (nodes.length === 0) return output.line(options.connected === true ? 'No node is connected.' : 'No such node is known.');
      output.table(
        ['node', 'name', 'platform', 'state', 'last connected', ...(inFull ? ['commands'] : [])],
        nodes.map((node) => [
          output.paint.info(node.nodeId.slice(0, ID_WIDTH)),
          oneLine(node.displayName ?? '-', NAME_WIDTH),
          oneLine([node.platform, node.version].filter(Boolean).join(' ') || '-', NAME_WIDTH),
          node.connected ? 'connected' : 'away',
          node.lastConnectedAtMs === undefined ? '-' : new Date(node.lastConnectedAtMs).toISOString().slice(0, 16).replace('T', ' '),
          ...(inFull ? [commandsOf(node.commands)] : []),
        ]),
      );
    });
  });
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function durationOf(text: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  if (ms > 0) return ms;
  throw durarError('DUR_CLI_USAGE', { reason: `'${text}' is not a time` }, { hint: 'Write for example 24h.' });
}

async function withRpc(context: CommandContext, work: (rpc: Rpc) => Promise<void>): Promise<void> {
  const rpc = await openRpc(context);
  try {
    await work(rpc);
  } finally {
    rpc.close();
  }
}

function openRequests(rpc: Rpc): Promise<{ pending: PairingRequest[] }> {
  return rpc.call('node.pair.list', {}) as Promise<{ pending: PairingRequest[] }>;
}

async function latestRequest(rpc: Rpc, isWanted: boolean): Promise<string> {
  const { pending } = await openRequests(rpc);
  const [latest] = pending;
  if (latest === undefined) throw durarError('DUR_CLI_USAGE', { reason: 'no node waits for approval' }, { hint: 'Let the node connect once more.' });
  if (isWanted) return latest.requestId;
  throw durarError(
    'DUR_CLI_USAGE',
    { reason: `which of the ${pending.length} requests is meant?` },
    { hint: `Run \`durar nodes approve ${latest.requestId}\` for ${describe(latest)}, or add --latest.` },
  );
}

function describe({ nodeId, displayName }: { nodeId: string; displayName?: string }): string {
  return `${oneLine(displayName ?? 'a node', NAME_WIDTH)} (${nodeId.slice(0, ID_WIDTH)})`;
}

/** What a node says of itself may hold anything. */
function commandsOf(commands: readonly string[] | undefined): string {
  return oneLine(commands?.join(', ') || '-', Number.POSITIVE_INFINITY);
}
