import { setTimeout as sleep } from 'node:timers/promises';
import { durarError } from '../../../sdk/errors.ts';
import type { Action, CommandContext } from '../command.ts';
import { openRpc } from '../rpc.ts';
import { findRuntime } from '../runtime.ts';

const LIMIT_MS = 30_000;
const POLL_MS = 50;
const ASK_MS = 2000;

/** `durar gateway stop`: asks the process that owns the state to end, and waits until it has. */
export const gatewayStop: Action = async (context) => {
  const { output, paths, options } = context;
  const { running, pid } = await findRuntime(paths);
  if (!running || pid === undefined) {
    output.result({ ok: true, stopped: false }, () => output.line(`No gateway runs on ${paths.stateDir}.`));
    return;
  }
  const limit = (options.timeout as number | undefined) ?? LIMIT_MS;
  const deadline = Date.now() + limit;
  await requestStop(context, pid);
  const progress = output.progress(`waiting for the gateway (process ${pid}) to end`);
  try {
    while ((await findRuntime(paths)).running) {
      if (Date.now() > deadline) {
        throw durarError(
          'DUR_GATEWAY_TIMEOUT',
          { method: `the gateway (process ${pid})`, ms: limit },
          { hint: `Wait for its running turns, or run \`kill -9 ${pid}\`.` },
        );
      }
      await sleep(POLL_MS);
    }
  } finally {
    progress.stop();
  }
  output.result({ ok: true, stopped: true, pid }, () => output.line(`Stopped the gateway (process ${pid}).`));
};

/** By RPC, which works on every system; by a signal when it does not answer. */
async function requestStop(context: CommandContext, pid: number): Promise<void> {
  try {
    const rpc = await openRpc({ ...context, options: { timeout: ASK_MS } });
    await rpc.call('gateway.stop', { reason: 'durar gateway stop' }).finally(() => rpc.close());
  } catch {
    // Whatever keeps it from answering, the signal needs none of it.
    process.kill(pid, 'SIGTERM');
  }
}
