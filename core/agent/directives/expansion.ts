import type { GenerationSource } from '../../kernel/generation.ts';
import type { AcceptedRun, RunRequest } from '../run-request.ts';
import { type AgentPaths, agentWorkspaceDir } from '../settings.ts';
import { splitCommand } from './parse.ts';
import { senderOf } from './sender.ts';

/** What a message that only looks like a command turned out to be: another message, or answered. */
export type Expansion = { message: string } | { reply: string };

/** Asks the extensions about `/name args` that no command of that name answers. undefined: it is a message like any other. */
export async function expandCommand(
  { source, paths }: { source: GenerationSource; paths: AgentPaths },
  request: RunRequest,
  { runId, agentId, sessionKey, sessionId }: AcceptedRun,
): Promise<Expansion | undefined> {
  const command = request.message.startsWith('/') ? splitCommand(request.message) : undefined;
  if (command === undefined) return undefined;
  const lease = source.lease();
  try {
    const { generation } = lease;
    const { config, hooks } = generation;
    if (senderOf(config, request)?.isAuthorized !== true) return undefined;
    await generation.settled;
    if (!hooks.has('command.expand')) return undefined;
    const context = { runId, agentId, sessionKey, sessionId, workspaceDir: agentWorkspaceDir(config, agentId, paths), trigger: request.trigger ?? 'user' };
    const { message, reply } = (await hooks.call('command.expand', { ...command, message: request.message }, context)) ?? {};
    if (typeof message === 'string' && message !== '') return { message };
    return typeof reply === 'string' && reply !== '' ? { reply } : undefined;
  } finally {
    lease.release();
  }
}
