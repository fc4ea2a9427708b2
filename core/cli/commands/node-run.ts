import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createTokenStore, isTrustedUrl, loadIdentity, nodeSocketFactory } from '../../../sdk/client/node.ts';
import { createNodeHost, type NodeState } from '../../../sdk/client/node-host.ts';
import { errorCode } from '../../../sdk/errors.ts';
import { ApprovalsFile } from '../../../sdk/exec/approvals-file.ts';
import { writePrivateFile } from '../../../sdk/private-file.ts';
import type { Action, CommandContext } from '../command.ts';
import { readOwnToken } from '../gateway/gateway-auth.ts';
import { findTarget, type GatewayTarget } from '../gateway-target.ts';
import { printable } from '../printable.ts';
import { readHostVersion } from '../version.ts';

interface RunOptions {
  host?: string;
  port?: number;
  tls?: true;
  tlsFingerprint?: string;
  nodeId?: string;
  displayName?: string;
}

/** What this node was called when it last ran. */
interface NodeFile {
  version: 1;
  nodeId?: string;
  displayName?: string;
}

const EXIT_FORCED = 1;

/** `durar node run`: lives until a signal ends it, or the gateway refuses it for good. */
export const nodeRun: Action = async (context) => {
  const { output, paths, env } = context;
  const options = context.options as RunOptions;
  const target = await targetOf(context, options);
  const file = join(paths.stateDir, 'node.json');
  const before = await readNode(file);
  const nodeId = options.nodeId ?? before.nodeId;
  const displayName = options.displayName ?? before.displayName ?? hostname();

  // A key of its own: the command line of the same machine is another device.
  const stateDir = join(paths.stateDir, 'node');
  const identity = loadIdentity({ stateDir });
  const tokens = createTokenStore({ stateDir, deviceId: identity.deviceId });
  if (nodeId !== before.nodeId) tokens.remove('node');
  const present: NodeFile = { version: 1, displayName, ...(nodeId === undefined ? {} : { nodeId }) };
  await writePrivateFile(file, `${JSON.stringify(present, null, 2)}\n`);

  const { url, token, password, tlsFingerprint } = target;
  let isAnnounced = false;
  const host = createNodeHost({
    url,
    socketFactory: nodeSocketFactory({
      allowPlaintext: target.local || env.Durar_ALLOW_INSECURE_PRIVATE_WS === '1',
      ...(tlsFingerprint === undefined ? {} : { tlsFingerprint }),
    }),
    identity,
    tokens,
    auth: { ...(token === undefined ? {} : { token }), ...(password === undefined ? {} : { password }) },
    isTrusted: target.local || tlsFingerprint !== undefined || (isTrustedUrl(url) && url.startsWith('ws:')),
    version: readHostVersion(),
    displayName,
    ...(nodeId === undefined ? {} : { instanceId: nodeId }),
    approvals: new ApprovalsFile(join(paths.stateDir, 'exec-approvals.json')),
    env,
    onState(state) {
      if (state.state === 'connected' && !isAnnounced) {
        isAnnounced = true;
        const document = { nodeId: identity.deviceId, displayName, url };
        output.result(document, () => output.line(`Connected to ${printable(url)} as ${printable(displayName)} (${identity.deviceId.slice(0, 16)}).`));
        return;
      }
      output.note(describe(state));
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.on(signal, () => process.exit(EXIT_FORCED));
      host.stop();
    });
  }
  await host.run();
};

/** Of the named host; the credentials of this machine's own gateway go to no other. */
async function targetOf(context: CommandContext, { host, port, tls, tlsFingerprint }: RunOptions): Promise<GatewayTarget> {
  const own = await findTarget(context);
  if (host === undefined && port === undefined && tls === undefined) return own;
  const there = new URL(own.url);
  if (host !== undefined) there.hostname = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  if (port !== undefined) there.port = String(port);
  if (tls === true) there.protocol = 'wss:';
  const url = there.href.replace(/\/$/, '');
  const local = own.local && (host === undefined || isTrustedUrl(`ws://${there.host}`));
  const pin = tlsFingerprint ?? (local ? own.tlsFingerprint : undefined);
  const isOwnToken = own.token !== undefined && own.token === (await readOwnToken(context.paths.stateDbDir));
  return {
    url,
    local,
    ...(own.token === undefined || (isOwnToken && !local) ? {} : { token: own.token }),
    ...(own.password === undefined ? {} : { password: own.password }),
    ...(pin === undefined ? {} : { tlsFingerprint: pin }),
  };
}

function describe(state: NodeState): string {
  switch (state.state) {
    case 'connected':
      return `Connected again to ${printable(state.url)}.`;
    case 'pairing':
      return `The gateway does not know this machine yet. On the gateway run: durar devices approve ${printable(state.requestId ?? '--latest')}`;
    case 'disconnected':
      return `Not connected: ${printable(state.reason)}. Next attempt in ${Math.round(state.retryInMs / 1000)} s.`;
    case 'unanswered':
      return `A result did not reach the gateway: ${printable(state.reason)}`;
  }
}

async function readNode(file: string): Promise<Partial<NodeFile>> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as NodeFile;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return {};
    throw error;
  }
}
