import { type Channel, defineChannelPluginEntry } from 'Durar/plugin-sdk/core';
import { receive, send } from './folder.ts';

/** `channels.__ID__` of the configuration; this channel has one account. */
interface Account {
  folder?: string;
  enabled?: boolean;
}

const ACCOUNT_ID = 'default';

const channel: Channel = {
  id: '__ID__',
  meta: { label: '__NAME__', blurb: 'messages as text files' },
  capabilities: { chatTypes: ['direct'] },
  config: {
    listAccountIds: (config) => (accountOf(config).folder === undefined ? [] : [ACCOUNT_ID]),
    resolveAccount: accountOf,
    isConfigured: (account) => (account as Account).folder !== undefined,
    isEnabled: (account) => (account as Account).enabled !== false,
  },
  gateway: {
    // Runs until the signal; what is thrown here is shown by `durar channels status`.
    async startAccount({ account, abortSignal, deliver, setStatus, log }) {
      const { folder } = account as Account;
      if (folder === undefined) throw new Error('channels.__ID__.folder is not set');
      setStatus({ connected: true, folder });
      await receive(folder, abortSignal, async ({ name, text }) => {
        const { accepted, reason } = await deliver({ text, senderId: 'folder', conversationId: name, chatType: 'direct', messageId: name });
        if (!accepted) log.warn(`'${name}' was not accepted: ${reason ?? 'no reason was given'}`);
      });
    },
  },
  outbound: {
    deliveryMode: 'direct',
    async sendText({ cfg, to, text }) {
      const { folder } = accountOf(cfg);
      if (folder === undefined) throw new Error('channels.__ID__.folder is not set');
      return { messageId: await send(folder, to, text) };
    },
  },
};

export default defineChannelPluginEntry({ id: '__ID__', name: '__NAME__', plugin: channel });

function accountOf(config: Record<string, unknown>): Account {
  return ((config.channels as Record<string, Account> | undefined) ?? {})['__ID__'] ?? {};
}
