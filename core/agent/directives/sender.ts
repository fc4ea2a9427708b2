import { ADMIN_SCOPE, hasScope, WRITE_SCOPE } from '../../../sdk/protocol/scopes.ts';
import type { Config } from '../../config/schema.ts';
import type { RunRequest } from '../run-request.ts';

/** What the sender of a message may do with commands. */
export interface Sender {
  /** Commands and directives of this sender are carried out. */
  isAuthorized: boolean;
  /** May loosen what guards the host. */
  isAdmin: boolean;
}

/**
 * Clients of the gateway are known by their scopes, senders of a channel by `commands.allowFrom` alone where it is set, else by what the channel's
 * own access says. undefined: the message is nobody's, so it holds no commands.
 */
export function senderOf({ commands, tools }: Pick<Config, 'commands' | 'tools'>, request: RunRequest): Sender | undefined {
  const { scopes, channel, senderId, senderAllowed } = request;
  if (scopes !== undefined) return { isAuthorized: hasScope('operator', scopes, WRITE_SCOPE), isAdmin: hasScope('operator', scopes, ADMIN_SCOPE) };
  if (senderAllowed === undefined || channel === undefined) return undefined;
  const { allowFrom } = commands;
  const isAuthorized = allowFrom === undefined ? senderAllowed : names(allowFrom[channel] ?? allowFrom['*'], senderId);
  return { isAuthorized, isAdmin: isAuthorized && names(tools.elevated?.allowFrom?.[channel], senderId) };
}

function names(list: readonly string[] | undefined, senderId: string | undefined): boolean {
  if (list === undefined) return false;
  return list.includes('*') || (senderId !== undefined && list.includes(senderId));
}
