import type { InboundMessage } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';

/** The session a channel's message belongs to (`session.dmScope`; groups and rooms always have their own). Keys route, they never authorise. */
export function routeSession(config: Config, channel: string, accountId: string, message: InboundMessage, agentId: string): string {
  const peer = message.senderId.toLowerCase();
  if (config.session?.scope === 'global') return 'global';
  if (message.chatType !== 'direct') {
    const room = `agent:${agentId}:${channel}:${message.chatType}:${message.conversationId}`.toLowerCase();
    return message.threadId === undefined ? room : `${room}:thread:${message.threadId}`.toLowerCase();
  }
  switch (config.session?.dmScope) {
    case 'per-peer':
      return `agent:${agentId}:direct:${peer}`;
    case 'per-channel-peer':
      return `agent:${agentId}:${channel}:direct:${peer}`;
    case 'per-account-channel-peer':
      return `agent:${agentId}:${channel}:${accountId}:direct:${peer}`;
    default:
      return `agent:${agentId}:main`;
  }
}

/** Whether the sender may talk to the agent: `allowFrom` of the account, else of the channel; nobody when neither is set. */
export function isAllowed(settings: { allowFrom?: unknown; accounts?: unknown }, accountId: string, senderId: string): boolean {
  const account = (settings.accounts as Record<string, { allowFrom?: unknown }> | undefined)?.[accountId];
  const list = account?.allowFrom ?? settings.allowFrom;
  if (!Array.isArray(list)) return false;
  const sender = senderId.toLowerCase();
  return list.some((entry) => entry === '*' || String(entry).toLowerCase() === sender);
}
