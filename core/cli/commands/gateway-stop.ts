import { setTimeout as sleep } from 'node:timers/promises';
import { durarError } from '../../../sdk/errors.ts';
import type { Action } from '../command.ts';
import { findRuntime } from '../runtime.ts';

const LIMIT_MS = 30_000;
const POLL_MS = 50;

/** `durar gateway stop`: asks the process that owns the state to end, and waits until it has. */
export const gatewayStop: Action = async ({ output, paths, options }) => {
  const { running, pid } = await findRuntime(paths);
  if (!running || pid === undefined) {
    output.result({ ok: true, stopped: false }, () => output.line(`No gateway runs on ${paths.stateDir}.`));
    return;
  }
  const limit = (options.timeout as number | undefined) ?? LIMIT_MS;
  const deadline = Date.now() + limit;
  process.kill(pid, 'SIGTERM');
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
