import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorReport, reportError } from '../../sdk/errors.ts';
import type { CommandContext } from './command.ts';
import { openRpc, type Rpc } from './rpc.ts';
import { findRuntime } from './runtime.ts';

const FOLLOW_MS = 5000;
const POLL_MS = 50;
const TRIES = 3;

/** What became of a change in the gateway of this profile. */
export interface Applied {
  /**
   * `stopped`: none runs, the change counts from the next start. `off`: it was told not to follow the configuration. `following`: it takes
   * the change over by itself, since it watches the file.
   */
  gateway: 'stopped' | 'applied' | 'refused' | 'unreachable' | 'off' | 'following';
  error?: ErrorReport;
}

/** A connection from before a write, which may be to the credentials that connections need; undefined where no gateway answers. */
export async function openLine(context: CommandContext): Promise<Rpc | undefined> {
  if (!(await findRuntime(context.paths)).running) return undefined;
  return await openRpc({ ...context, options: {} }).catch(() => undefined);
}

/**
 * Lets the running gateway take over what was written, so that the command ends when it counts. Never throws: the write itself has been done.
 * `line`: tried first, and closed.
 */
export async function reloadGateway(context: CommandContext, line?: Rpc): Promise<Applied> {
  const { running } = await findRuntime(context.paths);
  if (!running) return { gateway: 'stopped' };
  for (let left = TRIES; ; left -= 1) {
    const applied = await tellGateway(context, left === TRIES ? line : undefined);
    // It may take the change over by itself meanwhile, and its listener with it.
    if (left === 1 || (applied.error?.code !== 'DUR_GATEWAY_CLOSED' && applied.gateway !== 'unreachable')) return applied;
    await sleep(POLL_MS);
  }
}

async function tellGateway(context: CommandContext, line?: Rpc): Promise<Applied> {
  let rpc: Rpc;
  try {
    rpc = line ?? (await openRpc({ ...context, options: {} }));
  } catch (error) {
    return { gateway: 'unreachable', error: reportError(error) };
  }
  try {
    await rpc.call('plugins.reload', {});
    return { gateway: 'applied' };
  } catch (error) {
    return { gateway: 'refused', error: reportError(error) };
  } finally {
    rpc.close();
  }
}

/** Says it in a sentence. */
export function printApplied({ gateway, error }: Applied, { output }: CommandContext): void {
  const { paint } = output;
  if (gateway === 'stopped') output.line(paint.muted('No gateway runs; it counts from the next start.'));
  else if (gateway === 'off') output.line(paint.muted('gateway.reload.mode is off; it counts from the next start.'));
  else if (gateway === 'applied' || gateway === 'following') output.line(paint.muted('The running gateway uses it from the next turn on.'));
  else
    output.note(
      `${paint.warn('!')} The running gateway ${gateway === 'refused' ? 'did not take it over and goes on as before' : 'could not be told'}: ${error?.message ?? ''}`,
    );
  if (error?.hint) output.note(`  ${error.hint}`);
}

/** Waits until the running gateway says what `isSo` expects of its extensions; gives up quietly when it takes too long. */
export async function awaitGateway(context: CommandContext, isSo: (plugins: ReadonlyArray<{ id: string; enabled: boolean }>) => boolean): Promise<void> {
  const rpc = await openRpc({ ...context, options: {} });
  try {
    for (const deadline = Date.now() + FOLLOW_MS; Date.now() < deadline; await sleep(POLL_MS)) {
      const { plugins } = (await rpc.call('plugins.list', {})) as { plugins: Array<{ id: string; enabled: boolean }> };
      if (isSo(plugins)) return;
    }
  } finally {
    rpc.close();
  }
}
