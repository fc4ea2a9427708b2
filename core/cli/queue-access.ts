import type { MethodTypes } from '../../sdk/protocol/generated/types.ts';
import type { State } from '../state/state.ts';
import type { CommandContext } from './command.ts';
import { findTarget } from './gateway-target.ts';
import { openRpc } from './rpc.ts';
import { findRuntime } from './runtime.ts';
import { openStoppedState } from './stopped-state.ts';

type QueueMethod = Extract<keyof MethodTypes, `queue.${string}`>;

/** What waits, of a gateway that runs or not. */
export interface QueueAccess {
  /** A gateway runs that works on it. */
  isLive: boolean;
  call<Name extends QueueMethod>(method: Name, params: MethodTypes[Name]['params']): Promise<MethodTypes[Name]['result']>;
  close(): void;
}

/** By RPC; where the gateway of this profile does not run, in its own state, under its lock. Throws `DUR_GATEWAY_UNREACHABLE` where none has ever run. */
export async function openQueue(context: CommandContext): Promise<QueueAccess> {
  const target = await findTarget(context);
  if (target.local && !(await findRuntime(context.paths)).running) return openLocal(context, target.url);
  const rpc = await openRpc(context);
  return { isLive: true, call: (method, params) => rpc.call(method, params) as Promise<never>, close: () => rpc.close() };
}

async function openLocal({ paths }: CommandContext, url: string): Promise<QueueAccess> {
  const { state, close } = await openStoppedState(paths, url);
  const calls = await callsOf(state);
  return { isLive: false, call: async (method, params) => calls[method](params as never) as never, close };
}

const LISTED = 200;

/** Nothing runs: what is retried waits for the next start. */
async function callsOf({ inbox, outbox }: State): Promise<{ [Name in QueueMethod]: (params: MethodTypes[Name]['params']) => MethodTypes[Name]['result'] }> {
  const { createQueueBoxes } = await import('../agent/queue/queue-boxes.ts');
  const boxes = createQueueBoxes({ inbox, outbox, now: Date.now });
  return {
    'queue.list'({ limit = LISTED }) {
      const { waiting, started } = inbox.counts();
      const state = { lanes: [], sessions: { busy: 0, waiting: 0 }, queued: 0, backlog: waiting + started, inbox: inbox.counts(), outbox: outbox.counts() };
      return { state, entries: boxes.list(limit) };
    },
    'queue.retry': ({ id }) => ({ ids: boxes.retry(id) }),
    'queue.drop'({ id }) {
      boxes.drop(id);
      return { id };
    },
  };
}
