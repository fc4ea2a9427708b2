import { type Command, type CommandContext, type CommandReply, durarError } from '../../../sdk/index.ts';
import type { Contribution } from '../../kernel/generation.ts';
import { withDeadline } from '../deadline.ts';
import type { CommandCall } from './command-call.ts';

/** How long a handler may take, milliseconds. */
const TIMEOUT_MS = 120_000;

/** Whether a message is for this command: one that takes no arguments leaves a message with more in it alone. */
export function takes({ acceptsArgs }: Pick<Command, 'acceptsArgs'>, args: string): boolean {
  return args === '' || acceptsArgs === true;
}

/** Runs a command of an extension. Throws `DUR_COMMAND_FAILED` with its owner. */
export async function runExtensionCommand(
  { key, owner, value }: Contribution<'command'>,
  { generation, session, sender, request, args }: CommandCall,
  signal: AbortSignal,
): Promise<CommandReply | undefined> {
  const context: CommandContext = {
    channel: request.channel ?? 'unknown',
    isAuthorizedSender: sender.isAuthorized,
    sessionKey: session.key,
    sessionId: session.sessionId,
    commandBody: request.message.trim(),
    config: generation.config,
    ...(args === '' ? {} : { args }),
    ...(request.channel === undefined ? {} : { channelId: request.channel }),
    ...(request.senderId === undefined ? {} : { senderId: request.senderId, from: request.senderId }),
    ...(request.scopes === undefined ? {} : { gatewayClientScopes: [...request.scopes] }),
    ...(request.to === undefined ? {} : { to: request.to }),
    ...(request.accountId === undefined ? {} : { accountId: request.accountId }),
    ...(request.threadId === undefined ? {} : { messageThreadId: request.threadId }),
  };
  const expired = () => new Error(`no answer within ${TIMEOUT_MS / 1000} seconds`);
  try {
    return await withDeadline({ ms: TIMEOUT_MS, signal, expired }, () => value.handler(context));
  } catch (cause) {
    throw durarError(
      'DUR_COMMAND_FAILED',
      { name: key, reason: cause instanceof Error ? cause.message : String(cause) },
      { owner: { extension: owner, hook: 'command' }, cause },
    );
  }
}
