import { ProtocolError } from '../../sdk/protocol/errors.ts';
import { ADMIN_SCOPE } from '../../sdk/protocol/scopes.ts';
import type { Call } from './call.ts';
import type { GatewayContext } from './context.ts';

export interface Aborted {
  aborted: boolean;
  runIds: string[];
}

/** Stops one run of a session. Throws when it is another session's, or not the caller's to stop. */
export function abortRun(context: GatewayContext, call: Call, sessionKey: string, runId: string): Aborted {
  const active = context.agent.active().find((run) => run.runId === runId);
  if (active === undefined) return { aborted: false, runIds: [] };
  if (active.sessionKey !== context.sessions.canonicalKey(sessionKey)) throw new ProtocolError('INVALID_REQUEST', 'runId does not match sessionKey');
  if (!mayAbort(context, call, runId)) throw new ProtocolError('INVALID_REQUEST', 'unauthorized');
  return context.agent.abort({ runId, origin: 'rpc' });
}

/** Stops all runs of a session that the caller may stop. Throws when there are runs and none of them is. */
export function abortSession(context: GatewayContext, call: Call, sessionKey: string, origin: 'rpc' | 'stop'): Aborted {
  const active = context.agent.active(context.sessions.canonicalKey(sessionKey));
  const allowed = active.filter(({ runId }) => mayAbort(context, call, runId));
  if (active.length > 0 && allowed.length === 0) throw new ProtocolError('INVALID_REQUEST', 'unauthorized');
  const runIds = allowed.flatMap(({ runId }) => context.agent.abort({ runId, origin }).runIds);
  // sub-agents may be at work while their requester waits for them
  if (call.client.can(ADMIN_SCOPE)) runIds.push(...context.agent.abort({ sessionKey, origin }).runIds);
  return { aborted: runIds.length > 0, runIds };
}

/** Everybody may stop what their own device started; an administrator may stop anything. */
function mayAbort(context: GatewayContext, { client }: Call, runId: string): boolean {
  if (client.can(ADMIN_SCOPE)) return true;
  const owner = context.runs.owner(runId);
  return owner !== undefined && (owner.deviceId === undefined ? owner.connId === client.connId : owner.deviceId === client.deviceId);
}
