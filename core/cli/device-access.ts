import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { durarError } from '../../sdk/errors.ts';
import type { MethodTypes } from '../../sdk/protocol/generated/types.ts';
import type { DeskCaller, DeviceDesk } from '../gateway/device-desk.ts';
import type { CommandContext } from './command.ts';
import { findTarget } from './gateway-target.ts';
import { openRpc } from './rpc.ts';
import { findRuntime } from './runtime.ts';

/** The devices of a gateway. */
export interface DeviceAccess {
  /** Where the gateway is, or will be. */
  readonly url: string;
  /** The device that asks, where one does. */
  readonly deviceId?: string;
  call<Name extends keyof DeviceDesk>(method: Name, params: MethodTypes[Name]['params']): Promise<MethodTypes[Name]['result']>;
  close(): void;
}

/** By RPC; where the gateway of this profile does not run, in its own state, under its lock. Throws `DUR_GATEWAY_UNREACHABLE` where none has ever run. */
export async function openDevices(context: CommandContext): Promise<DeviceAccess> {
  const target = await findTarget(context);
  if (target.local && !(await findRuntime(context.paths)).running) return openLocal(context, target.url);
  const rpc = await openRpc(context);
  return { url: target.url, deviceId: rpc.deviceId, call: (method, params) => rpc.call(method, params) as Promise<never>, close: () => rpc.close() };
}

/** Whoever may write the state of a stopped gateway may decide everything. */
const OWNER: DeskCaller = { can: () => true };

async function openLocal({ paths }: CommandContext, url: string): Promise<DeviceAccess> {
  if (!existsSync(join(paths.stateDbDir, 'durar.db'))) throw durarError('DUR_GATEWAY_UNREACHABLE', { url });
  const [{ acquireGatewayLock, openState }, { createDevices }, { createBootstrap }, { createDeviceDesk }] = await Promise.all([
    import('../state/state.ts'),
    import('../gateway/devices.ts'),
    import('../gateway/bootstrap.ts'),
    import('../gateway/device-desk.ts'),
  ]);
  const lock = acquireGatewayLock({ dir: paths.stateDbDir });
  try {
    const state = openState({ dir: paths.stateDbDir });
    // Nobody is connected who would have to hear of it.
    const desk = createDeviceDesk({ devices: createDevices(state), bootstrap: createBootstrap(state), resolved() {}, evict() {} });
    return {
      url,
      call: async (method, params) => desk[method](params, OWNER),
      close() {
        state.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
