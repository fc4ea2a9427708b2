import { ProtocolError } from '../../sdk/protocol/errors.ts';
import { ADMIN_SCOPE } from '../../sdk/protocol/scopes.ts';
import type { RunRequest } from '../agent/service.ts';
import type { Call } from './call.ts';
import type { GatewayContext } from './context.ts';

/**
 * A message that begins with `/new` or `/reset` starts its session over (administrators only). Returns what to run then. undefined: it is a
 * message like any other.
 */
export async function resetByMessage(
  { agent, sessions, sessionEvents }: GatewayContext,
  { client }: Call,
  params: { sessionKey: string; agentId?: string | undefined; message: string },
): Promise<Pick<RunRequest, 'message' | 'provenance'> | undefined> {
  const allow = () => {
    if (!client.can(ADMIN_SCOPE)) throw new ProtocolError('INVALID_REQUEST', `missing scope: ${ADMIN_SCOPE}`);
  };
  const sessionKey = sessions.canonicalKey(params.sessionKey, params.agentId);
  const begun = await agent.startOver({ sessionKey, message: params.message, allow });
  if (begun === undefined) return undefined;
  const { reason, message, provenance } = begun;
  sessionEvents.changed(sessionKey, reason);
  return { message, ...(provenance === undefined ? {} : { provenance }) };
}
