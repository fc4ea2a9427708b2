import type { ChannelsStatusResult } from '../../sdk/protocol/generated/types.ts';
import { describeChannels } from '../gateway/methods/channels.ts';
import type { CommandContext } from './command.ts';
import { findTarget } from './gateway-target.ts';
import { openLocalChannels } from './local-channels.ts';
import { openRpc } from './rpc.ts';
import { findRuntime } from './runtime.ts';
import type { SecretState } from './secrets/secret-lookup.ts';

export interface ChannelsView {
  found: ChannelsStatusResult;
  /** A gateway told it; else it is what the configuration says. */
  isLive: boolean;
  /** Secrets that the configuration names and this command cannot get. */
  unavailable: SecretState[];
}

/** That of every request. */
const TIMEOUT_MS = 10_000;

/** Asks the gateway; where that of this profile does not run, looks at the configuration. `probe`: the services are asked as well. */
export async function viewChannels(context: CommandContext, { command, probe }: { command: string; probe: boolean }): Promise<ChannelsView> {
  // the answer about services that do not answer must arrive in time
  const probeMs = Math.floor(((context.options.timeout as number | undefined) ?? TIMEOUT_MS) * 0.8);
  if (await isDown(context)) {
    const local = await openLocalChannels(context, command);
    try {
      return { found: describeChannels(await local.report(probe ? { probeMs } : {})), isLive: false, unavailable: local.unavailable };
    } finally {
      await local.close();
    }
  }
  const rpc = await openRpc(context, { readOnly: true });
  try {
    const found = (await rpc.call('channels.status', probe ? { probe, timeoutMs: probeMs } : {})) as ChannelsStatusResult;
    return { found, isLive: true, unavailable: [] };
  } finally {
    rpc.close();
  }
}

/** Whether the command means the gateway of this profile, and that one does not run. */
export async function isDown(context: CommandContext): Promise<boolean> {
  const { local } = await findTarget(context, { readOnly: true });
  return local && !(await findRuntime(context.paths)).running;
}
