import { type CommandContext, type CommandReply, errorText, type PluginApi } from 'Durar/plugin-sdk/core';
import { resolve } from './methods.ts';
import type { Decision, Family, PendingApprovals } from './pending.ts';

const USAGE = 'Usage: /approve <id> allow-once|allow-always|deny';
const WORDS: Readonly<Record<string, Decision>> = {
  'allow-once': 'allow-once',
  once: 'allow-once',
  allow: 'allow-once',
  'allow-always': 'allow-always',
  always: 'allow-always',
  deny: 'deny',
};
const FAMILIES: readonly Family[] = ['exec', 'plugin'];

/** `/approve <id> <decision>`: a command that waits first, then what an extension asked with that id. */
export function registerApproveCommand(api: PluginApi, pending: PendingApprovals): void {
  api.registerCommand({
    name: 'approve',
    description: 'allow or deny what waits for an approval',
    acceptsArgs: true,
    handler: (context) => approve(context, pending),
  });
}

function approve(context: CommandContext, pending: PendingApprovals): CommandReply {
  if (!mayApprove(context)) return refused('Not allowed: this needs the scope operator.approvals, or a place in `commands.ownerAllowFrom`.');
  const [id = '', word = '', ...rest] = (context.args ?? '').split(/\s+/);
  const decision = WORDS[word.toLowerCase()];
  if (id === '' || decision === undefined || rest.length > 0) return refused(USAGE);
  const family = FAMILIES.find((each) => pending.find(each, id).length > 0);
  if (family === undefined) return refused(`Nothing with the id "${id}" waits for an approval.`);
  try {
    resolve(pending, family, { id, decision }, { clientId: context.senderId ?? 'chat' });
  } catch (error) {
    return refused(`Not decided: ${errorText(error)}.`);
  }
  return { text: decision === 'deny' ? 'Denied.' : `Approved (${decision}).` };
}

/** Using commands is not enough to let commands run: a client needs the scope, a sender of a channel must be an owner. */
function mayApprove({ gatewayClientScopes, senderId, channel, config }: CommandContext): boolean {
  if (gatewayClientScopes !== undefined) return gatewayClientScopes.some((scope) => scope === 'operator.approvals' || scope === 'operator.admin');
  const { ownerAllowFrom } = (config.commands ?? {}) as { ownerAllowFrom?: unknown };
  if (!Array.isArray(ownerAllowFrom) || senderId === undefined) return false;
  return ownerAllowFrom.includes(senderId) || ownerAllowFrom.includes(`${channel}:${senderId}`);
}

function refused(text: string): CommandReply {
  return { text, isError: true };
}
