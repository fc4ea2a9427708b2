import type { Channel } from 'Durar/plugin-sdk/core';
import { INTERNAL_CHANNEL } from 'Durar/plugin-sdk/protocol/clients';

const ACCOUNT = 'default';

/**
 * The channel of `chat.send`. Its clients are connected to the gateway: they bring their messages by that method and read the reply from
 * its events, so there is nobody to log in as and nothing to send outside.
 */
export const webchat: Channel = {
  id: INTERNAL_CHANNEL,
  meta: { label: 'Web chat', blurb: 'Talk to the gateway from a terminal, a browser or an app.', order: 0 },
  capabilities: { chatTypes: ['direct'], media: true },
  config: {
    listAccountIds: () => [ACCOUNT],
    resolveAccount: (config) => ({ accountId: ACCOUNT, enabled: isEnabled(config) }),
    isConfigured: () => true,
    isEnabled: (_account, config) => isEnabled(config),
  },
};

/** On unless `channels.webchat.enabled` is false. */
function isEnabled(config: Record<string, unknown>): boolean {
  const channels = config.channels as Record<string, { enabled?: unknown } | undefined> | undefined;
  return channels?.[INTERNAL_CHANNEL]?.enabled !== false;
}
