import type { MethodTypes } from '../../sdk/protocol/generated/types.ts';
import type { PairingCodes } from '../channels/access/pairing.ts';
import type { CommandContext } from './command.ts';
import { findTarget } from './gateway-target.ts';
import { openRpc } from './rpc.ts';
import { findRuntime } from './runtime.ts';
import { openStoppedState } from './stopped-state.ts';

type PairingMethod = Extract<keyof MethodTypes, `channels.pairing.${string}`>;
type Calls = { [Name in PairingMethod]: (params: MethodTypes[Name]['params']) => MethodTypes[Name]['result'] };

/** Who may write to the agent, of a gateway that runs or not. */
export interface PairingAccess {
  call<Name extends PairingMethod>(method: Name, params: MethodTypes[Name]['params']): Promise<MethodTypes[Name]['result']>;
  close(): void;
}

/** By RPC; where the gateway of this profile does not run, in its own state, under its lock. Throws `DUR_GATEWAY_UNREACHABLE` where none has ever run. */
export async function openPairing(context: CommandContext): Promise<PairingAccess> {
  const target = await findTarget(context);
  if (target.local && !(await findRuntime(context.paths)).running) return openLocal(context, target.url);
  const rpc = await openRpc(context);
  return { call: (method, params) => rpc.call(method, params) as Promise<never>, close: () => rpc.close() };
}

async function openLocal({ paths }: CommandContext, url: string): Promise<PairingAccess> {
  const { state, close } = await openStoppedState(paths, url);
  const { createPairing } = await import('../channels/access/pairing.ts');
  const calls = callsOf(createPairing(state).desk);
  return { call: async (method, params) => calls[method](params as never) as never, close };
}

/** No channel runs that could tell anybody. */
function callsOf(desk: PairingCodes): Calls {
  return {
    'channels.pairing.list': (filter) => desk.list(filter),
    'channels.pairing.approve': ({ notify, ...code }) => ({
      paired: desk.approve(code).paired,
      ...(notify === true ? { notified: false, reason: 'the gateway does not run' } : {}),
    }),
    'channels.pairing.reject': (code) => desk.reject(code),
    'channels.pairing.revoke': (sender) => ({ revoked: desk.revoke(sender) }),
  };
}
